"""Weights on disk, as they are written, and as they fill a model of ``nn``.

Shards and index are written by huggingface_hub; see :mod:`seq2seq.stored` for how they are read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import save_torch_state_dict
from torch import Tensor, nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

from seq2seq.config import ConfigError, ModelConfig
from seq2seq.nn import AnyModel, build_model
from seq2seq.parameters import Weights
from seq2seq.stored import CheckpointError, Storage, is_finite, is_matrix, open_weights

__all__ = ["MAX_SHARD_SIZE", "build_from", "load_weights", "save_weights"]

MAX_SHARD_SIZE = "9MB"  # so that every file stays below the 10 MB that a Space takes without LFS


def save_weights(
    folder: Path, model: AnyModel, *, storage: Storage, max_shard_size: str = MAX_SHARD_SIZE
) -> None:
    """Write all parameters into ``folder``, in shards with an index if one does not suffice.

    ``fp16`` halves the size. ``int8`` keeps matrices as integers in -127..127 with one scale per
    output row, ``w = q * scale``, and everything else as fp16: a quarter of the size.

    Raises:
        CheckpointError: a weight is not finite, or too large for fp16.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in _unique(model).items():
        value = tensor.detach().to("cpu", torch.float32)
        if not is_finite(value.numpy()):
            raise CheckpointError(f"weight {name!r} is not finite, so it is not saved")
        packed.update(_pack(name, value, storage))
    for name, value in packed.items():
        if not is_finite(value.numpy()):
            raise CheckpointError(f"weight {name!r} is too large for fp16: store it as fp32")
    save_torch_state_dict(packed, folder, max_shard_size=max_shard_size)
    for path in folder.glob("model*.safetensors"):
        path.chmod(0o644)  # safetensors makes them private, other people may read a checkpoint


def load_weights(folder: Path, config: ModelConfig, *, storage: Storage) -> AnyModel:
    """Build the model that ``config`` describes and fill it from ``folder``, as fp32 on the CPU.

    Raises:
        CheckpointError: a file is missing, damaged or points outside the folder; a tensor is
            missing, unexpected, of the wrong shape, or not finite; the sizes are absurd.
    """
    stored = open_weights(folder, config, storage=storage)
    return build_from(stored, config, where=str(folder / "config.json"))


def build_from(stored: Weights, config: ModelConfig, *, where: str) -> AnyModel:
    """Build the model that ``config`` describes with stored weights, fp32 on the CPU.

    Raises:
        CheckpointError: it cannot be built, or a weight cannot be read, or is not finite.
    """
    try:
        with Unfilled(), torch.device("meta"):
            outline = build_model(config)
    except ConfigError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except (RuntimeError, OverflowError, TypeError, MemoryError) as error:
        raise CheckpointError(f"{where}: the model is too large to be built") from error
    names = {id(tensor): name for name, tensor in _unique(outline).items()}
    filled: dict[int, nn.Parameter] = {}  # tied weights stay tied
    for module in outline.modules():
        for name, empty in list(module.named_parameters(recurse=False, remove_duplicate=False)):
            if id(empty) not in filled:
                value = torch.from_numpy(stored.read(names[id(empty)]))
                filled[id(empty)] = nn.Parameter(value)
            setattr(module, name, filled[id(empty)])
    outline.settle()
    if stored.positions is not None:
        computed = outline.get_buffer("position_table")
        given = torch.from_numpy(stored.positions)[: len(computed)]
        computed[: len(given)] = given
    return outline.eval()


def _unique(model: AnyModel) -> dict[str, Tensor]:
    """Parameters and stored buffers by name; a tied tensor only under its first name."""
    seen: set[int] = set()
    result: dict[str, Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            result[name] = tensor
    return result


def _pack(name: str, value: Tensor, storage: Storage) -> dict[str, Tensor]:
    if storage == "fp32":
        return {name: value.contiguous()}
    if storage == "fp16" or not is_matrix(tuple(value.shape)):
        return {name: value.half().contiguous()}
    scale = (value.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    quantised = (value / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
    return {name: quantised.contiguous(), f"{name}.scale": scale}


class Unfilled(TorchFunctionMode):
    """Draws no random numbers where there is no memory for them.

    Torch would import its compiler for that, which takes longer than loading the model.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in (init.normal_, Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
