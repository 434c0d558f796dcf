"""Names and layout of Marian's tensors, both ways.

Marian keeps queries, keys and values apart; ours are fused into one product. Everything else
has only another name.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from seq2seq.config import ConfigError, TransformerConfig
from seq2seq.marian.files import StoredTensor, open_tensors
from seq2seq.marian.settings import MarianSettings
from seq2seq.nn.transformer import TransformerModel, sinusoids
from seq2seq.weights import CheckpointError, Unfilled, fill, is_finite

__all__ = ["MarianStoredWeights", "load_weights", "open_weights", "to_marian"]

_ATTENTION = ("q_proj", "k_proj", "v_proj")
_MAX_LAYERS = 256
_ROUNDING = 0.01  # of a position table that was kept in half precision


def load_weights(folder: Path, settings: MarianSettings) -> TransformerModel:
    """Our model with Marian's weights, fp32 on the CPU, in evaluation mode.

    Raises:
        CheckpointError: a file is missing or damaged; a tensor is missing, unexpected, of the
            wrong shape or not finite.
    """
    model, stored = open_weights(folder, settings)
    positions = model.position_table
    fill(model, stored)
    if not positions.is_meta:
        model.position_table = positions
    return model


def open_weights(
    folder: Path, settings: MarianSettings
) -> tuple[TransformerModel, MarianStoredWeights]:
    """Our model without memory for its weights, but for stored positions, and where they are.

    Raises:
        CheckpointError: as :func:`load_weights`, but for weights that are not finite, which are
            found when they are read.
    """
    config = settings.model
    if max(config.encoder_layers, config.decoder_layers) > _MAX_LAYERS:
        raise CheckpointError(f"{folder}: more than {_MAX_LAYERS} layers are not read")
    try:
        with Unfilled(), torch.device("meta"):
            model = TransformerModel(config)
    except (RuntimeError, OverflowError, TypeError, MemoryError, ConfigError) as error:
        raise CheckpointError(f"{folder}: the model is too large to be built") from error
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = _Given(folder, open_tensors(folder))
    parts = {name: given.take(places) for name, places in _places(settings, shapes)}
    computed = sinusoids(len(model.position_table), config.d_model, halves=True)
    if (positions := given.positions(config, computed)) is not None:
        model.position_table = positions
    given.nothing_left()
    return model.eval(), MarianStoredWeights(model, parts, settings, folder=folder)


class MarianStoredWeights:
    """Weights that stay on disk until they are needed, one by one.

    Args:
        outline: the model, from :func:`open_weights`.
        parts: for each of our names Marian's tensors, which stand one below the other in ours.
        settings: of the folder; some pieces may be excluded.
        folder: of the model, for messages.
    """

    def __init__(
        self,
        outline: TransformerModel,
        parts: Mapping[str, Sequence[StoredTensor]],
        settings: MarianSettings,
        *,
        folder: Path,
    ) -> None:
        self._names = {id(value): key for key, value in outline.state_dict(keep_vars=True).items()}
        self._outline = outline  # so that no id is given twice
        self._parts = parts
        self._excluded = list(settings.excluded)
        self._folder = folder

    def read(self, parameter: Tensor) -> Tensor:
        """A parameter of the outline in fp32.

        Raises:
            CheckpointError: it cannot be read, or is not finite.
        """
        name = self._names[id(parameter)]
        parts = [part.read().float() for part in self._parts[name]]
        value = parts[0] if len(parts) == 1 else torch.cat(parts)
        value = value.reshape(parameter.shape)
        self._check(value, name)
        if name == "output.bias" and self._excluded:
            value = value.clone()
            value[self._excluded] = float("-inf")
        return value

    def read_rows(self, parameter: Tensor, *, at_once: int) -> Iterator[Tensor]:
        """The same for a matrix, a few rows after the other: some ``at_once`` numbers of them.

        Raises:
            CheckpointError: as :meth:`read`.
        """
        name = self._names[id(parameter)]
        step = max(1, at_once // parameter.shape[1])
        for part in self._parts[name]:
            for first in range(0, part.shape[0], step):
                value = part.read(first, first + step).float()
                self._check(value, name)
                yield value

    def read_int8(self, parameter: Tensor) -> None:
        """None: Marian's folders have no matrices in 8 bits."""
        return

    def _check(self, value: Tensor, name: str) -> None:
        if not is_finite(value):
            raise CheckpointError(f"{self._folder}: weight {name!r} holds NaN or infinity")


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


