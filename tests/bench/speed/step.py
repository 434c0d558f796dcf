"""One step of our decoder against what the machine allows, and a translation's parts."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from seq2seq import kernels
from seq2seq.config import ModelConfig, SearchConfig
from seq2seq.formats import load_model
from seq2seq.kernels import calls
from seq2seq.parameters import parameter_shapes, tables
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
    kernels.set_threads(1)
    checkpoint = load_model(build(size, root) / "ours", whole=False)
    weights = step_weights(checkpoint.info.model)
    runner = Runner(checkpoint, device="cpu", precision="int8")
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
    calls = _calls(model, source, rows=beam)
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
        "calls": calls, "translation": parts,
    }  # fmt: skip
    _print(report)
    return report


def step_weights(config: ModelConfig) -> int:
    """Numbers in the matrices that one step multiplies by."""
    shapes = parameter_shapes(config)
    counts = [
        math.prod(shape)
        for name, shape in shapes.items()
        if name.startswith("decoder.") and len(shape) == 2 and not any(p in name for p in _ONCE)
    ]
    return sum(counts) + math.prod(shapes[tables(config)[2]])


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

    class Timed:
        def __init__(self) -> None:
            self._session = begin()

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._session, name)
            return timed(found) if name in ("step", "choose") else found

    def timed(step: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            output = step(*arguments, **options)
            times.append(time.perf_counter() - begun)
            return output

        return called

    model.session = Timed
    try:
        yield times
    finally:
        del model.session


def _calls(model: Any, source: list[list[int]], *, rows: int) -> int:
    """Operators that a step calls."""
    session = model.session()
    state = session.start(session.encode(source)).select([0] * rows)
    tokens = [session.config.unk_id] * rows
    with mock.patch.object(calls, "run", wraps=calls.run) as run:
        session.choose(tokens, state, count=2 * rows if rows > 1 else 1)
    return run.call_count


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
