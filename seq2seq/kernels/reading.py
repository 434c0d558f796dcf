"""What a search reads off logits: the most probable pieces, and the best of their continuations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seq2seq.kernels import calls
from seq2seq.kernels.calls import address, integers, record

__all__ = [
    "NOTHING",
    "Compared",
    "Comparing",
    "Comparison",
    "Largest",
    "largest",
    "memory_for",
    "propose",
]


class Compared(NamedTuple):
    """The best continuations of every sentence, best first.

    Attributes:
        found: (sentences, 3, wanted) rows within the sentence (-1: none), pieces and ranks.
        scores: (sentences, wanted) log-probabilities.
        finite: whether all logits were numbers; if not, nothing was compared.
    """

    found: np.ndarray
    scores: np.ndarray
    finite: bool


class Comparison(NamedTuple):
    """Which continuations of several sentences' hypotheses are the best.

    Attributes:
        bases: for every row the cumulative score that its pieces add to.
        bounds: rows at which sentences begin, and the number of rows.
        barred: pieces that may not follow: of one row after the other, or the same for all.
        ends: where those of each row end in ``barred``; empty if they are the same for all.
        wanted: continuations per sentence.
    """

    bases: Sequence[float]
    bounds: Sequence[int]
    barred: Sequence[int]
    ends: Sequence[int]
    wanted: int


class Comparing:
    """A comparison as an operator reads it; holds what it points to.

    Args:
        comparison: what is to be compared.
    """

    def __init__(self, comparison: Comparison) -> None:
        bases, bounds, barred, ends, wanted = comparison
        sentences = len(bounds) - 1
        # Everything in one piece of memory each: a step makes this anew.
        self._bases = np.array(bases, dtype=np.float64)
        self._numbers = np.array([*bounds, *barred, *ends], dtype=np.int64)
        self._found = np.empty(sentences * 3 * wanted + 1, dtype=np.int64)
        self._scores = np.empty((sentences, wanted), dtype=np.float32)
        self._shape = sentences, 3, wanted
        start, size = address(self._numbers), 8
        behind = start + size * (len(bounds) + len(barred))
        found = address(self._found)
        self.record = (
            address(self._bases),
            start,
            sentences,
            start + size * len(bounds),
            len(barred),
            behind if ends else 0,
            wanted,
            found + size,
            found,
            address(self._scores),
        )

    def result(self) -> Compared:
        """After the operator has run."""
        finite = bool(self._found[0])
        return Compared(self._found[1:].reshape(self._shape), self._scores, finite)


NOTHING = (0,) * 10
"""The record where nothing is to be compared."""


class Largest(NamedTuple):
    """The most probable pieces.

    Attributes:
        log_probabilities: (rows, count) float32 in falling order, the first of equal ones first;
            of a row whose logits are not all numbers, none is one.
        tokens: (rows, count) int64.
        entropies: (rows,) of the whole distributions, in nats; the operators always tell, others
            may leave them out where nobody asked.
    """

    log_probabilities: np.ndarray
    tokens: np.ndarray
    entropies: np.ndarray | None


def memory_for(rows: int, count: int) -> tuple[Largest, tuple[int, int, int]]:
    """Memory for the most probable pieces, and where it is."""
    values = np.empty((rows, count), dtype=np.float32)
    tokens = np.empty((rows, count), dtype=np.int64)
    entropies = np.empty(rows, dtype=np.float32)
    places = address(values), address(tokens), address(entropies)
    return Largest(values, tokens, entropies), places


_read = record(7)


def largest(logits: np.ndarray, count: int) -> Largest:
    """The ``count`` most probable pieces, or all V, of every row of logits (rows, V)."""
    logits = np.ascontiguousarray(logits, dtype=np.float32)
    rows, size = logits.shape
    count = min(count, size)
    found, places = memory_for(rows, count)
    calls.run("largest", _read(address(logits), rows, size, *places, count))
    return found


_propose = record(13)


def propose(values: np.ndarray, tokens: np.ndarray, comparing: Comparing) -> Compared:
    """The best continuations.

    Args:
        values: (rows, count) log-probabilities, falling.
        tokens: the pieces they belong to.
        comparing: what is to be compared.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    tokens = integers(tokens)
    width = values.shape[1]
    calls.run("propose", _propose(address(values), address(tokens), width, *comparing.record))
    return comparing.result()
