"""Rows run, contenders beside each other, and the figures of each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from speed.adapters import Contender
from speed.models import Size, build, sentences
from speed.process import Running
from speed.rows import Row, contenders
from speed.timing import Times, race, ratio

__all__ = ["compare", "same_tokens"]


def compare(
    rows: Sequence[Row], root: Path, *, threads: Sequence[int], seconds: float, rounds: int
) -> list[dict[str, Any]]:
    """Figures of all rows, which have one group.

    Args:
        threads: numbers of threads that every engine tries.
        seconds, rounds: per row, see :func:`speed.timing.race`.
    """
    found = []
    for size in dict.fromkeys(row.size.name for row in rows):
        mine = [row for row in rows if row.size.name == size]
        with ExitStack() as stack:
            runners = _started(
                stack, contenders(mine[0].group, mine[0].size, threads=threads), mine[0], root
            )
            for row in mine:
                sources = sentences(row.size, count=row.count, length=row.length)
                times = race(
                    runners, sources, beam=row.beam, tokens=row.tokens,
                    rounds=rounds, repeat=3 if row.count == 1 else 1, seconds=seconds,
                )  # fmt: skip
                found.append(_figures(row, runners, times))
                print(_line(found[-1]), flush=True)
    return found


def same_tokens(size: Size, root: Path) -> dict[str, Any]:
    """How many of some greedy translations every engine has in common with us in fp32.

    Raises:
        SystemExit: not all, so that times would compare different work.
    """
    folder = build(size, root)
    sources = sentences(size, count=4, length=20)
    found: dict[str, list[list[int]]] = {}
    for engine in ("ours", "transformers", "ctranslate2"):
        with Running(Contender(engine, "fp32"), folder) as runner:
            found[engine] = runner.run(sources, beam=1, tokens=24).tokens
    counts = {
        engine: sum(a == b for a, b in zip(tokens, found["ours"], strict=True))
        for engine, tokens in found.items()
    }
    print(f"{size.name}: of {len(sources)} greedy translations in fp32 equal to ours: {counts}")
    if set(counts.values()) != {len(sources)}:
        raise SystemExit("the engines do not do the same work")
    return {"size": size.name, "sentences": len(sources), "equal": counts}


def _started(
    stack: ExitStack, chosen: Sequence[Contender], row: Row, root: Path
) -> dict[str, Running]:
    folder = build(row.size, root)
    runners = {one.label: stack.enter_context(Running(one, folder)) for one in chosen}
    for runner in runners.values():
        runner.ready()
    return runners


def _figures(row: Row, runners: dict[str, Running], times: dict[str, Times]) -> dict[str, Any]:
    best: dict[str, str] = {}
    for label, runner in runners.items():
        engine = runner.contender.engine
        if engine not in best or times[label].median < times[best[engine]].median:
            best[engine] = label
    figures: dict[str, Any] = {
        "group": row.group, "size": row.size.name, "row": row.name, "count": row.count,
        "source": row.length, "tokens": row.tokens, "beam": row.beam,
        "contenders": {
            label: {
                "median_ms": 1000 * t.median,
                "p95_ms": 1000 * t.p95,
                "tokens_per_second": row.count * row.tokens / t.median,
                "runs": len(t.all),
            }
            for label, t in times.items()
        },
        "best": best, "ratios": {},
    }  # fmt: skip
    for engine, label in best.items():
        if engine != "ours":
            middle, low, high = ratio(times[label], times[best["ours"]])
            least, goal = row.wanted.get(engine, (None, None))
            figures["ratios"][engine] = {
                "ratio": middle, "low": low, "high": high, "least": least, "goal": goal,
            }  # fmt: skip
    if row.wanted_ms:
        figures["wanted_ms"] = row.wanted_ms
    return figures


def _line(figures: dict[str, Any]) -> str:
    parts = [f"{figures['size']}, {figures['row']}:"]
    for engine, label in figures["best"].items():
        one = figures["contenders"][label]
        speed = f", {one['tokens_per_second']:.0f} tok/s" if figures["count"] > 1 else ""
        parts.append(f"\n  {label}: {one['median_ms']:.2f} ms, p95 {one['p95_ms']:.2f}{speed}")
        if engine in figures["ratios"]:
            r = figures["ratios"][engine]
            wanted = f", wanted {r['least']}, goal {r['goal']}" if r["least"] else ""
            parts.append(f" -> {r['ratio']:.2f} ({r['low']:.2f} to {r['high']:.2f}){wanted}")
    others = [
        f"{label} {one['median_ms']:.1f}"
        for label, one in figures["contenders"].items()
        if label not in figures["best"].values()
    ]
    if others:
        parts.append(f"\n  slower settings: {'; '.join(others)}")
    return "".join(parts)
