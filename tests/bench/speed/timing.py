"""Contenders in turns, A B C A B C, so that what else the machine does falls upon all alike."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from speed.process import Running

__all__ = ["Times", "race", "ratio"]

_HOPELESS = 1.4
"""A setting this much slower than its engine's best leaves after the first two rounds."""


@dataclass
class Times:
    """Seconds of one contender: a list for every round."""

    rounds: list[list[float]] = field(default_factory=list)

    @property
    def all(self) -> list[float]:
        """Of all rounds."""
        return [seconds for part in self.rounds for seconds in part]

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.all)

    @property
    def p95(self) -> float:
        """Seconds below which 95 of 100 runs stay."""
        ordered = sorted(self.all)
        return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def race(
    runners: Mapping[str, Running],
    sources: Sequence[list[int]],
    *,
    beam: int,
    tokens: int,
    rounds: int,
    repeat: int,
    seconds: float,
) -> dict[str, Times]:
    """Let all run in turns; times by the contenders' labels.

    Args:
        rounds: at most.
        repeat: timed repetitions of a turn; one more goes before them untimed.
        seconds: after so many no new round begins, once there have been three.
    """
    found = {label: Times() for label in runners}
    left = dict(runners)
    begun = time.perf_counter()
    for number in range(rounds):
        for label, runner in left.items():
            answer = runner.run(sources, beam=beam, tokens=tokens, skip=1, repeat=repeat)
            found[label].rounds.append(answer.seconds)
        if number == 1:
            left = {label: runner for label, runner in left.items()
                    if found[label].median <= _HOPELESS * _best(runner, runners, found)}  # fmt: skip
        if number >= 2 and time.perf_counter() - begun > seconds:
            break
    return found


def ratio(theirs: Times, ours: Times) -> tuple[float, float, float]:
    """Median over median, and an interval that holds it with 95 in 100 (bootstrap of rounds)."""
    draw = random.Random(1)
    count = min(len(theirs.rounds), len(ours.rounds))
    found = []
    for _ in range(500):
        chosen = [draw.randrange(count) for _ in range(count)]
        parts = [[s for n in chosen for s in times.rounds[n]] for times in (theirs, ours)]
        found.append(statistics.median(parts[0]) / statistics.median(parts[1]))
    found.sort()
    return theirs.median / ours.median, found[12], found[-13]


def _best(one: Running, runners: Mapping[str, Running], found: Mapping[str, Times]) -> float:
    return min(
        found[label].median
        for label, runner in runners.items()
        if runner.contender.engine == one.contender.engine
    )
