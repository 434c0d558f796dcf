"""Word alignment from attention, measured against gold links.

A link (i, j) says that source word i and target word j translate each other, both counted from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from seq2seq.config import ConfigError
from seq2seq.text.encoding import Encoding

__all__ = [
    "READINGS",
    "AlignedPair",
    "Link",
    "Reading",
    "alignment_error_rate",
    "grow_diagonal",
    "joined_links",
    "read_gold",
    "relative",
    "strongest_links",
    "word_attention",
]

Link = tuple[int, int]
Reading = Literal["producing", "input"]
"""Attention of a target word: while it is produced, or one step later, when it is the input."""

READINGS: tuple[Reading, ...] = ("producing", "input")

_LINK = re.compile(r"(\d+)([-p])(\d+)")


@dataclass(frozen=True)
class AlignedPair:
    """A sentence pair with gold links.

    Attributes:
        source, target: words.
        sure: links that all annotators want.
        possible: links that may be there, the sure ones included.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    sure: frozenset[Link]
    possible: frozenset[Link]

    @property
    def reversed(self) -> AlignedPair:
        """The same pair in the other direction."""
        sure, possible = (frozenset((j, i) for i, j in s) for s in (self.sure, self.possible))
        return AlignedPair(self.target, self.source, sure, possible)


def read_gold(sentences: Path, links: Path) -> list[AlignedPair]:
    """Read ``source ||| target`` lines and their ``1-1 2p3`` links (from 1; ``p``: possible).

    Raises:
        ConfigError: a file cannot be read, or a line does not fit; names the line.
    """
    lines = []
    for path in (sentences, links):
        try:
            lines.append(path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read ({error})") from error
    if len(lines[0]) != len(lines[1]):
        raise ConfigError(f"{links}: has {len(lines[1])} lines for {len(lines[0])} sentences")
    result = []
    for number, (text, gold) in enumerate(zip(*lines, strict=True), start=1):
        sides = [tuple(side.split()) for side in text.split("|||")]
        if len(sides) != 2 or not all(sides):
            raise ConfigError(f"{sentences}: line {number} is not 'source ||| target'")
        sure, possible = set(), set()
        for item in gold.split():
            found = _LINK.fullmatch(item)
            link = (int(found[1]) - 1, int(found[3]) - 1) if found else (-1, -1)
            if not found or not (0 <= link[0] < len(sides[0]) and 0 <= link[1] < len(sides[1])):
                raise ConfigError(f"{links}: line {number} has {item!r}, which is no link there")
            possible.add(link)
            if found[2] == "-":
                sure.add(link)
        source, target = sides
        result.append(AlignedPair(source, target, frozenset(sure), frozenset(possible)))
    return result


def word_attention(
    weights: np.ndarray,
    source: Encoding,
    target: Encoding,
    pair: AlignedPair,
    *,
    reading: Reading,
) -> np.ndarray:
    """Attention between the words of ``pair``: (target words, ..., source words).

    Pieces of a source word are added up, those of a target word averaged. What lies on
    end-of-sentence and other specials belongs to no word and is left out.

    Args:
        weights: (target pieces, ..., source pieces), read while each piece of ``target`` was
            produced, specials in front left out, and at least one more row after them.
        source, target: encodings of the words joined by spaces.
        pair: the words.
        reading: which step counts as looking at a target word.
    """
    columns = _membership(source, pair.source)
    rows = _membership(target, pair.target)
    steps = np.flatnonzero(rows.any(axis=1))
    first = int(steps.min(initial=len(rows)))
    picked = weights[steps - first + (reading == "input")]
    rows = rows[steps]
    share = rows / np.maximum(rows.sum(axis=0, keepdims=True), 1)
    return np.asarray(np.einsum("tw,t...s,sv->w...v", share, picked, columns))


def _membership(encoding: Encoding, words: Sequence[str]) -> np.ndarray:
    """(pieces, words): 1 where a piece and a word share characters of the joined text."""
    starts = np.cumsum([0, *(len(word) + 1 for word in words)])[:-1]
    result = np.zeros((len(encoding.pieces), len(words)), dtype=np.float32)
    for row, piece in enumerate(encoding.pieces):
        if encoding.words[piece.word].special:
            continue
        for column, (start, word) in enumerate(zip(starts, words, strict=True)):
            inside = piece.start < start + len(word) and start < max(piece.end, piece.start + 1)
            result[row, column] = inside
    # A piece over several words (a rare case: an entity that became one character) is shared.
    return np.asarray(result / np.maximum(result.sum(axis=1, keepdims=True), 1))


def relative(attention: np.ndarray) -> np.ndarray:
    """Attention that counts by how much a source word gets from this target word and not others.

    A source word that every target word looks at, such as the full stop, says nothing about any of
    them, yet it is often the one they look at most. Each source word's attention is therefore
    shared out among the target words, and then each target word's among the source words: one
    round of what makes a matrix doubly stochastic (Sinkhorn and Knopp 1967).

    Args:
        attention: (target words, source words); rows and columns of zeros stay so.
    """
    for axis in (0, 1):
        total = attention.sum(axis=axis, keepdims=True)
        attention = np.divide(
            attention, total, out=np.zeros_like(attention, dtype=np.float64), where=total > 0
        )
    return attention


def strongest_links(attention: np.ndarray) -> set[Link]:
    """For every target word, the source word that it looked at most.

    Args:
        attention: (target words, source words); a row of zeros gives no link.
    """
    return {
        (int(row.argmax()), index) for index, row in enumerate(attention) if row.max(initial=0) > 0
    }


def grow_diagonal(forward: set[Link], backward: set[Link]) -> set[Link]:
    """Join the links of both directions (Och and Ney 2003, section 5; Koehn 2005).

    Starts from the links that both have, and adds, as long as there are any, neighbours that one
    of them has for a word without a link yet.
    """
    union = forward | backward
    links = forward & backward
    around = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
    while True:
        sources, targets = {i for i, _ in links}, {j for _, j in links}
        added = False
        for i, j in sorted(links):
            for a, b in around:
                link = (i + a, j + b)
                free = link[0] not in sources or link[1] not in targets
                if link in union and link not in links and free:
                    links.add(link)
                    sources.add(link[0])
                    targets.add(link[1])
                    added = True
        if not added:
            return links


def joined_links(forward: np.ndarray, backward: np.ndarray) -> set[Link]:
    """Links by what models of both directions look at.

    The sum of their :func:`relative` attention links every target word and every source word;
    :func:`grow_diagonal` joins these.

    Args:
        forward: (target words, source words).
        backward: (source words, target words), of the other direction.
    """
    both = relative(forward) + relative(backward).T
    return grow_diagonal(strongest_links(both), {(i, j) for j, i in strongest_links(both.T)})


def alignment_error_rate(found: Iterable[set[Link]], gold: Iterable[AlignedPair]) -> float:
    """1 - (|A & S| + |A & P|) / (|A| + |S|) over all pairs, from 0 to 1 (Och and Ney 2003, eq. 21).

    0 when there is neither a link nor a sure one.
    """
    hits = total = 0
    for links, pair in zip(found, gold, strict=True):
        hits += len(links & pair.sure) + len(links & pair.possible)
        total += len(links) + len(pair.sure)
    return 1 - hits / total if total else 0.0
