"""Penalties that make finished hypotheses of different length comparable.

A finished hypothesis Y of source X is ranked by (Wu 2016, eq. 14)::

    s(Y, X) = log P(Y|X) / lp(Y) + cp(X; Y)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from seq2seq.config import SearchConfig

__all__ = ["CoveragePenalty", "LengthPenalty"]


@dataclass(frozen=True)
class LengthPenalty:
    """Divisor lp(Y) of a hypothesis's log-probability.

    ``power``: length**alpha. ``wu``: ((5 + length) / 6)**alpha (Wu 2016, eq. 14). Both grow with
    the length and are 1 at length 1; with alpha = 0 they are always 1.

    Attributes:
        alpha: exponent, at least 0.
        formula: which of the two.
    """

    alpha: float
    formula: Literal["power", "wu"] = "power"

    @classmethod
    def of(cls, config: SearchConfig) -> Self:
        """The penalty that ``config`` names."""
        return cls(config.length_penalty, config.length_formula)

    def divisor(self, length: float) -> float:
        """lp for ``length`` >= 1 target tokens, end-of-sentence included."""
        base = length if self.formula == "power" else (length + 5.0) / 6.0
        result: float = base**self.alpha
        return result

    def normalise(self, cumulative: float, length: int) -> float:
        """``cumulative`` (natural logarithm) divided by lp; an empty hypothesis counts as 1."""
        return cumulative / self.divisor(float(max(length, 1)))

    def bound(self, cumulative: float, longest: int) -> float:
        """The best that a live hypothesis can reach with at most ``longest`` tokens.

        Log-probabilities are never positive and lp grows with the length, so nothing that grows
        from a hypothesis with score ``cumulative`` exceeds ``cumulative / lp(longest)``. The
        coverage penalty, never positive either, cannot lift it.
        """
        return self.normalise(cumulative, longest)


@dataclass(frozen=True)
class CoveragePenalty:
    """cp(X; Y) = beta * sum_i log(min(sum_j p_ij, 1)) (Wu 2016, eq. 14).

    p_ij is the attention of target piece j on source piece i. The penalty is 0 when every source
    piece has received an attention of at least 1 in total, else negative.

    Attributes:
        beta: weight, at least 0.
    """

    beta: float

    def start(self, lengths: Sequence[int]) -> np.ndarray:
        """Coverage before the first step: (rows, S), 0 at pieces and 1 at padding.

        Padding counts as covered, so that it never adds to the penalty.

        Args:
            lengths: source pieces of each row.
        """
        covered = np.arange(max(lengths)) >= np.array(lengths)[:, None]
        return covered.astype(np.float32)

    def __call__(self, coverage: np.ndarray) -> np.ndarray:
        """Penalty (rows,) of ``coverage`` (rows, S), the attention summed over target pieces.

        A piece that got no attention at all (it underflowed) counts as the smallest positive
        number, so that the penalty stays finite.
        """
        tiny = np.finfo(coverage.dtype).tiny
        penalty: np.ndarray = np.log(np.clip(coverage, tiny, 1.0)).sum(-1) * self.beta
        return penalty
