"""What a training has done so far: counters, curves, the best checkpoints."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["Progress"]


@dataclass
class Progress:
    """Everything besides tensors that a resumed training needs; plain JSON types.

    Attributes:
        step: updates done.
        epoch, batch: the next batch to train on.
        tokens: target pieces seen.
        seconds: wall-clock time spent, over all runs.
        precision: chosen at the start.
        machine: what it ran on last, for people.
        window: sums since the last validation: loss, nll, correct, tokens.
        curve: one record per validation.
        best: ``[bleu, step]`` of the kept checkpoints, best first.
        worse: validations since the best one.
        skipped: updates left out because the gradient was not finite.
        finished: why training ended, or None.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    seconds: float = 0.0
    precision: str = "fp32"
    machine: str = ""
    window: list[float] = field(default_factory=lambda: [0.0] * 4)
    curve: list[dict[str, float]] = field(default_factory=list)
    best: list[list[float]] = field(default_factory=list)
    worse: int = 0
    skipped: int = 0
    finished: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What :meth:`to_dict` gave."""
        return cls(**values)
