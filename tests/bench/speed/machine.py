"""What the figures were taken on: processor, memory, versions, and how fast both are at most."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seq2seq.kernels import packing
from seq2seq.kernels.library import opened

__all__ = ["bandwidth", "best_of", "busy_seconds", "describe", "empty_call", "int8_peak", "speeds"]

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


def describe() -> dict[str, Any]:
    """For the report."""
    found: dict[str, Any] = {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
    }
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        meminfo = Path("/proc/meminfo").read_text(encoding="utf-8")
    except OSError:
        text = meminfo = ""
    if model := re.search(r"model name\s*: (.*)", text):
        found["processor"] = model[1]
    if flags := re.search(r"flags\s*: (.*)", text):
        found["flags"] = [flag for flag in _FLAGS if flag in flags[1].split()]
    if total := re.search(r"MemTotal:\s*(\d+)", meminfo):
        found["memory_gb"] = round(int(total[1]) / 2**20, 1)
    cache = Path("/sys/devices/system/cpu/cpu0/cache")
    for level in sorted(cache.glob("index*")):
        kind = (level / "type").read_text().strip()
        if kind != "Instruction":
            name = f"L{(level / 'level').read_text().strip()}"
            found[f"{name}_cache"] = (level / "size").read_text().strip()
    found["versions"] = {"python": platform.python_version()}
    for name in ("torch", "transformers", "ctranslate2"):
        try:
            found["versions"][name] = version(name)
        except PackageNotFoundError:
            found["versions"][name] = "not installed"
    return found


def speeds(threads: Sequence[int]) -> dict[str, Any]:
    """What the machine allows at most, by threads; memory in a stretch of 64 and of 512 MiB."""
    return {
        f"{count} th": {
            "read_64_mb_gb_s": round(bandwidth(64, threads=count), 1),
            "read_512_mb_gb_s": round(bandwidth(512, threads=count), 1),
            "int8_g_products_s": round(int8_peak(threads=count)),
        }
        for count in threads
    }


def busy_seconds() -> float:
    """Processor seconds that all programs have used since the system started; 0 if unknown.

    Those that a virtual machine was not given count as well.
    """
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, first.split()[1:])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def bandwidth(megabytes: float, *, threads: int) -> float:
    """GB/s at which so much memory is read again and again, by the fastest way of several."""
    values = torch.ones(int(megabytes * 2**18))
    whole, rows = values.view(torch.int32), values[: len(values) // 256 * 256].view(-1, 256)
    column = torch.ones(256)
    ways = (whole.amax, lambda: values.dot(values), lambda: rows @ column)
    return _with_threads(threads, lambda: values.nbytes / min(map(best_of, ways))) / 1e9


def int8_peak(*, threads: int) -> float:
    """Billions of multiplications with addition a second, of large 8-bit matrices.

    By the fastest of our product, oneDNN's, and that of 16-bit numbers, whose rate 8 bits can
    have too.
    """
    rows, inner, columns = 512, 1024, 2048
    x, matrix = torch.randn(rows, inner), packing.packed(columns, inner)
    values = np.ones((columns, inner), dtype=np.int8)
    packing.pack_rows(matrix, values, np.ones(columns, dtype=np.float32), None, first=0)
    small = torch.randint(-9, 9, (rows, inner), dtype=torch.int8)
    other = torch.randint(-9, 9, (columns, inner), dtype=torch.int8).t()
    half, weight = x.bfloat16(), torch.randn(inner, columns).bfloat16()
    ways = (
        lambda: packing.linear(x.numpy(), matrix),
        lambda: torch._int_mm(small, other),
        lambda: half @ weight,
    )
    with torch.inference_mode():
        fastest = _with_threads(threads, lambda: min(map(best_of, ways)))
    return rows * inner * columns / fastest / 1e9


def empty_call() -> float:
    """Microseconds of an operator that does nothing."""
    count, call = 1000, opened().seq2seq_threads

    def calls() -> None:
        for _ in range(count):
            call()

    return best_of(calls) * 1e6 / count


def best_of(run: Callable[[], Any], *, count: int = 20) -> float:
    """Seconds of the fastest of some runs, after a few that are not counted."""
    times = []
    for number in range(count + 3):
        begun = time.perf_counter()
        run()
        if number >= 3:
            times.append(time.perf_counter() - begun)
    return min(times)


def _with_threads(threads: int, measure: Callable[[], float]) -> float:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return measure()
    finally:
        torch.set_num_threads(before)
