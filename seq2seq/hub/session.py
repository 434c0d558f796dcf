"""Where the Hub is, where its files are kept, and calls that cannot hang.

huggingface_hub reads its environment once, when it is imported; here every call reads it anew,
and the values are handed over explicitly.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Self, TypeVar

from huggingface_hub import HfApi, constants
from huggingface_hub.utils import build_hf_headers

from seq2seq.hub.errors import HubCancelledError, HubInputError, NoAnswerError

__all__ = ["Hub", "Pulse", "watch"]

T = TypeVar("T")

_LIBRARY = "seq2seq-explorer"
_TRUE = {"1", "ON", "YES", "TRUE"}
_TICK = 0.05  # seconds between two looks at a call that is under way

# Constants and not variables of the environment: gradio or transformers may have imported the
# library before this line, or before the app said it there, and then it does not look at its
# environment again.
for _name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET"):
    if os.environ.get(_name, "1").upper() in _TRUE:
        setattr(constants, _name, True)


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A Hub, and how patient to be with it.

    Attributes:
        endpoint: its address, without a slash at the end.
        cache: huggingface_hub's cache folder.
        offline: use no network.
        timeout: seconds until it must have answered a question.
        stall: seconds that a download may bring no byte.
    """

    endpoint: str
    cache: Path
    offline: bool
    timeout: float
    stall: float

    @classmethod
    def here(
        cls,
        *,
        endpoint: str | None = None,
        cache: Path | None = None,
        offline: bool = False,
        timeout: float = 5.0,
        stall: float = 10.0,
    ) -> Self:
        """The Hub that arguments and environment name.

        Raises:
            HubInputError: the address is none.
        """
        address = (endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip(
            "/"
        )
        if not address.startswith(("http://", "https://")):
            raise HubInputError(
                f"{address!r} is no address of a Hub: it must begin with https://; correct or "
                "unset HF_ENDPOINT"
            )
        return cls(
            endpoint=address,
            cache=cache if cache is not None else _cache(),
            offline=offline or _is_set("HF_HUB_OFFLINE") or _is_set("TRANSFORMERS_OFFLINE"),
            timeout=timeout,
            stall=stall,
        )

    def api(self) -> HfApi:
        """huggingface_hub's client for this Hub."""
        return HfApi(endpoint=self.endpoint, library_name=_LIBRARY)

    def headers(self) -> dict[str, str]:
        """Headers of a request, with the token if there is one."""
        return dict(build_hf_headers(library_name=_LIBRARY))


def _cache() -> Path:
    """The cache folder by the rules of huggingface_hub.

    Raises:
        HubInputError: there is no such folder.
    """
    for name, inside in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if chosen := os.environ.get(name):
            return _expanded(name, chosen) / inside
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded("XDG_CACHE_HOME", base) / "huggingface" / "hub"


def _expanded(variable: str, folder: str) -> Path:
    try:
        return Path(os.path.expandvars(folder)).expanduser()
    except RuntimeError as error:  # the home folder of a user who has none
        raise HubInputError(f"{variable} is {folder[:80]!r}, where no folder can be") from error


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").upper() in _TRUE


class Pulse:
    """A sign of life from a thread to the one that waits for it."""

    def __init__(self) -> None:
        self._abandoned = threading.Event()
        self._last = time.monotonic()

    def beat(self) -> None:
        """Say that something has happened; ends the thread if nobody waits any more."""
        if self._abandoned.is_set():
            raise _AbandonedError
        self._last = time.monotonic()

    def pause(self, seconds: float) -> None:
        """Sleep, but not on when nobody waits."""
        if self._abandoned.wait(seconds):
            raise _AbandonedError

    def abandon(self) -> None:
        """Nobody waits any more."""
        self._abandoned.set()

    @property
    def silence(self) -> float:
        """Seconds since the last sign."""
        return time.monotonic() - self._last


class _AbandonedError(Exception):
    """Ends a thread that nobody waits for."""


class _Outcome(Generic[T]):
    """What a thread came to."""

    def __init__(self) -> None:
        self.value: list[T] = []
        self.error: BaseException | None = None


def watch(
    work: Callable[[Pulse], T],
    *,
    patience: float,
    cancelled: Callable[[], bool] | None = None,
    tick: Callable[[], None] | None = None,
) -> T:
    """Run ``work`` in a thread and wait for it, but not for ever.

    Looking up a name, and some servers, can hold a call up for minutes whatever its time limit;
    a thread can be left behind.

    Args:
        work: gets a :class:`Pulse` to show that it goes on.
        patience: seconds without a sign of life until it is given up.
        cancelled: asked all the time; True ends the waiting.
        tick: called all the time, in the caller's thread.

    Raises:
        NoAnswerError: there was no sign of life for so long.
        HubCancelledError: ``cancelled`` said so; the text is for the caller to improve.
    """
    pulse, outcome, done = Pulse(), _Outcome[T](), threading.Event()

    def run() -> None:
        try:
            outcome.value.append(work(pulse))
        except BaseException as error:  # handed over to the one who waits
            outcome.error = error
        finally:
            done.set()

    threading.Thread(target=run, name="hub", daemon=True).start()
    try:
        while not done.wait(_TICK):
            if cancelled is not None and cancelled():
                raise HubCancelledError("stopped")
            if pulse.silence > patience:
                raise NoAnswerError
            if tick is not None:
                tick()
    finally:
        pulse.abandon()
    if outcome.error is not None:
        raise outcome.error
    return outcome.value[0]
