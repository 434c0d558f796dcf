"""What changed from one translation to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

import numpy as np

from seq2seq.text.encoding import Encoding
from seq2seq.translation import AttentionMap, Translation

__all__ = ["Difference", "Stretch", "difference"]


@dataclass(frozen=True)
class Stretch:
    """Words in a row that stand in both translations, or in one of them.

    Attributes:
        kind: ``same``, ``removed`` (only before) or ``added`` (only after).
        text: the words with what stands before and between them.
    """

    kind: Literal["same", "removed", "added"]
    text: str


@dataclass(frozen=True)
class Difference:
    """Of two translations.

    Attributes:
        stretches: both texts in one, in reading order.
        score: normalised score, after minus before.
        log_probability: the same of the log-probability.
        attention: how far the attention of the words that both have moved: the share of its
            weight that lies elsewhere, from 0 to 1 (total variation distance), on average; None
            if there are no such words or a model has no attention.
        common: words that both have.
    """

    stretches: tuple[Stretch, ...]
    score: float
    log_probability: float
    attention: float | None
    common: int


def difference(before: Translation, after: Translation) -> Difference:
    """Compare word by word (longest common blocks, Ratcliff and Metzener 1988)."""
    targets = _matched(before.target, after.target)
    return Difference(
        stretches=tuple(_stretches(before.target, after.target)),
        score=after.score - before.score,
        log_probability=after.log_probability - before.log_probability,
        attention=_moved(before, after, targets),
        common=len(targets),
    )


def _blocks(before: Encoding, after: Encoding) -> SequenceMatcher[str]:
    one, other = (
        [word.text for word in side.words if not word.special] for side in (before, after)
    )
    return SequenceMatcher(None, one, other, autojunk=False)


def _matched(before: Encoding, after: Encoding) -> list[tuple[int, int]]:
    """Pairs of equal words, by their indices; special ones (the end) match as well."""
    plain = [[i for i, w in enumerate(side.words) if not w.special] for side in (before, after)]
    pairs = [
        (plain[0][block.a + offset], plain[1][block.b + offset])
        for block in _blocks(before, after).get_matching_blocks()
        for offset in range(block.size)
    ]
    for index, word in enumerate(before.words):
        same = [i for i, w in enumerate(after.words) if w.special and w.text == word.text]
        if word.special and len(same) == 1:
            pairs.append((index, same[0]))
    return pairs


def _stretches(before: Encoding, after: Encoding) -> Iterator[Stretch]:
    for kind, a, b, c, d in _blocks(before, after).get_opcodes():
        if kind == "equal":
            yield Stretch("same", _text(after, c, d))
            continue
        if b > a:
            yield Stretch("removed", _text(before, a, b))
        if d > c:
            yield Stretch("added", _text(after, c, d))


def _text(encoding: Encoding, first: int, end: int) -> str:
    """Words ``first`` to ``end`` with the space before them."""
    words = [word for word in encoding.words if not word.special]
    start = words[first - 1].end if first else 0
    return encoding.text[start : words[end - 1].end]


def _moved(before: Translation, after: Translation, targets: list[tuple[int, int]]) -> float | None:
    maps = [_word_map(document) for document in (before, after)]
    first, second = maps
    if first is None or second is None or not targets:
        return None
    # Columns of source words that both sentences have stand side by side, all others alone.
    sources = _matched(before.source, after.source)
    alone = [sorted(set(range(m.shape[1])) - {s[side] for s in sources})
             for side, m in enumerate((first, second))]  # fmt: skip
    width = len(sources) + len(alone[0])
    total = 0.0
    for row, other in targets:
        one = np.zeros(width + len(alone[1]))
        two = one.copy()
        one[: len(sources)] = first[row, [pair[0] for pair in sources]]
        two[: len(sources)] = second[other, [pair[1] for pair in sources]]
        one[len(sources) : width] = first[row, alone[0]]
        two[width:] = second[other, alone[1]]
        total += 0.5 * float(np.abs(one - two).sum())
    return min(total / len(targets), 1.0)


def _word_map(document: Translation) -> np.ndarray | None:
    """Attention of words over words, of the layer and head that are shown first."""
    attention = document.attention
    if attention is None:
        return None
    weights = attention.select(layer=attention.layer, head=attention.head)
    return AttentionMap.merge_words(weights, source=document.source, target=document.target)
