"""Drawing pieces at random from the model's distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

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


def filtered(logits: Tensor, config: SamplingConfig) -> tuple[Tensor, Tensor]:
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
    if 0 < config.top_k < vocabulary:
        tempered, pieces = tempered.topk(config.top_k, dim=-1)
    elif config.top_p < 1:
        tempered, pieces = tempered.sort(dim=-1, descending=True)
    else:
        pieces = torch.arange(vocabulary, device=logits.device).expand_as(logits)
    weights = torch.softmax(tempered, dim=-1)
    if config.top_p < 1:
        before = weights.cumsum(-1) - weights
        weights = weights.masked_fill(before >= config.top_p, 0.0)
    return weights, pieces


def draw(
    logits: Tensor,
    *,
    rows: Sequence[int],
    numbers: Sequence[float],
    barred: Sequence[Mapping[int, str]],
    config: SamplingConfig,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw pieces by inverting the cumulative distribution.

    Args:
        logits: (R, V) log-probabilities, natural logarithm.
        rows: the row of each of n draws.
        numbers: one in [0, 1) for each draw.
        barred: for each of the R rows, pieces that may not be drawn.
        config: temperature, top_k, top_p.

    Returns:
        Three tensors (n,): the pieces, their entries in ``logits`` (-inf for a draw whose row
        leaves nothing to draw), and their ranks in ``logits``, 1 for the largest.
    """
    device = logits.device
    at = torch.tensor([row for row, pieces in enumerate(barred) for _ in pieces], device=device)
    which = torch.tensor([piece for pieces in barred for piece in pieces], device=device)
    allowed = logits.index_put((at.long(), which.long()), logits.new_tensor(float("-inf")))
    weights, pieces = filtered(allowed, config)
    picked = torch.tensor(rows, device=device)
    cumulative = weights.cumsum(-1).index_select(0, picked)
    total = cumulative[:, -1:].contiguous()
    targets = torch.tensor(numbers, device=device, dtype=logits.dtype)[:, None] * total
    place = torch.searchsorted(cumulative, targets, right=True)
    # The first place that reaches the total is the last one with weight: rounding stops there.
    last = torch.searchsorted(cumulative, total)
    place = torch.minimum(place, last).clamp(max=weights.shape[-1] - 1)
    tokens = pieces.index_select(0, picked).gather(1, place)
    chosen = allowed.index_select(0, picked)
    scores = chosen.gather(1, tokens)
    ranks = (logits.index_select(0, picked) > scores).sum(-1) + 1
    return tokens[:, 0], scores[:, 0], ranks
