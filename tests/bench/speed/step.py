"""One step of our decoder against what the machine allows, and a translation's parts."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from seq2seq.config import SearchConfig
from seq2seq.formats import load_model
from seq2seq.nn import AnyModel
from seq2seq.runner import Runner
from speed.machine import bandwidth, empty_call, int8_peak
from speed.models import Size, build, sentences

__all__ = ["step_profile", "step_weights"]

_SOURCE, _TOKENS = 20, 24
_ONCE = (".project_memory.", ".attention.key.")  # read when the sentence is, not in a step


def step_profile(size: Size, root: Path, *, beam: int) -> dict[str, Any]:
    """Times of a step of ``beam`` rows in int8 with one thread, and its floor.

    A step's time is the mean over a translation, the first step of which has but one row.
    The floor is the largest of two times, plus a third: the bytes of the weights over the
    bandwidth at which as much memory is read again and again; the products over the peak of
    8-bit products; and the operators called over that of the cheapest one.
    """
    torch.set_num_threads(1)
    checkpoint = load_model(build(size, root) / "ours")
    weights = step_weights(checkpoint.model)
    runner = Runner(checkpoint, device=torch.device("cpu"), precision="int8")
    model = runner.model
    model.wait()
    source = sentences(size, count=1, length=_SOURCE)
    config = SearchConfig(beam=beam, min_length=_TOKENS - 1, max_length=_TOKENS - 1)

    def translate() -> Any:
        return runner.run(source, config=config, prefixes=[[]])

    for _ in range(5):
        translate()
    parts = _parts(model, translate)
    seconds = parts["steps_ms"] / parts["steps"] / 1000
    calls, operators = _operators(model, source, rows=beam)
    speed, peak, empty = bandwidth(weights / 2**20, threads=1), int8_peak(threads=1), empty_call()
    floor = {
        "bytes_ms": weights / speed / 1e6,
        "products_ms": beam * weights / peak / 1e6,
        "calls_ms": calls * empty / 1e3,
    }
    least = max(floor["bytes_ms"], floor["products_ms"]) + floor["calls_ms"]
    report = {
        "size": size.name, "rows": beam, "step_ms": 1000 * seconds, "floor_ms": least,
        "times_floor": 1000 * seconds / least, **floor, "weight_mb": weights / 1e6,
        "bandwidth_gb_s": speed, "peak_g_products_s": peak, "empty_call_us": empty,
        "calls": calls, "operators": operators, "translation": parts,
    }  # fmt: skip
    _print(report)
    return report


def step_weights(model: AnyModel) -> int:
    """Numbers in the matrices that one step multiplies by."""
    counts = [
        weight.numel()
        for name, weight in model.named_parameters()
        if name.startswith("decoder.") and weight.dim() == 2 and not any(p in name for p in _ONCE)
    ]
    table = model.output.weight
    return sum(counts) + table.numel()


def _parts(model: Any, translate: Callable[[], Any], runs: int = 15) -> dict[str, float]:
    """Milliseconds of a translation in the encoder, in steps and between them (medians)."""
    whole, encoder, steps, counts = [], [], [], []
    for _ in range(runs):
        with _counted(model) as times:
            begun = time.perf_counter()
            outcome = translate()
            whole.append(time.perf_counter() - begun)
        encoder.append(outcome.encoder)
        steps.append(sum(times))
        counts.append(len(times))
    total, read, stepped = (1000 * statistics.median(some) for some in (whole, encoder, steps))
    rest = total - read - stepped
    return {"whole_ms": total, "encoder_ms": read, "steps_ms": stepped, "between_ms": rest,
            "steps": counts[0]}  # fmt: skip


@contextmanager
def _counted(model: Any) -> Iterator[list[float]]:
    """Seconds of every step of a model's sessions."""
    times: list[float] = []
    begin = model.session

    def timed(step: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            output = step(*arguments, **options)
            times.append(time.perf_counter() - begun)
            return output

        return called

    def session() -> Any:
        found = begin()
        found.step, found.choose = timed(found.step), timed(found.choose)
        return found

    model.session = session
    try:
        yield times
    finally:
        del model.session


def _operators(
    model: Any, source: list[list[int]], *, rows: int
) -> tuple[int, dict[str, dict[str, float]]]:
    """Operators called by a step but not by another operator, and the dearest kinds."""
    with torch.inference_mode():
        session = model.session()
        ids = torch.tensor(source)
        memory = session.encode(ids, torch.ones_like(ids, dtype=torch.bool))
        state = session.start(memory).select(torch.zeros(rows, dtype=torch.int64))
        tokens = torch.full((rows,), session.config.unk_id)
        for _ in range(_TOKENS // 2):
            state = session.step(tokens, state).state
        with profile(activities=[ProfilerActivity.CPU]) as found:
            session.choose(tokens, state, count=2 * rows if rows > 1 else 1)
    called = [event for event in found.events() if "::" in event.name]
    outer = [e for e in called if e.cpu_parent is None or "::" not in e.cpu_parent.name]
    microseconds: Counter[str] = Counter()
    counts = Counter(event.name for event in outer)
    for event in outer:
        microseconds[event.name] += event.cpu_time_total
    return len(outer), {
        name: {"us": us, "calls": counts[name]} for name, us in microseconds.most_common(8)
    }


def _print(report: dict[str, Any]) -> None:
    whole = report["translation"]
    print(
        f"{report['size']}, a step of {report['rows']} row(s): {report['step_ms']:.3f} ms, "
        f"{report['times_floor']:.1f} times the floor of {report['floor_ms']:.3f}: "
        f"{report['weight_mb']:.1f} MB at {report['bandwidth_gb_s']:.1f} GB/s "
        f"{report['bytes_ms']:.3f}, products at {report['peak_g_products_s']:.0f} G/s "
        f"{report['products_ms']:.3f}, {report['calls']} calls at {report['empty_call_us']:.2f} us "
        f"{report['calls_ms']:.3f}"
    )
    print(
        f"  a translation: {whole['whole_ms']:.2f} ms, of which encoder {whole['encoder_ms']:.2f}, "
        f"{whole['steps']:.0f} steps {whole['steps_ms']:.2f}, between {whole['between_ms']:.2f}"
    )
    for name, one in report["operators"].items():
        print(f"    {name:60} {one['calls']:4.0f} calls {one['us']:8.0f} us (while profiled)")
