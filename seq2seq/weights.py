"""Weights on disk: sharded safetensors in fp32, fp16 or int8, checked before they are believed.

Shards and index are written and read by huggingface_hub. A tensor that the model uses twice
(tied embeddings) is stored once, under its first name. Everything that a file claims is held
against the shapes that the configuration implies before memory is set aside for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import save_torch_state_dict
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

from seq2seq.config import ConfigError, ModelConfig, read_json
from seq2seq.nn import AnyModel, build_model
from seq2seq.nn.stored import Weights

__all__ = [
    "MAX_SHARD_SIZE",
    "CheckpointError",
    "Storage",
    "StoredWeights",
    "Unfilled",
    "count_parameters",
    "fill",
    "is_finite",
    "load_weights",
    "open_weights",
    "read_slice",
    "save_weights",
]

Storage = Literal["fp32", "fp16", "int8"]

MAX_SHARD_SIZE = "9MB"  # so that every file stays below the 10 MB that a Space takes without LFS
_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_MAX_LAYERS = 256
_MAX_TABLE = 2**26  # elements of tables that are computed, not stored (sinusoids)


class CheckpointError(ValueError):
    """A checkpoint that cannot be written or read; names the file and what to do about it."""


@dataclass(frozen=True)
class _Stored:
    """What one tensor of a file must look like, or claims to."""

    dtype: str
    shape: tuple[int, ...]


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
        if not is_finite(value):
            raise CheckpointError(f"weight {name!r} is not finite, so it is not saved")
        packed.update(_pack(name, value, storage))
    for name, value in packed.items():
        if not is_finite(value):
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
    outline, stored = open_weights(folder, config, storage=storage)
    fill(outline, stored)
    return outline


def fill(outline: AnyModel, stored: Weights) -> None:
    """Give a model without memory for its weights all that are stored, in fp32.

    Raises:
        CheckpointError: one cannot be read, or is not finite.
    """
    filled: dict[int, nn.Parameter] = {}  # tied weights stay tied
    for module in outline.modules():
        for name, empty in list(module.named_parameters(recurse=False, remove_duplicate=False)):
            if id(empty) not in filled:
                filled[id(empty)] = nn.Parameter(stored.read(empty))
            setattr(module, name, filled[id(empty)])
    outline.settle()


def open_weights(
    folder: Path, config: ModelConfig, *, storage: Storage
) -> tuple[AnyModel, StoredWeights]:
    """The model that ``config`` describes, without memory for its weights, and where they are.

    Raises:
        CheckpointError: as :func:`load_weights`, but for weights that are not finite, which are
            found when they are read.
    """
    outline = _outline(folder, config)
    expected: dict[str, _Stored] = {}
    for name, tensor in _unique(outline).items():
        expected.update(_expected(name, tuple(tensor.shape), storage))
    files = _shards(folder)
    found = {name: path for path in files for name in _check_header(path, files[path], expected)}
    if missing := sorted(set(expected) - set(found)):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CheckpointError(
            f"{folder}: weight {missing[0]!r}{more} is missing from the files; copy the whole "
            "checkpoint folder again"
        )
    return outline.eval(), StoredWeights(outline, found, folder=folder)


class StoredWeights:
    """Weights that stay on disk until they are needed, one by one.

    Args:
        outline: the model, from :func:`open_weights`.
        files: where each tensor is.
        folder: of the checkpoint, for messages.
    """

    def __init__(self, outline: AnyModel, files: Mapping[str, Path], *, folder: Path) -> None:
        self._outline = outline
        self._names = {id(tensor): name for name, tensor in _unique(outline).items()}
        self._files = files
        self._folder = folder

    def read(self, parameter: Tensor) -> Tensor:
        """A parameter of the outline in fp32.

        Raises:
            CheckpointError: it cannot be read, or is not finite.
        """
        values, scale = self._get(parameter)
        value = values.to(torch.float32, copy=True)
        if scale is not None:
            value.mul_(scale[:, None])
        self._check(value, parameter)
        return value

    def read_rows(self, parameter: Tensor, *, at_once: int) -> Iterator[Tensor]:
        """The same, a few rows after the other: some ``at_once`` numbers of them.

        Raises:
            CheckpointError: as :meth:`read`.
        """
        name = self._names[id(parameter)]
        step = max(1, at_once // max(1, parameter[0].numel()))
        for first in range(0, len(parameter), step):
            value = read_slice(self._files[name], name, first, first + step).float()
            self._check(value, parameter)
            yield value

    def read_int8(self, parameter: Tensor) -> tuple[Tensor, Tensor] | None:
        """A matrix as it was stored, in 8 bits, and its scales; None if it was not.

        Raises:
            CheckpointError: as :meth:`read`.
        """
        values, scale = self._get(parameter)
        if scale is None:
            return None
        self._check(scale, parameter)
        return values, scale

    def _get(self, parameter: Tensor) -> tuple[Tensor, Tensor | None]:
        name = self._names[id(parameter)]
        scale = f"{name}.scale"
        return self._tensor(name), self._tensor(scale) if scale in self._files else None

    def _tensor(self, name: str) -> Tensor:
        return read_slice(self._files[name], name)

    def _check(self, value: Tensor, parameter: Tensor) -> None:
        if not is_finite(value):
            raise CheckpointError(
                f"{self._folder}: weight {self._names[id(parameter)]!r} holds NaN or infinity; the "
                "checkpoint is damaged or its training diverged: get or train it again"
            )


def read_slice(path: Path, name: str, first: int = 0, end: int | None = None) -> Tensor:
    """A tensor of a safetensors file, or some of its rows.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:  # opened each time: what was read of a file counts as memory while it is open
        with safe_open(path, framework="pt") as file:
            whole = end is None
            tensor: Tensor = file.get_tensor(name) if whole else file.get_slice(name)[first:end]
    except (ValueError, OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as safetensors ({_first_line(error)})"
        ) from error
    return tensor


