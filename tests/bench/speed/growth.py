"""How cost grows: time with the output's length, memory with beam and length, speed with batch."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from speed.adapters import BATCH, Contender
from speed.models import Size, build, sentences
from speed.process import Running
from speed.timing import Times

__all__ = ["growth"]

_LENGTHS = (2, 10, 18, 25, 50, 80, 100, 120, 200)
_SHORT, _LONG = (2, 18), (80, 120)
_BATCHES = (1, 2, 4, 8, 16, BATCH)


def growth(size: Size, root: Path, *, rounds: int) -> dict[str, Any]:
    """Figures of us and CTranslate2, each with int8 and one thread."""
    chosen = [Contender("ours", "int8")]
    if not size.recurrent:
        chosen.append(Contender("ctranslate2", "int8"))
    with ExitStack() as stack:
        folder = build(size, root)
        runners = [stack.enter_context(Running(one, folder)) for one in chosen]
        for runner in runners:
            runner.ready()
        memory = {runner.contender.label: _memory(size, runner) for runner in runners}
        return {
            "size": size.name,
            "length": {f"beam {beam}": _by_length(size, runners, beam, rounds) for beam in (1, 4)},
            "batch": _by_batch(size, runners, rounds),
            "memory": memory,
        }


def _by_length(size: Size, runners: list[Running], beam: int, rounds: int) -> dict[str, Any]:
    """Milliseconds by output length, and the slope at 100 tokens over that at 10.

    Slopes are differences of the fastest runs, which whatever else goes on disturbs least.
    """
    sources = sentences(size, count=1, length=20)
    times = {r.contender.label: {length: Times() for length in _LENGTHS} for r in runners}
    for _ in range(rounds):
        for length in _LENGTHS:
            for runner in runners:
                answer = runner.run(sources, beam=beam, tokens=length, skip=1, repeat=3)
                times[runner.contender.label][length].rounds.append(answer.seconds)
    found = {}
    for label, by_length in times.items():
        ms = {length: 1000 * t.median for length, t in by_length.items()}
        least = {length: 1000 * min(t.all) for length, t in by_length.items()}
        short, long = ((least[b] - least[a]) / (b - a) for a, b in (_SHORT, _LONG))
        found[label] = {
            "ms": ms, "ms_per_token_at_10": short, "ms_per_token_at_100": long,
            "slope_ratio": long / short,
        }  # fmt: skip
        shown = ", ".join(f"{length}: {value:.1f}" for length, value in ms.items())
        print(f"{size.name}, beam {beam}, {label}: ms by output length {shown}")
        print(
            f"  slope at 100 tokens over that at 10: {long:.3f} / {short:.3f} = {long / short:.2f}"
        )
    return found


def _by_batch(size: Size, runners: list[Running], rounds: int) -> dict[str, Any]:
    """Output tokens a second by sentences in a batch, greedy, one thread."""
    times = {r.contender.label: {count: Times() for count in _BATCHES} for r in runners}
    for _ in range(rounds):
        for count in _BATCHES:
            sources = sentences(size, count=count, length=20)
            for runner in runners:
                answer = runner.run(sources, beam=1, tokens=24, skip=1, repeat=2)
                times[runner.contender.label][count].rounds.append(answer.seconds)
    found = {
        label: {count: 24 * count / t.median for count, t in by_count.items()}
        for label, by_count in times.items()
    }
    for label, speeds in found.items():
        shown = ", ".join(f"{count}: {value:.0f}" for count, value in speeds.items())
        print(f"{size.name}, greedy, {label}: tok/s by batch {shown}")
    return found


def _memory(size: Size, runner: Running) -> list[dict[str, float]]:
    """MB at the peak of a translation beyond what was resident before the first of them."""
    cases = sorted(
        ((beam, length) for beam in (1, 4, 10, 32) for length in (25, 100, 200)),
        key=lambda case: case[0] * case[1],  # what one leaves behind is less than the next needs
    )
    found = []
    base = runner.forget()
    for beam, length in cases:
        sources = sentences(size, count=1, length=length)
        runner.forget()
        more = runner.run(sources, beam=beam, tokens=length).peak - base
        found.append({"beam": beam, "length": length, "mb": more})
    shown = ", ".join(f"{f['beam']}x{f['length']}: {f['mb']:.0f}" for f in found)
    print(f"{size.name}, {runner.contender.label}: more MB by beam x length {shown}")
    return found
