"""Whether a document from the page or a file is one that a model can have made.

:meth:`Translation.from_dict` refuses what contradicts itself. This refuses what no search gives,
and what would be too much to draw: a document can come from anybody.
"""

from __future__ import annotations

from collections.abc import Iterator

from seq2seq.translation import AttentionMap, Translation, TranslationError

__all__ = ["check_plausible"]

_PIECES = 2048
_MAPS = 512
_IDS = 2.0**31
_MOST = 1e9  # of scores and seconds: far beyond what a search gives, and safe to count with
_SLACK = 1e-3

_Range = tuple[str, float, float, float]


def check_plausible(document: Translation) -> None:
    """Raises :class:`TranslationError` with the first number that cannot be."""
    if not document.complete:
        raise TranslationError("the translation is unfinished")
    for name, encoding in (("source", document.source), ("target", document.target)):
        if max(len(encoding.pieces), len(encoding.words)) > _PIECES:
            raise TranslationError(f"{name}: more than {_PIECES} pieces or words")
    if document.attention is not None:
        _check_attention(document.attention)
    for what, value, low, high in _numbers(document):
        if not low <= value <= high:
            raise TranslationError(f"{what}: {value} cannot be")


def _check_attention(attention: AttentionMap) -> None:
    _, layers, heads, _ = attention.weights.shape
    if not attention.weights.size or layers * heads > _MAPS:
        raise TranslationError(f"attention: {attention.weights.shape} are no maps to draw")
    low, high = float(attention.weights.min()), float(attention.weights.max())
    if not -_SLACK <= low <= high <= 1 + _SLACK:
        raise TranslationError(f"attention: weights from {low} to {high}")


def _numbers(document: Translation) -> Iterator[_Range]:
    """Numbers with the least and the greatest that they can be."""
    yield "score", document.score, -_MOST, _MOST
    yield "log-probability", document.log_probability, -_MOST, _MOST
    yield "seconds", document.timing.total, 0, _MOST
    yield "parameters", document.model.parameters, 0, 2.0**53
    for encoding in (document.source, document.target):
        for piece in encoding.pieces:
            yield "id of a piece", piece.id, 0, _IDS
    for one in document.n_best:
        yield "score", one.score, -_MOST, _MOST
        for value in one.token_log_probabilities:
            yield "log-probability", value, -_MOST, _SLACK
    for value in document.token_log_probabilities:
        yield "log-probability", value, -_MOST, _SLACK
    for step in document.trace.steps if document.trace else ():
        for expansion in step.expansions:
            yield "token", expansion.token, 0, _IDS
            yield "entropy", expansion.entropy, -_SLACK, _MOST
            for candidate in expansion.candidates:
                yield "token", candidate.token, 0, _IDS
                yield "rank", candidate.rank, 1, _IDS
                yield "probability", candidate.probability, 0, 1 + _SLACK
                yield "score", candidate.step_score, -_MOST, _MOST
                yield "score", candidate.cumulative, -_MOST, _MOST
                yield "score", candidate.normalised, -_MOST, _MOST
