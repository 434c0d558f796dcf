"""The mean of the best checkpoints, which is usually better than any of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

__all__ = ["Average", "Weights", "best_average", "mean_weights", "write_tensors"]

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Average:
    """A mean of checkpoints.

    Attributes:
        weights: by parameter name.
        count: how many of the best checkpoints went into it.
        bleu: on the dev pairs.
    """

    weights: Weights
    count: int
    bleu: float


def best_average(best: Sequence[Path], dev_bleu: Callable[[Weights], float]) -> Average:
    """Average the first 1, 2, 3 and all of ``best``; return what scores highest on dev.

    Args:
        best: checkpoint files, best first; at least one.
        dev_bleu: measures weights.
    """
    results = []
    for count in sorted({1, 2, 3, len(best)} & set(range(1, len(best) + 1))):
        weights = mean_weights(best[:count])
        results.append(Average(weights=weights, count=count, bleu=dev_bleu(weights)))
        print(f"mean of the best {count}: dev BLEU {results[-1].bleu:.2f}", file=sys.stderr)
    return max(results, key=lambda result: result.bleu)


def mean_weights(paths: Sequence[Path]) -> Weights:
    """The element-wise mean of checkpoint files with the same tensors."""
    total = load_file(paths[0])
    for path in paths[1:]:
        for name, tensor in load_file(path).items():
            total[name] += tensor
    return {name: tensor / len(paths) for name, tensor in total.items()}


def write_tensors(path: Path, tensors: Weights) -> None:
    """Write a safetensors file under a temporary name and rename it."""
    temporary = path.with_name(f".{path.name}.tmp")
    save_file(tensors, temporary)
    temporary.replace(path)
