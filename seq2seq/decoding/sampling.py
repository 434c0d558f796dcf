"""Drawing pieces at random from the model's distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from seq2seq.config import SamplingConfig

__all__ = ["Dice", "draw", "filtered"]


class Dice:
    """The random numbers of one sentence: one independent stream per draw.

    A stream depends on the seed and the number of the draw alone, so that a sentence gets the
    same draws in whatever batch it stands.
    """

    def __init__(self, config: SamplingConfig, *, draws: int) -> None:
        self._streams = [np.random.default_rng((config.seed, number)) for number in range(draws)]

    def roll(self, number: int) -> float:
        """The next number in [0, 1) of one draw."""
        return float(self._streams[number].random())


def filtered(logits: np.ndarray, config: SamplingConfig) -> tuple[np.ndarray, np.ndarray]:
    """The distribution that is drawn from.

    Temperature first, then the ``top_k`` most probable pieces, then the smallest set of these
    that holds at least ``top_p`` of what is left (Holtzman 2020). Equal ones at the edge of the
    set are kept or dropped in the order of the sort.

    Args:
        logits: (rows, V) log-probabilities or logits; -inf where a piece may not be drawn.
        config: temperature, top_k, top_p.

    Returns:
        Weights (rows, C), not normalised, 0 where cut away, and the pieces (rows, C) they
        belong to. A row of which nothing may be drawn has no positive weight.
    """
    vocabulary = logits.shape[-1]
    tempered = logits / config.temperature
    pieces = np.broadcast_to(np.arange(vocabulary), logits.shape)
    if 0 < config.top_k < vocabulary or config.top_p < 1:
        if 0 < config.top_k < vocabulary:
            pieces = np.argpartition(-tempered, config.top_k - 1, axis=-1)[:, : config.top_k]
            tempered = np.take_along_axis(tempered, pieces, -1)
        order = np.argsort(-tempered, axis=-1, kind="stable")
        tempered = np.take_along_axis(tempered, order, -1)
        pieces = np.take_along_axis(pieces, order, -1)
    weights = _softmax(tempered)
    if config.top_p < 1:
        before = weights.cumsum(-1, dtype=np.float64) - weights
        weights = np.where(before >= config.top_p, np.float32(0), weights)
    return weights, pieces


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Weights of each row; all 0 where nothing is possible."""
    top = logits.max(-1, keepdims=True)
    weights = np.exp(logits - np.where(np.isneginf(top), 0, top))
    total = weights.sum(-1, keepdims=True)
    shares: np.ndarray = weights / np.where(total > 0, total, 1)
    return shares


def draw(
    logits: np.ndarray,
    *,
    rows: Sequence[int],
    numbers: Sequence[float],
    barred: Sequence[Mapping[int, str]],
    config: SamplingConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw pieces by inverting the cumulative distribution.

    Args:
        logits: (R, V) log-probabilities, natural logarithm.
        rows: the row of each of n draws.
        numbers: one in [0, 1) for each draw.
        barred: for each of the R rows, pieces that may not be drawn.
        config: temperature, top_k, top_p.

    Returns:
        Three arrays (n,): the pieces, their entries in ``logits`` (-inf for a draw whose row
        leaves nothing to draw), and their ranks in ``logits``, 1 for the largest.
    """
    allowed = logits.copy()
    for row, pieces_of_row in enumerate(barred):
        allowed[row, list(pieces_of_row)] = -np.inf
    weights, pieces = filtered(allowed, config)
    cumulative = weights.cumsum(-1, dtype=np.float64)  # or the tail is lost in rounding
    tokens = np.empty(len(rows), dtype=np.int64)
    for number, (row, chance) in enumerate(zip(rows, numbers, strict=True)):
        sums = cumulative[row]
        place = np.searchsorted(sums, chance * sums[-1], side="right")
        # The first place that reaches the total is the last one with weight: rounding stops there.
        tokens[number] = pieces[row, min(place, np.searchsorted(sums, sums[-1]), len(sums) - 1)]
    scores = allowed[rows, tokens]
    ranks = (logits[rows] > scores[:, None]).sum(-1) + 1
    return tokens, scores, ranks
