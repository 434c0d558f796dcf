"""Names and layout of Marian's tensors, both ways.

Marian keeps queries, keys and values apart; ours are fused into one product. Everything else
has only another name.
"""

from __future__ import annotations

import reprlib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from huggingface_hub import load_state_dict_from_file
from torch import Tensor

from seq2seq.config import ConfigError, TransformerConfig, read_json
from seq2seq.marian.settings import MarianSettings
from seq2seq.nn.transformer import TransformerModel
from seq2seq.weights import CheckpointError

__all__ = ["load_weights", "read_tensors", "to_marian"]

_SAFE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLE = "pytorch_model.bin"
_ATTENTION = ("q_proj", "k_proj", "v_proj")
_MAX_LAYERS = 256
_ROUNDING = 0.01  # of a position table that was kept in half precision


def load_weights(folder: Path, settings: MarianSettings) -> TransformerModel:
    """Our model with Marian's weights, fp32 on the CPU, in evaluation mode.

    Raises:
        CheckpointError: a file is missing or damaged; a tensor is missing, unexpected, of the
            wrong shape or not finite.
    """
    config = settings.model
    if max(config.encoder_layers, config.decoder_layers) > _MAX_LAYERS:
        raise CheckpointError(f"{folder}: more than {_MAX_LAYERS} layers are not read")
    try:
        with torch.device("meta"):
            model = TransformerModel(config)
    except (RuntimeError, OverflowError, TypeError, MemoryError, ConfigError) as error:
        raise CheckpointError(f"{folder}: the model is too large to be built") from error
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = _Given(folder, read_tensors(folder))
    state = dict(_from_marian(given, settings, shapes))
    given.nothing_left()
    for name, expected in model.state_dict().items():
        value = state[name]
        if value.shape != expected.shape:
            raise CheckpointError(
                f"{folder}: weight {name!r} has the shape {list(value.shape)}, config.json implies "
                f"{list(expected.shape)}"
            )
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{folder}: weight {name!r} holds NaN or infinity")
    model.load_state_dict(state, assign=True)
    model.settle()
    if (positions := given.positions(config, model.position_table)) is not None:
        model.position_table = positions
    if settings.excluded:
        with torch.no_grad():
            model.output.bias[list(settings.excluded)] = float("-inf")
    return model.requires_grad_(requires_grad=True).eval()


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder: safetensors, in shards or not, or ``pytorch_model.bin``.

    The latter is a pickle, of which only tensors are read.

    Raises:
        CheckpointError: there are none, or they cannot be read.
    """
    if (folder / _INDEX).is_file():
        files = _shards(folder / _INDEX)
    else:
        files = [path for name in (_SAFE, _PICKLE) if (path := folder / name).is_file()][:1]
    if not files:
        raise CheckpointError(f"{folder}: has neither {_SAFE} nor {_PICKLE}; get it again, whole")
    tensors: dict[str, Tensor] = {}
    for path in files:
        try:
            if path.name == _PICKLE:
                # Files of before 2020 are no zip archives and cannot be mapped into memory.
                mapped = zipfile.is_zipfile(path)
                loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
            else:
                loaded = load_state_dict_from_file(path, map_location="cpu")
            found = dict(loaded)
        except Exception as error:  # a damaged file can end in nearly anything
            raise CheckpointError(
                f"{path}: is damaged, or holds more than tensors; get it again"
            ) from error
        for name, value in found.items():
            if not isinstance(name, str) or not _is_plain(value):
                raise CheckpointError(
                    f"{path}: {reprlib.repr(name)} is no plain tensor of floating-point numbers"
                )
        tensors.update(found)
    return tensors


def to_marian(model: TransformerModel) -> dict[str, Tensor]:
    """Marian's tensors of a post-norm model, those that are tied once.

    Sines and cosines of the positions alternate in some of our models and never in Marian's: the
    features of the whole model are reordered then, which changes no result.
    """
    config = model.config
    order = torch.arange(config.d_model)
    if config.positions == "sinusoidal":
        order = torch.cat([order[0::2], order[1::2]])
    state = model.state_dict()
    tensors: dict[str, Tensor] = {}
    for ours, theirs in _names(config):
        value = state[ours].detach().float()
        inner, outer = _sides(ours)
        value = value[order] if outer else value
        value = value[:, order] if inner else value
        parts = value.chunk(len(theirs))
        tensors.update({name: part.clone() for name, part in zip(theirs, parts, strict=True)})
    tables = {"source": "source_embedding.weight", "target": "target_embedding.weight"}
    for side, name in tables.items():
        tensors[side] = state[name].detach().float()[:, order].clone()
    if config.zero_start:
        tensors["target"][config.bos_id] = 0
    tensors["output"] = state["output.weight"].detach().float()[:, order].clone()
    bias = state.get("output.bias")
    size = config.target_vocabulary
    tensors["bias"] = torch.zeros(size) if bias is None else bias.detach().float().clone()
    return tensors


class _Given:
    """The tensors of a folder, each to be taken once."""

    def __init__(self, folder: Path, tensors: Mapping[str, Tensor]) -> None:
        self._folder = folder
        self._left = dict(tensors)
        self._taken: dict[str, Tensor] = {}

    def take(self, *names: str, shape: tuple[int, ...]) -> Tensor:
        """The first of ``names`` that there is, as fp32; it may be asked for again."""
        for name in names:
            if name in self._left:
                self._taken[name] = self._left.pop(name)
            if name in self._taken:
                value = self._taken[name]
                if tuple(value.shape) != shape:
                    raise CheckpointError(
                        f"{self._folder}: weight {name!r} has the shape {list(value.shape)}, "
                        f"config.json implies {list(shape)}"
                    )
                return value.float()
        raise CheckpointError(
            f"{self._folder}: weight {names[0]!r} is missing; get the folder again, whole"
        )

    def positions(self, config: TransformerConfig, computed: Tensor) -> Tensor | None:
        """The position table as stored, perhaps in half precision; None if there is none.

        Raises:
            CheckpointError: the sides have different ones, or it holds no sinusoids.
        """
        names = [f"model.{side}.embed_positions.weight" for side in ("encoder", "decoder")]
        tables = [self._left.pop(name).float() for name in names if name in self._left]
        if not tables:
            return None
        fits = all(t.dim() == 2 and len(t) and t.shape[1] == config.d_model for t in tables)
        if not fits:
            raise CheckpointError(f"{self._folder}: weight {names[0]!r} has a wrong shape")
        count = min(len(computed), *(len(table) for table in tables))
        if any((t[:count] - computed[:count]).abs().max() > _ROUNDING for t in tables):
            raise CheckpointError(
                f"{self._folder}: weight {names[0]!r} holds no sinusoids; learned positions are "
                "not supported"
            )
        if not torch.equal(tables[0], tables[-1]):
            raise CheckpointError(f"{self._folder}: the two sides have different positions")
        return torch.cat([tables[0][:count], computed[count:]])

    def nothing_left(self) -> None:
        """What transformers stores twice, or positions, may be left; nothing else."""
        doubled = {
            "model.shared.weight",
            "model.encoder.embed_tokens.weight",
            "model.decoder.embed_tokens.weight",
            "lm_head.weight",
        }
        left = {name for name in self._left if "embed_positions" not in name}
        if odd := sorted(left - doubled):
            raise CheckpointError(
                f"{self._folder}: weight {reprlib.repr(odd[0])} is unexpected; config.json belongs "
                "to another model"
            )


def _from_marian(
    given: _Given, settings: MarianSettings, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, Tensor]]:
    """Our names with fp32 tensors of the shapes that they must have."""
    config = settings.model
    for ours, theirs in _names(config):
        first, *rest = shapes[ours]
        parts = [given.take(name, shape=(first // len(theirs), *rest)) for name in theirs]
        yield ours, parts[0] if len(parts) == 1 else torch.cat(parts)
    shared = ("model.shared.weight",) if settings.shared_tables else ()
    sides = [(f"model.{side}.embed_tokens.weight",) for side in ("encoder", "decoder")]
    tied = config.tie_output
    one, two = (shared + side if tied else side + shared for side in sides)
    table, other = (config.source_vocabulary, config.d_model), shapes["output.weight"]
    source = given.take(*one, shape=table)
    target = source if config.share_embeddings else given.take(*two, shape=other)
    yield "source_embedding.weight", source
    yield "target_embedding.weight", target
    yield "output.weight", target if tied else given.take("lm_head.weight", shape=other)
    yield "output.bias", given.take("final_logits_bias", shape=(1, other[0])).reshape(-1).clone()


def _names(config: TransformerConfig) -> Iterator[tuple[str, list[str]]]:
    """Our names of everything inside the layers, with the tensors that Marian has for each."""
    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        for n in range(layers):
            ours, theirs = f"{side}.{n}", f"model.{side}.layers.{n}"
            parts = {
                "self_attention.project_in": [f"self_attn.{name}" for name in _ATTENTION],
                "self_attention.project_out": ["self_attn.out_proj"],
                "self_norm": ["self_attn_layer_norm"],
                "feed_forward.inner": ["fc1"],
                "feed_forward.outer": ["fc2"],
                "feed_norm": ["final_layer_norm"],
            }
            if side == "decoder":
                parts |= {
                    "cross_attention.project_query": ["encoder_attn.q_proj"],
                    "cross_attention.project_memory": [
                        f"encoder_attn.{name}" for name in _ATTENTION[1:]
                    ],
                    "cross_attention.project_out": ["encoder_attn.out_proj"],
                    "cross_norm": ["encoder_attn_layer_norm"],
                }
            for name, others in parts.items():
                for kind in ("weight", "bias"):
                    yield f"{ours}.{name}.{kind}", [f"{theirs}.{o}.{kind}" for o in others]


def _sides(name: str) -> tuple[bool, bool]:
    """Whether a weight reads the model's features (columns), and whether it writes them (rows)."""
    module, _, kind = name.rpartition(".")
    part = module.rpartition(".")[2]
    if part.endswith("norm"):
        return False, True
    reads = part in ("project_in", "project_query", "project_memory", "inner")
    writes = part in ("project_out", "outer")
    return reads and kind == "weight", writes


def _is_plain(value: object) -> bool:
    """Whether something is a tensor that holds each of its numbers, which are floating-point."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_nested
        and value.is_floating_point()
        and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
    )


def _shards(index: Path) -> list[Path]:
    try:
        weight_map = read_json(index).get("weight_map")
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    said = list(weight_map.values()) if isinstance(weight_map, dict) else []
    for name in said:
        plain = isinstance(name, str) and not set(name) & set("/\\:\0")
        if not plain or name.startswith(".") or not name.endswith(".safetensors"):
            shown = reprlib.repr(name)
            raise CheckpointError(f"{index}: {shown} is not the name of a file in this folder")
    names = set(said)
    for name in names:
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index.parent / name}: is missing; get the folder again")
    return sorted(index.parent / name for name in names)
