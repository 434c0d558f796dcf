"""BLEU by the length of the source: where a model without attention gives way (Bahdanau 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq.evaluation.metrics import score
from seq2seq.text.tokenise import tokenise

__all__ = ["LENGTHS", "LengthScore", "score_by_length"]

LENGTHS = (1, 6, 11, 16, 21, 31, 41, 51)
"""First length of each bin, in words; the last one has no end."""


@dataclass(frozen=True)
class LengthScore:
    """Scores of the sentences of one bin.

    Attributes:
        first, last: source length in words; ``last`` None has no end.
        sentences: how many.
        bleu, chrf: of them together, None without any.
    """

    first: int
    last: int | None
    sentences: int
    bleu: float | None
    chrf: float | None


def score_by_length(
    sources: Sequence[str],
    translations: Sequence[str],
    references: Sequence[str],
    *,
    source_language: str,
    target_language: str,
) -> list[LengthScore]:
    """Score each bin of source lengths by itself.

    Words are those of the text pipeline, punctuation included; Chinese counts characters.
    """
    lengths = [_words(source, source_language) for source in sources]
    result = []
    for first, following in zip(LENGTHS, (*LENGTHS[1:], None), strict=True):
        rows = [
            row
            for row, length in enumerate(lengths)
            if first <= length and (following is None or length < following)
        ]
        scores = (
            score(
                [translations[row] for row in rows],
                [references[row] for row in rows],
                target_language=target_language,
            )
            if rows
            else None
        )
        result.append(
            LengthScore(
                first=first,
                last=None if following is None else following - 1,
                sentences=len(rows),
                bleu=round(scores.bleu.value, 2) if scores else None,
                chrf=round(scores.chrf.value, 2) if scores else None,
            )
        )
    return result


def _words(text: str, language: str) -> int:
    tokens = tokenise(text, language=language)
    return max(1, sum(len(token.text) if token.cjk else 1 for token in tokens))
