"""Models on their way from the Hub: one download each, however many people wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from seq2seq import hub
from seq2seq.hub import HubCancelledError

__all__ = ["Downloads", "Fetched"]

_LOOK = 0.25
"""Seconds between two looks at how far a download is."""


@dataclass(frozen=True)
class Fetched:
    """How far a download is, in bytes; the total is 0 as long as nobody knows it."""

    done: int
    total: int


@dataclass
class _Download:
    """A running one. ``waiting`` counts the people; with none left it is cancelled."""

    progress: Fetched = Fetched(0, 0)
    waiting: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


class Downloads:
    """Brings models into the Hub's cache, in the background.

    Args:
        max_bytes: a larger model is refused.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._running: dict[str, _Download] = {}
        self._lock = threading.Lock()

    def wait(self, name: str) -> Iterator[Fetched]:
        """Yield how far the download is, several times a second, until it is done.

        Closing the iterator gives up waiting; the last one who does ends the download, which
        the next one resumes.

        Raises:
            HubError: it failed; the message says why.
        """
        download = self._join(name)
        try:
            while not download.over.wait(_LOOK):
                yield download.progress
        finally:
            with self._lock:
                download.waiting -= 1
        if download.error is not None:
            raise download.error

    def _join(self, name: str) -> _Download:
        with self._lock:
            download = self._running.get(name)
            if download is not None and download.waiting:  # without anybody it is being cancelled
                download.waiting += 1
                return download
            download = self._running[name] = _Download(waiting=1)
        worker = threading.Thread(
            target=self._work, args=(name, download), name=f"pull {name}", daemon=True
        )
        worker.start()
        return download

    def _work(self, name: str, download: _Download) -> None:
        def show(done: int, total: int, _: str) -> None:
            download.progress = Fetched(done, total)

        try:
            hub.pull(
                name,
                progress=show,
                cancelled=lambda: download.waiting == 0,
                max_bytes=self._max_bytes,
            )
        except Exception as error:
            if not (isinstance(error, HubCancelledError) and download.waiting == 0):
                download.error = error
        finally:
            with self._lock:
                if self._running.get(name) is download:
                    del self._running[name]
            download.over.set()
