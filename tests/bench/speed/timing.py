"""Contenders in turns, A B C A B C, so that what else the machine does falls upon all alike."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from speed.machine import busy_seconds
from speed.process import Running

__all__ = ["Times", "race", "ratio"]

_HOPELESS = 1.4
"""A setting this much slower than its engine's best leaves after the first two rounds."""
_DISTURBED = 0.12
"""Cores that other programs may use during a round that counts."""
_PATIENCE = 3
"""Times the seconds of a row after which rounds count whatever others do."""


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
        seconds: after so many no new round begins, once three count: those in which other
            programs were busy do not.
    """
    found = {label: Times() for label in runners}
    left = dict(runners)
    begun = time.perf_counter()
    counted = left_out = kept = 0
    while counted < rounds:
        watch = _Watch(left)
        turn = {
            label: runner.run(sources, beam=beam, tokens=tokens, skip=1, repeat=repeat).seconds
            for label, runner in left.items()
        }
        spent = time.perf_counter() - begun
        late = spent > seconds
        disturbed = watch.others() > _DISTURBED
        if disturbed and spent < _PATIENCE * seconds:
            left_out += 1
        else:
            counted += 1
            kept += disturbed
            for label, times in turn.items():
                found[label].rounds.append(times)
        if counted == 2:
            best = _best(runners, found)
            left = {
                label: runner
                for label, runner in left.items()
                if found[label].median <= _HOPELESS * best[runner.contender.engine]
            }
        if late and counted >= 3:
            break
    if left_out or kept:
        print(
            f"(other programs were busy: {left_out} rounds left out, {kept} counted all the same)"
        )
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


class _Watch:
    """How much of the processor everything but some contenders uses from now on."""

    def __init__(self, runners: Mapping[str, Running]) -> None:
        self._runners = list(runners.values())
        self._before = self._readings()

    def others(self) -> float:
        """Cores, on the mean since the beginning; 0 where the system does not say."""
        busy, own, now = (
            after - before for after, before in zip(self._readings(), self._before, strict=True)
        )
        return (busy - own) / now

    def _readings(self) -> tuple[float, float, float]:
        own = sum(runner.cpu for runner in self._runners) + time.process_time()
        return busy_seconds() or own, own, time.perf_counter()


def _best(runners: Mapping[str, Running], found: Mapping[str, Times]) -> dict[str, float]:
    """Median of the best setting of every engine."""
    best: dict[str, float] = {}
    for label, runner in runners.items():
        engine = runner.contender.engine
        best[engine] = min(found[label].median, best.get(engine, math.inf))
    return best
