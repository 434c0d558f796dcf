"""What goes wrong in translations, counted without looking at their meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq.text.language import guess_language
from seq2seq.text.repeats import find_repeat, plain_words

__all__ = ["Failures", "count_failures", "loops"]


@dataclass(frozen=True)
class Failures:
    """Numbers of translations, out of all of a test set.

    Attributes:
        empty: without a word.
        copied: the source again, where the reference is not.
        looping: a stretch of one to four words three times in a row or more, which neither the
            source nor the reference has.
        wrong_language: seem to be in another language than the target, where the reference does
            not.
    """

    empty: int = 0
    copied: int = 0
    looping: int = 0
    wrong_language: int = 0


def count_failures(
    sources: Sequence[str],
    translations: Sequence[str],
    references: Sequence[str],
    *,
    target_language: str,
    languages: Sequence[str],
) -> Failures:
    """Count them.

    Args:
        sources, translations, references: in the same order.
        target_language: that was wanted.
        languages: among which the language of a translation is guessed.
    """
    empty = copied = looping = wrong = 0

    def strays(text: str) -> bool:
        return guess_language(text, among=languages) != target_language

    for source, made, reference in zip(sources, translations, references, strict=True):
        if not made.strip():
            empty += 1
            continue
        copied += _plain(made) == _plain(source) != _plain(reference)
        looping += loops(made) and not loops(source) and not loops(reference)
        wrong += strays(made) and not strays(reference)
    return Failures(empty=empty, copied=copied, looping=looping, wrong_language=wrong)


def loops(text: str) -> bool:
    """Whether one to four words (or Chinese characters) stand three times in a row."""
    return find_repeat(plain_words(text)) is not None


def _plain(text: str) -> str:
    return " ".join(plain_words(text))
