"""Signs that a translation went wrong, each tied to the steps that show it.

A sign is a suspicion, not a verdict: every one names what it was seen by, and what could be tried
instead. The thresholds were set on sentences that neither trained nor test the models
(``tests/bench/diagnose.py`` counts how often each sign is seen).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seq2seq.decoding.trace import Candidate
from seq2seq.path import best_path
from seq2seq.text.encoding import Encoding
from seq2seq.text.language import guess_language, recognises
from seq2seq.text.normalise import LANGUAGES
from seq2seq.text.repeats import find_repeat, plain_words
from seq2seq.translation import AttentionMap, Translation

__all__ = ["Kind", "Sign", "diagnose"]

Kind = Literal["source", "loop", "copied", "short", "unread", "unknown", "language"]

_SHORT = 0.5
_PIECES = 5  # times that a piece may follow itself: in numbers and laughter it does
_UNREAD = 0.1
_TELLING = 5  # words; the language of less is guessed wrongly too often
_BYTE = 6  # characters of "<0xE2>"


@dataclass(frozen=True)
class Sign:
    """One suspicion.

    Attributes:
        kind: ``source``: the sentence seems to be in another language than it is said to be;
            ``loop``: words again and again; ``copied``: the source's own words; ``short``: far
            fewer words than the source; ``unread``: source words that no step looked at;
            ``unknown``: characters without a piece of their own; ``language``: the text seems to
            be in another language.
        words: of the translation that show it, as indices.
        source_words: of the source that show it.
        steps: target pieces that show it.
        step: where another piece could be forced, with ``token``, the best one that was not taken
            there; None without a trace, or where the source should be changed instead.
        token: id to force at ``step``.
        probability: of that piece, the model's own.
        detail: what was seen, for the sentence about it (a language code, a number of times).
    """

    kind: Kind
    words: tuple[int, ...] = ()
    source_words: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
    step: int | None = None
    token: int | None = None
    probability: float | None = None
    detail: str = ""


def diagnose(translation: Translation) -> tuple[Sign, ...]:
    """Every sign of trouble in a complete translation, the worst first."""
    if not translation.complete or not translation.target.pieces:
        return ()
    return (
        *_source(translation),
        *_loop(translation),
        *_copied(translation),
        *_language(translation),
        *_short(translation),
        *_unread(translation),
        *_unknown(translation),
    )


def _source(translation: Translation) -> Iterator[Sign]:
    guess = _other_language(
        translation.source.text, translation.source_language, translation.target_language
    )
    if guess:
        yield Sign("source", detail=guess)


def _other_language(text: str, expected: str, other: str) -> str:
    """The language that a text seems to be in instead of ``expected``.

    Asked is whether it is one of the two languages of the translation or of the most frequent
    ones: among very many, short texts are often guessed wrongly.

    Returns:
        Its code; empty for none, for too short a text, and for languages that nobody can tell.
    """
    code, side = (language.partition("-")[0] for language in (expected, other))
    if len(plain_words(text)) < _TELLING or not recognises(code):
        return ""
    among = {code, *LANGUAGES, *([side] if recognises(side) else [])}
    guess = guess_language(text, among=sorted(among))
    return "" if guess == code else guess


def _loop(translation: Translation) -> Iterator[Sign]:
    """Words again and again, or pieces inside of one word."""
    if find_repeat(_plain(translation.source)[1]) is not None:
        return
    indices, words = _plain(translation.target)
    found = find_repeat(words)
    if found is None:
        ids = [str(piece) for piece in translation.target.ids]
        found = find_repeat(ids)
        indices = list(translation.target.word_of_piece)
        if found is None or found.times < _PIECES:
            return
    end = found.start + found.size * found.times
    first_again = indices[found.start + found.size]
    yield _sign(
        translation,
        "loop",
        words=tuple(dict.fromkeys(indices[found.start : end])),
        at_word=first_again,
        detail=str(found.times),
    )


def _copied(translation: Translation) -> Iterator[Sign]:
    """Most words of the translation stand in the source: not only a name."""
    if translation.source_language == translation.target_language:
        return
    indices, words = _plain(translation.target)
    own = set(_plain(translation.source)[1])
    same = [index for index, word in zip(indices, words, strict=True) if word in own]
    if len(words) >= 3 and len(same) >= 0.75 * len(words):
        yield _sign(translation, "copied", words=tuple(dict.fromkeys(same)), at_word=same[0])


def _language(translation: Translation) -> Iterator[Sign]:
    guess = _other_language(
        translation.text, translation.target_language, translation.source_language
    )
    if guess:
        yield _sign(translation, "language", at_word=0, detail=guess)


def _short(translation: Translation) -> Iterator[Sign]:
    source, target = (len(_plain(side)[1]) for side in (translation.source, translation.target))
    if source >= 5 and target < _SHORT * source:
        last = len(translation.target.words) - 1
        yield _sign(translation, "short", words=(last,), at_word=last, detail=f"{target}/{source}")


def _unread(translation: Translation) -> Iterator[Sign]:
    """Words of letters whose largest share of any step's attention is small."""
    attention = translation.attention
    if attention is None:
        return
    weights = AttentionMap.merge_words(
        attention.select(layer=attention.layer, head=attention.head),
        source=translation.source,
        target=translation.target,
    )
    most = np.asarray(weights).max(axis=0)
    words = translation.source.words
    missed = tuple(
        index
        for index, word in enumerate(words)
        if not word.special and sum(map(str.isalpha, word.text)) >= 4 and most[index] < _UNREAD
    )
    if missed:
        yield Sign("unread", source_words=missed)


def _unknown(translation: Translation) -> Iterator[Sign]:
    """Characters that the model spells byte by byte, on either side."""
    sides = [
        tuple(
            dict.fromkeys(
                piece.word
                for piece in side.pieces
                if len(piece.text) == _BYTE and piece.text.startswith("<0x")
            )
        )
        for side in (translation.target, translation.source)
    ]
    if any(sides):
        yield Sign(
            "unknown", words=sides[0], source_words=sides[1], steps=_steps(translation, sides[0])
        )


# --- Parts ------------------------------------------------------------------------------------


def _plain(encoding: Encoding) -> tuple[list[int], list[str]]:
    """Words without punctuation, each with the index of the word of the text it stands in."""
    indices, words = [], []
    for index, word in enumerate(encoding.words):
        if not word.special:
            for part in plain_words(word.text):
                indices.append(index)
                words.append(part)
    return indices, words


def _steps(translation: Translation, words: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(i for i, p in enumerate(translation.target.pieces) if p.word in words)


def _sign(
    translation: Translation,
    kind: Kind,
    *,
    at_word: int,
    words: tuple[int, ...] = (),
    detail: str = "",
) -> Sign:
    """A sign with the best piece that was not taken at the first piece of a word."""
    step = next(i for i, p in enumerate(translation.target.pieces) if p.word == at_word)
    other = _other(translation, step)
    return Sign(
        kind,
        words=words,
        steps=_steps(translation, words),
        step=step if other else None,
        token=other.token if other else None,
        probability=other.probability if other else None,
        detail=detail,
    )


def _other(translation: Translation, step: int) -> Candidate | None:
    path = best_path(translation)
    if step >= len(path):
        return None
    chosen = path[step].chosen.token
    others = [c for c in path[step].expansion.candidates if c.token != chosen]
    return min(others, key=lambda candidate: candidate.rank, default=None)
