"""How well each layer and head of a model aligns words, and how sharp it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq.evaluation.alignment import (
    AlignedPair,
    Reading,
    alignment_error_rate,
    relative,
    strongest_links,
)

__all__ = ["HeadScore", "head_map", "score_heads"]


@dataclass(frozen=True)
class HeadScore:
    """One attention map, measured on gold links.

    Attributes:
        layer, head: counted from 0; None is the mean over that axis.
        reading: which step counts as looking at a word.
        error_rate: alignment error rate of each target word's strongest link, 0 to 1.
        relative_error_rate: the same by :func:`relative` attention.
        entropy: mean over target words of the attention's entropy over source words, in nats.
    """

    layer: int | None
    head: int | None
    reading: Reading
    error_rate: float
    relative_error_rate: float
    entropy: float


def score_heads(
    maps: Sequence[np.ndarray], gold: Sequence[AlignedPair], *, reading: Reading
) -> list[HeadScore]:
    """Measure every layer, head and mean.

    Args:
        maps: (target words, layers, heads, source words) per sentence.
        gold: the sentences.
        reading: of the maps, only written down.
    """
    layers, heads = maps[0].shape[1:3]
    result = []
    for layer in (None, *range(layers)):
        for head in (None, *range(heads)):
            chosen = [head_map(one, layer=layer, head=head) for one in maps]
            rates = [
                round(alignment_error_rate(links, gold), 4)
                for links in (
                    [strongest_links(one) for one in chosen],
                    [strongest_links(relative(one)) for one in chosen],
                )
            ]
            result.append(
                HeadScore(
                    layer=layer,
                    head=head,
                    reading=reading,
                    error_rate=rates[0],
                    relative_error_rate=rates[1],
                    entropy=round(float(np.mean(np.concatenate([*map(_entropy, chosen)]))), 4),
                )
            )
    return result


def head_map(weights: np.ndarray, *, layer: int | None, head: int | None) -> np.ndarray:
    """(target words, source words) of one layer and head, or of the mean over them."""
    by_layer = weights.mean(axis=1) if layer is None else weights[:, layer]
    return np.asarray(by_layer.mean(axis=1) if head is None else by_layer[:, head])


def _entropy(weights: np.ndarray) -> np.ndarray:
    """Of each row, made to sum to 1."""
    rows = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    return np.asarray(-(rows * np.log(np.maximum(rows, 1e-12))).sum(axis=1))
