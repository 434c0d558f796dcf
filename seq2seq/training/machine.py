"""What this machine offers a training: device, number format, memory, signals, logs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from seq2seq.config import ConfigError, TrainingConfig
from seq2seq.nn import AnyModel, build_model
from seq2seq.training.data import ParallelIds, make_batch
from seq2seq.training.parallel import LossModule

__all__ = [
    "best_device",
    "choose_precision",
    "describe_machine",
    "keep_freed_memory",
    "stop_signals",
    "summary_log",
]


def best_device(name: str | None) -> torch.device:
    """The named device, or the fastest kind there is; raises :class:`ConfigError`."""
    if name is not None:
        try:
            device = torch.device(name)
        except RuntimeError as error:
            raise ConfigError(f"device {name!r} is not known to PyTorch") from error
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ConfigError(f"device {name!r}: no CUDA GPU is available here")
    elif torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    else:
        device = torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def describe_machine(device: torch.device, processes: int) -> str:
    """One line for people: processor or GPU, and how many of it."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return name if processes == 1 else f"{processes} x {name}"
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = " ".join(line.partition(":")[2].split())
                break
    threads = torch.get_num_threads() * processes
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"


def choose_precision(
    model: AnyModel, config: TrainingConfig, data: ParallelIds, device: torch.device
) -> str:
    """fp32 or bf16: as configured, or the one that trains a batch in less time here."""
    if config.precision != "auto":
        return config.precision
    if device.type == "mps":
        return "fp32"
    seconds = {}
    ids = model.config
    rows = range(min(len(data), max(1, min(config.batch_tokens, 4096) // 16)))
    batch = make_batch(data, rows, pad=ids.pad_id, bos=ids.bos_id).to(device)
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        trial = LossModule(build_model(ids).to(device, dtype), smoothing=0.1, chunk=256)
        for _ in range(2):  # the first one warms up
            started = time.perf_counter()
            trial(batch).loss.backward()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds[name] = time.perf_counter() - started
    return min(seconds, key=lambda name: seconds[name])


def keep_freed_memory() -> None:
    """Let the C library keep freed blocks instead of returning them to the system.

    A training step allocates the same large blocks again and again; having the system clear
    new pages for each of them costs about a tenth of the step. Only glibc has these settings.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
            mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT or SIGTERM into a wish to stop after the running update."""
    wishes: list[int] = []
    before = {}
    with contextlib.suppress(ValueError):  # not the main thread: leave signals alone
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda n, _: wishes.append(n))
    try:
        yield lambda: bool(wishes)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def summary_log(folder: Path, *, active: bool) -> Iterator[Callable[[str, float, int], None]]:
    """A function that logs (name, value, step) to TensorBoard in ``folder``.

    It does nothing where TensorBoard is not installed or ``active`` is False.
    """
    writer = None
    if active:
        with contextlib.suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

            writer = SummaryWriter(str(folder))

    def log(name: str, value: float, step: int) -> None:
        if writer is not None:
            writer.add_scalar(name, value, step)

    try:
        yield log
    finally:
        if writer is not None:
            writer.close()
