"""Names and layout of Marian's tensors, both ways.

Marian keeps queries, keys and values apart; ours are fused into one product. Everything else
has only another name.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from seq2seq.config import TransformerConfig
from seq2seq.marian.files import StoredTensor, open_tensors
from seq2seq.marian.settings import MarianSettings
from seq2seq.parameters import Shape, parameter_count, parameter_shapes, sinusoids
from seq2seq.stored import CheckpointError, is_finite

__all__ = ["MarianStoredWeights", "marian_names", "open_weights"]

_ATTENTION = ("q_proj", "k_proj", "v_proj")
_MAX_LAYERS = 256
_MAX_PARAMETERS = 2**40
_ROUNDING = 0.01  # of a position table that was kept in half precision


def open_weights(folder: Path, settings: MarianSettings) -> MarianStoredWeights:
    """Where the weights of a model are.

    Raises:
        CheckpointError: a file is missing or damaged; a tensor is missing, unexpected or of the
            wrong shape; the sizes are absurd.
    """
    config = settings.model
    if max(config.encoder_layers, config.decoder_layers) > _MAX_LAYERS:
        raise CheckpointError(f"{folder}: more than {_MAX_LAYERS} layers are not read")
    if parameter_count(config) > _MAX_PARAMETERS:
        raise CheckpointError(f"{folder}: the model is too large to be built")
    shapes = parameter_shapes(config)
    given = _Given(folder, open_tensors(folder))
    parts = {name: given.take(places) for name, places in _places(settings, shapes)}
    positions = given.positions(config)
    given.nothing_left()
    return MarianStoredWeights(shapes, parts, settings, positions=positions, folder=folder)


class MarianStoredWeights:
    """Weights that stay on disk until they are needed, one by one.

    Args:
        shapes: of our parameters, by name.
        parts: for each of our names Marian's tensors, which stand one below the other in ours.
        settings: of the folder; some pieces may be excluded.
        positions: the table as stored, if it is.
        folder: of the model, for messages.
    """

    def __init__(
        self,
        shapes: Mapping[str, Shape],
        parts: Mapping[str, Sequence[StoredTensor]],
        settings: MarianSettings,
        *,
        positions: np.ndarray | None,
        folder: Path,
    ) -> None:
        self.positions = positions
        self._shapes = shapes
        self._parts = parts
        self._excluded = list(settings.excluded)
        self._folder = folder

    def read(self, name: str) -> np.ndarray:
        """A parameter in fp32.

        Raises:
            CheckpointError: it cannot be read, or is not finite.
        """
        parts = [part.read().astype(np.float32) for part in self._parts[name]]
        value = (parts[0] if len(parts) == 1 else np.concatenate(parts)).reshape(self._shapes[name])
        self._check(value, name)
        if name == "output.bias" and self._excluded:
            value[self._excluded] = -np.inf
        return value

    def read_rows(self, name: str, *, at_once: int) -> Iterator[tuple[np.ndarray, None]]:
        """A matrix in fp32, a few rows after the other: some ``at_once`` numbers of them.

        Raises:
            CheckpointError: as :meth:`read`.
        """
        step = max(1, at_once // self._shapes[name][1])
        for part in self._parts[name]:
            for first in range(0, part.shape[0], step):
                value = part.read(first, min(first + step, part.shape[0])).astype(
                    np.float32, copy=False
                )
                self._check(value, name)
                yield value, None

    def _check(self, value: np.ndarray, name: str) -> None:
        if not is_finite(value):
            raise CheckpointError(f"{self._folder}: weight {name!r} holds NaN or infinity")


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

    def positions(self, config: TransformerConfig) -> np.ndarray | None:
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
        count = min(shape[0] for shape in shapes)
        computed = sinusoids(count, config.d_model, halves=True)
        tables = [t.read()[:count].astype(np.float32) for t in found]
        # Written so that NaN does not pass.
        if not all(bool((np.abs(t - computed) <= _ROUNDING).all()) for t in tables):
            raise CheckpointError(
                f"{self._folder}: weight {names[0]!r} holds no sinusoids; learned positions are "
                "not supported"
            )
        if not np.array_equal(tables[0], tables[-1]):
            raise CheckpointError(f"{self._folder}: the two sides have different positions")
        return tables[0]

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
    for ours, theirs in marian_names(config):
        first, *rest = shapes[ours]
        yield ours, [((name,), (first // len(theirs), *rest)) for name in theirs]
    shared = ("model.shared.weight",) if settings.shared_tables else ()
    sides = [(f"model.{side}.embed_tokens.weight",) for side in ("encoder", "decoder")]
    tied = config.tie_output
    one, two = (shared + side if tied else side + shared for side in sides)
    other = config.target_vocabulary, config.d_model
    yield "source_embedding.weight", [(one, (config.source_vocabulary, config.d_model))]
    if not config.share_embeddings:
        yield "target_embedding.weight", [(two, other)]
    if not tied:
        yield "output.weight", [(("lm_head.weight",), other)]
    yield "output.bias", [(("final_logits_bias",), (1, other[0]))]


def marian_names(config: TransformerConfig) -> Iterator[tuple[str, list[str]]]:
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