_Place = tuple[tuple[str, ...], tuple[int, ...]]
"""Names, of which the first that there is counts, and the shape."""


class _Given:
    """The tensors of a folder."""

    def __init__(self, folder: Path, tensors: Mapping[str, StoredTensor]) -> None:
        self._folder = folder
        self._tensors = tensors
        self._taken: set[str] = set()

    def take(self, places: Sequence[_Place]) -> list[StoredTensor]:
        """Tensors; each may be asked for again."""
        return [self._one(*place) for place in places]

    def _one(self, names: tuple[str, ...], shape: tuple[int, ...]) -> StoredTensor:
        for name in names:
            if name in self._tensors:
                found = self._tensors[name]
                if found.shape != shape:
                    raise CheckpointError(
                        f"{self._folder}: weight {name!r} has the shape {list(found.shape)}, "
                        f"config.json implies {list(shape)}"
                    )
                self._taken.add(name)
                return found
        raise CheckpointError(
            f"{self._folder}: weight {names[0]!r} is missing; get the folder again, whole"
        )

    def positions(self, config: TransformerConfig, computed: Tensor) -> Tensor | None:
        """The position table as stored, perhaps in half precision; None if there is none.

        Raises:
            CheckpointError: the sides have different ones, or it holds no sinusoids.
        """
        names = [f"model.{side}.embed_positions.weight" for side in ("encoder", "decoder")]
        found = [self._tensors[name] for name in names if name in self._tensors]
        if not found:
            return None
        shapes = [one.shape for one in found]
        if not all(len(shape) == 2 and shape[0] and shape[1] == config.d_model for shape in shapes):
            raise CheckpointError(f"{self._folder}: weight {names[0]!r} has a wrong shape")
        count = min(len(computed), *(shape[0] for shape in shapes))
        tables = [t.read()[:count].float() for t in found]
        # Written so that NaN does not pass.
        if not all(bool(((t - computed[:count]).abs() <= _ROUNDING).all()) for t in tables):
            raise CheckpointError(
                f"{self._folder}: weight {names[0]!r} holds no sinusoids; learned positions are "
                "not supported"
            )
        if not torch.equal(tables[0], tables[-1]):
            raise CheckpointError(f"{self._folder}: the two sides have different positions")
        return torch.cat([tables[0], computed[count:]])

    def nothing_left(self) -> None:
        """What transformers stores twice, or positions, may be left; nothing else."""
        doubled = {
            "model.shared.weight",
            "model.encoder.embed_tokens.weight",
            "model.decoder.embed_tokens.weight",
            "lm_head.weight",
        }
        left = {name for name in self._tensors if "embed_positions" not in name}
        if odd := sorted(left - doubled - self._taken):
            raise CheckpointError(
                f"{self._folder}: weight {reprlib.repr(odd[0])} is unexpected; config.json belongs "
                "to another model"
            )


def _places(
    settings: MarianSettings, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, list[_Place]]]:
    """Our names, each with Marian's tensors that it consists of."""
    config = settings.model
    for ours, theirs in _names(config):
        first, *rest = shapes[ours]
        yield ours, [((name,), (first // len(theirs), *rest)) for name in theirs]
    shared = ("model.shared.weight",) if settings.shared_tables else ()
    sides = [(f"model.{side}.embed_tokens.weight",) for side in ("encoder", "decoder")]
    tied = config.tie_output
    one, two = (shared + side if tied else side + shared for side in sides)
    table, other = (config.source_vocabulary, config.d_model), shapes["output.weight"]
    source = one, table
    target = source if config.share_embeddings else (two, other)
    yield "source_embedding.weight", [source]
    yield "target_embedding.weight", [target]
    yield "output.weight", [target if tied else (("lm_head.weight",), other)]
    yield "output.bias", [(("final_logits_bias",), (1, other[0]))]


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
