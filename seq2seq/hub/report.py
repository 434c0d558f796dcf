"""How far a transfer is, told to the caller in the caller's own thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "Report"]

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with bytes done, bytes in total, and the file that is on its way."""


class Report:
    """Carries a number of bytes from the thread that transfers to the one that tells."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total = progress, total
        self._now: tuple[int, str] | None = None
        self._told: tuple[int, str] | None = None

    def arrived(self, count: int, file: str) -> None:
        """So many bytes of all files are done; ``file`` is the present one."""
        self._now = (count, file)

    def tell(self) -> None:
        """Tell what has changed since the last time."""
        now = self._now
        if self._progress is not None and now is not None and now != self._told:
            self._told = now
            self._progress(now[0], self._total, now[1])
