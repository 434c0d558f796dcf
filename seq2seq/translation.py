"""The Translation document: one sentence, how it was translated, and by what.

Figures, downloads, the permalink and the API read this and nothing else. It imports no
torch, survives a round trip through JSON unchanged, and carries a schema version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from seq2seq.config import SearchConfig
from seq2seq.decoding.trace import Trace
from seq2seq.plain import from_plain, to_plain
from seq2seq.text.encoding import Encoding, Piece, Word

__all__ = [
    "SCHEMA",
    "Alternative",
    "AttentionMap",
    "ModelCardInfo",
    "PieceTexts",
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


class PieceTexts(Mapping[int, str]):
    """Display texts of pieces, looked up when the first is asked for.

    Args:
        look_up: gives all of them.
    """

    def __init__(self, look_up: Callable[[], dict[int, str]]) -> None:
        self._look_up: Callable[[], dict[int, str]] | None = look_up
        self._found: dict[int, str] | None = None

    @property
    def _texts(self) -> dict[int, str]:
        look_up = self._look_up  # another thread lets go of it after it has found them
        if self._found is None and look_up is not None:
            self._found = look_up()
            self._look_up = None
        assert self._found is not None  # noqa: S101  (for the type checker)
        return self._found

    def __getitem__(self, piece: int) -> str:
        return self._texts[piece]

    def __iter__(self) -> Iterator[int]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def values(self) -> ValuesView[str]:
        """All texts."""
        return self._texts.values()

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self._texts,)

    def __repr__(self) -> str:
        return repr(self._texts)


@dataclass(frozen=True)
class Alternative:
    """One entry of the n-best list.

    Attributes:
        target: its text, pieces and words.
        score: normalised, what the list is sorted by.
        log_probability: sum over ``token_log_probabilities``.
        token_log_probabilities: the model's own, one per target piece, eos included.
        node: its last node in the trace, if there is one; a document may be passed on without it.
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
    piece_texts: Mapping[int, str]
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
        result = to_plain(self)
        assert isinstance(result, dict)  # noqa: S101  (for the type checker)
        return result

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read a document back.

        Raises:
            TranslationError: another schema, a missing key, a value of the wrong kind, or parts
                that contradict each other.
        """
        if not isinstance(values, dict) or "schema" not in values:
            raise TranslationError("not a Translation document: it has no 'schema'")
        schema = values["schema"]
        if isinstance(schema, int) and schema != SCHEMA:
            raise TranslationError(f"schema {schema} cannot be read, only schema {SCHEMA}")
        try:
            document = from_plain(cls, values, where=cls.__name__)
            _check(document)
        except ValueError as error:
            raise TranslationError(f"damaged Translation document: {error}") from error
        assert isinstance(document, cls)  # noqa: S101
        return document


# --- What must fit together -------------------------------------------------------------------


def _check(document: Translation) -> None:
    """Refuse what no search writes and no figure could draw: a document can come from anybody."""
    for name, encoding in (("source", document.source), ("target", document.target)):
        _check_encoding(name, encoding)
    _check_probabilities("target", document.target, document.token_log_probabilities)
    nodes = _check_trace(document.trace, sources=len(document.source.pieces))
    for index, alternative in enumerate(document.n_best):
        name = f"n_best[{index}]"
        _check_encoding(name, alternative.target)
        _check_probabilities(name, alternative.target, alternative.token_log_probabilities)
        known = alternative.node is None or alternative.node in nodes
        if document.trace is not None and not known:
            raise ValueError(f"{name}: node {alternative.node} is not in the trace")
    if document.n_best and document.n_best[0].target != document.target:
        raise ValueError("n_best: the first is not the target")
    if document.attention is not None:
        _check_attention(document.attention, source=document.source, target=document.target)


def _check_encoding(name: str, encoding: Encoding) -> None:
    parts: dict[str, Sequence[Piece | Word]] = {"pieces": encoding.pieces, "words": encoding.words}
    for kind, spans in parts.items():
        for index, span in enumerate(spans):
            if not 0 <= span.start <= span.end <= len(encoding.text):
                raise ValueError(f"{name}.{kind}[{index}]: lies outside the text")
    for index, word in enumerate(encoding.word_of_piece):
        if not 0 <= word < len(encoding.words):
            raise ValueError(f"{name}.pieces[{index}]: there is no word {word}")


def _check_probabilities(name: str, target: Encoding, values: tuple[float, ...]) -> None:
    if len(values) != len(target.pieces):
        raise ValueError(f"{name}: {len(target.pieces)} pieces, {len(values)} log-probabilities")


def _check_attention(attention: AttentionMap, *, source: Encoding, target: Encoding) -> None:
    layers, heads = len(attention.layers), len(attention.heads)
    shape = (len(target.pieces), layers, heads, len(source.pieces))
    if attention.weights.shape != shape:
        raise ValueError(f"attention: shape {attention.weights.shape}, the text needs {shape}")
    for axis, shown, size in (("layer", attention.layer, layers), ("head", attention.head, heads)):
        if shown is not None and not 0 <= shown < size:
            raise ValueError(f"attention: there is no {axis} {shown}")


def _check_trace(trace: Trace | None, *, sources: int) -> frozenset[int]:
    """All nodes of the trace; each grew from a hypothesis of the step before."""
    nodes: set[int] = set()
    grown: dict[int, int | None] = {0: None}  # by the last step, with their parents
    for place, step in enumerate(trace.steps if trace else ()):
        name = f"trace.steps[{place}]"
        if step.position != place:
            raise ValueError(f"{name}: has position {step.position}")
        following: dict[int, int | None] = {}
        for expansion in step.expansions:
            if (expansion.node, expansion.parent) not in grown.items():
                raise ValueError(f"{name}: node {expansion.node} did not grow from its parent")
            if expansion.attention is not None and len(expansion.attention) != sources:
                raise ValueError(f"{name}: attention does not fit the source")
            for candidate in expansion.candidates:
                if (candidate.node is None) != (candidate.fate == "pruned"):
                    raise ValueError(f"{name}: only a pruned candidate has no node")
                if candidate.rank < 1:
                    raise ValueError(f"{name}: rank {candidate.rank} is below 1")
                if candidate.node is None:
                    continue
                if candidate.node in nodes or candidate.node in following:
                    raise ValueError(f"{name}: node {candidate.node} occurs twice")
                following[candidate.node] = expansion.node
        nodes |= set(following)
        grown = following
    for finished in trace.finished if trace else ():
        if finished.node not in nodes:
            raise ValueError(f"trace.finished: node {finished.node} is not in the trace")
    return frozenset(nodes)