def is_finite(value: Tensor) -> bool:
    """Whether there is neither NaN nor infinity; takes no memory, however large the tensor."""
    return not value.numel() or all(math.isfinite(float(end)) for end in torch.aminmax(value))


def count_parameters(folder: Path, config: ModelConfig) -> int:
    """Trainable parameters of the model that ``config`` describes, without building it.

    Raises:
        CheckpointError: the sizes are absurd; names ``folder``.
    """
    return _outline(folder, config).parameter_count


# --- The number formats -----------------------------------------------------------------------


def _unique(model: AnyModel) -> dict[str, Tensor]:
    """Parameters and stored buffers by name; a tied tensor only under its first name."""
    seen: set[int] = set()
    result: dict[str, Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            result[name] = tensor
    return result


def _is_matrix(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2


def _pack(name: str, value: Tensor, storage: Storage) -> dict[str, Tensor]:
    if storage == "fp32":
        return {name: value.contiguous()}
    if storage == "fp16" or not _is_matrix(tuple(value.shape)):
        return {name: value.half().contiguous()}
    scale = (value.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    quantised = (value / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
    return {name: quantised.contiguous(), f"{name}.scale": scale}


def _expected(name: str, shape: tuple[int, ...], storage: Storage) -> dict[str, _Stored]:
    if storage == "fp32":
        return {name: _Stored("F32", shape)}
    if storage == "fp16" or not _is_matrix(shape):
        return {name: _Stored("F16", shape)}
    return {name: _Stored("I8", shape), f"{name}.scale": _Stored("F32", shape[:1])}


# --- Checks before anything is allocated ------------------------------------------------------


def _outline(folder: Path, config: ModelConfig) -> AnyModel:
    """The model with shapes but without memory."""
    where = folder / "config.json"
    for key, value in config.to_dict().items():
        if key.endswith("_layers") and value > _MAX_LAYERS:
            raise CheckpointError(f"{where}: {key} is {value}, at most {_MAX_LAYERS} are read")
    try:
        with Unfilled(), torch.device("meta"):
            model = build_model(config)
    except ConfigError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except (RuntimeError, OverflowError, TypeError, MemoryError) as error:
        raise CheckpointError(f"{where}: the model is too large to be built") from error
    stored = {id(tensor) for tensor in model.state_dict(keep_vars=True).values()}
    computed = sum(b.numel() for b in model.buffers() if id(b) not in stored)
    if computed > _MAX_TABLE:
        raise CheckpointError(f"{where}: the model's position tables are too large to be built")
    return model


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


def _shards(folder: Path) -> dict[Path, frozenset[str] | None]:
    """Weight files with the tensor names that the index puts there (None without an index)."""
    index = folder / _INDEX
    if not index.exists():
        single = folder / _SINGLE
        if not single.is_file():
            raise CheckpointError(f"{single}: is missing; copy the whole checkpoint folder again")
        return {single: None}
    try:
        weight_map = read_json(index).get("weight_map")
    except ConfigError as error:
        raise CheckpointError(f"{error}; copy the whole checkpoint folder again") from error
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index}: has no 'weight_map'; copy the checkpoint folder again")
    names: dict[Path, set[str]] = {}
    for tensor, file in weight_map.items():
        if not _is_plain_shard(file):
            raise CheckpointError(
                f"{index}: {file!r} is not the name of a .safetensors file in this folder; "
                "do not use this checkpoint"
            )
        names.setdefault(folder / file, set()).add(tensor)
    for path in names:
        if not path.is_file():
            raise CheckpointError(f"{path}: is missing; copy the whole checkpoint folder again")
    return {path: frozenset(tensors) for path, tensors in names.items()}


def _is_plain_shard(file: object) -> bool:
    """Whether an index entry is a bare file name: no folders, drives or other suffixes."""
    plain = isinstance(file, str) and not set(file) & set("/\\:\0") and not file.startswith(".")
    return plain and str(file).endswith(".safetensors")


def _check_header(
    path: Path, listed: frozenset[str] | None, expected: Mapping[str, _Stored]
) -> list[str]:
    """Hold a file's header against the configuration; nothing is loaded yet. Gives its names."""
    try:
        with safe_open(path, framework="pt") as file:
            found = {}
            for name in file.keys():  # noqa: SIM118  (not a mapping)
                part = file.get_slice(name)
                found[name] = _Stored(str(part.get_dtype()), tuple(part.get_shape()))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: is damaged or cut short ({_first_line(error)}); copy the file again"
        ) from error
    if listed is not None and set(found) != listed:
        odd = min(set(found) ^ listed)
        raise CheckpointError(f"{path}: disagrees with {_INDEX} about {odd!r}; copy both again")
    for name, stored in found.items():
        if name not in expected:
            raise CheckpointError(
                f"{path}: weight {name!r} is unexpected; config.json belongs to another model"
            )
        if stored.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: weight {name!r} has the shape {list(stored.shape)}, config.json implies "
                f"{list(expected[name].shape)}"
            )
        if stored.dtype != expected[name].dtype:
            raise CheckpointError(
                f"{path}: weight {name!r} is stored as {stored.dtype}, config.json implies "
                f"{expected[name].dtype}"
            )
    return list(found)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
