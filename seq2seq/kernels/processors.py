"""How many processors a process has for itself."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["own_processors"]

_CPUS = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def own_processors() -> int:
    """Cores that work at the same time: what ``OMP_NUM_THREADS`` says, or else what there is.

    Two threads of one core share what our operators are made of, so they count as one; and a
    container may have less time than the machine has cores.
    """
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if said.isdigit() and int(said):
        return int(said)
    return max(1, min(_cores(), _allowance()))


def _cores() -> int:
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    processors = os.sched_getaffinity(0)
    try:
        siblings = {
            (_CPUS / f"cpu{number}" / "topology" / "thread_siblings_list").read_text()
            for number in processors
        }
    except OSError:
        return len(processors)
    return len(siblings)


def _allowance() -> int:
    """Whole processors' time that a container gets; very many where nothing is said."""
    try:
        quota, _, period = _QUOTA.read_text().strip().partition(" ")
        return max(1, int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return 2**16
