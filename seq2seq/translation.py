"""The Translation document: one sentence, how it was translated, and by what.

Figures, downloads, the permalink and the API read this and nothing else. It imports no
torch, survives a round trip through JSON unchanged, and carries a schema version.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

import numpy as np

from seq2seq.config import SearchConfig
from seq2seq.decoding.trace import Trace
from seq2seq.text.encoding import Encoding

__all__ = [
    "SCHEMA",
    "Alternative",
    "AttentionMap",
    "ModelCardInfo",
    "Timing",
    "Translation",
    "TranslationError",
]

SCHEMA = 1


class TranslationError(ValueError):
    """A document that is not a Translation, or of another schema; the message says why."""


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Attention of every target piece over every source piece.

    Attributes:
        weights: (target pieces, layers, heads, source pieces) float32; the last axis sums to 1.
            Row t was read while the decoder produced target piece t.
        layers, heads: names of the axes.
        layer, head: shown first; None means the mean over that axis.
    """

    weights: np.ndarray
    layers: tuple[str, ...]
    heads: tuple[str, ...]
    layer: int | None = None
    head: int | None = None

    def select(self, *, layer: int | None = None, head: int | None = None) -> np.ndarray:
        """One map (target pieces, source pieces); None averages over that axis."""
        chosen = self.weights.mean(axis=1) if layer is None else self.weights[:, layer]
        return np.asarray(chosen.mean(axis=1) if head is None else chosen[:, head])

    @staticmethod
    def merge_words(weights: np.ndarray, *, source: Encoding, target: Encoding) -> np.ndarray:
        """Pieces to words: sum over a word's source pieces, mean over its target pieces.

        Rows still sum to 1. ``weights`` is (target pieces, source pieces); the result is
        (target words, source words), special words included.
        """
        to_source = _membership(source)
        to_target = _membership(target)
        size = np.maximum(to_target.sum(axis=0, keepdims=True), 1)
        return np.asarray((to_target / size).T @ weights @ to_source)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AttentionMap):
            return NotImplemented
        names = (self.layers, self.heads, self.layer, self.head)
        same = names == (other.layers, other.heads, other.layer, other.head)
        return same and np.array_equal(self.weights, other.weights)

    __hash__ = None  # type: ignore[assignment]


def _membership(encoding: Encoding) -> np.ndarray:
    """(pieces, words) matrix, 1 where a piece belongs to a word."""
    matrix = np.zeros((len(encoding.pieces), len(encoding.words)), dtype=np.float32)
    for index, piece in enumerate(encoding.pieces):
        matrix[index, piece.word] = 1
    return matrix


@dataclass(frozen=True)
class Alternative:
    """One entry of the n-best list.

    Attributes:
        target: its text, pieces and words.
        score: normalised, what the list is sorted by.
        log_probability: sum over ``token_log_probabilities``.
        token_log_probabilities: the model's own, one per target piece, eos included.
        node: its last node in the trace, if there is one.
    """

    target: Encoding
    score: float
    log_probability: float
    token_log_probabilities: tuple[float, ...]
    node: int | None = None


@dataclass(frozen=True)
class Timing:
    """Wall-clock seconds; shared evenly among the sentences of a batch."""

    text: float
    encoder: float
    decoder: float

    @property
    def total(self) -> float:
        """All three together."""
        return self.text + self.encoder + self.decoder


@dataclass(frozen=True)
class ModelCardInfo:
    """Which checkpoint made the translation.

    Attributes:
        name: folder name or Hub id.
        revision: digest of the weights, so that a permalink can tell whether they changed.
        architecture: one line for people, ``"Transformer, 3+3 layers, 256 wide, 4 heads"``.
        parameters: how many.
        device, precision: where and in which number format it ran.
    """

    name: str
    revision: str
    architecture: str
    parameters: int
    device: str = "cpu"
    precision: str = "fp32"


@dataclass(frozen=True)
class Translation:
    """A translated sentence with everything that can be shown about it.

    Attributes:
        source, target: both sides with pieces and words. While streaming, ``target`` is the
            best hypothesis so far and ``complete`` is False.
        source_language, target_language: codes.
        score, log_probability, token_log_probabilities: of the best hypothesis, as in
            :class:`Alternative`.
        attention: of the best hypothesis; None for a model without attention.
        n_best: best first, the first equals ``target``.
        trace: the record of the search, if asked for.
        piece_texts: display text of every id that occurs in the trace.
        timing, model, search: how long, by what, with which settings.
        prefix: ids that were forced at the start of the target.
        warnings: for people, for instance that the length limit cut the output.
    """

    source: Encoding
    target: Encoding
    source_language: str
    target_language: str
    score: float
    log_probability: float
    token_log_probabilities: tuple[float, ...]
    attention: AttentionMap | None
    n_best: tuple[Alternative, ...]
    trace: Trace | None
    piece_texts: dict[int, str]
    timing: Timing
    model: ModelCardInfo
    search: SearchConfig
    prefix: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    complete: bool = True
    schema: int = field(default=SCHEMA)

    @property
    def text(self) -> str:
        """The translation itself."""
        return self.target.text

    @property
    def word_probabilities(self) -> tuple[float, ...]:
        """The model's own probability of each target word: the product over its pieces."""
        logs = [0.0] * len(self.target.words)
        for piece, value in zip(self.target.pieces, self.token_log_probabilities, strict=True):
            logs[piece.word] += value
        return tuple(float(np.exp(value)) for value in logs)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; :meth:`from_dict` gives an equal document back."""
        result = _to_plain(self)
        assert isinstance(result, dict)  # noqa: S101  (for the type checker)
        return result

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read a document back.

        Raises:
            TranslationError: another schema, a missing key, or a value of the wrong kind.
        """
        if not isinstance(values, dict) or "schema" not in values:
            raise TranslationError("not a Translation document: it has no 'schema'")
        if values["schema"] != SCHEMA:
            raise TranslationError(
                f"schema {values['schema']!r} cannot be read, only schema {SCHEMA}"
            )
        try:
            document = _from_plain(cls, values)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise TranslationError(f"damaged Translation document: {error}") from error
        assert isinstance(document, cls)  # noqa: S101
        return document


def _to_plain(value: Any) -> Any:
    if isinstance(value, SearchConfig):
        return value.to_dict()
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "data": [float(x) for x in value.ravel()]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_to_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _to_plain(item) for key, item in value.items()}
    return value


def _from_plain(hint: Any, value: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in inner:
            return None
        return _from_plain(next(h for h in inner if h is not type(None)), value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, found {type(value).__name__}")
        return tuple(_from_plain(inner[0], item) for item in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, found {type(value).__name__}")
        return {inner[0](key): _from_plain(inner[1], item) for key, item in value.items()}
    if origin is Literal:
        if value not in inner:
            raise ValueError(f"{value!r} is not one of {inner}")
        return value
    if hint is np.ndarray:
        return np.asarray(value["data"], dtype=np.float32).reshape(value["shape"])
    if isinstance(hint, type) and issubclass(hint, SearchConfig):
        return SearchConfig.from_dict(value)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, found {type(value).__name__}")
        names = {f.name for f in dataclasses.fields(hint)}
        if unknown := set(value) - names:
            raise ValueError(f"unknown key {min(unknown)!r}")
        hints = get_type_hints(hint)
        values = {key: _from_plain(hints[key], item) for key, item in value.items()}
        return hint(**values)  # type: ignore[operator]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint):
        raise TypeError(f"expected {hint.__name__}, found {type(value).__name__}")
    return value
