"""One file from the Hub into the cache: resumed, watched, verified, and only then visible.

``hf_hub_download`` would do the first half, but it throws away what a broken download has
brought, cannot be stopped within its pieces of 10 MB, and keeps what it got without a look at
the hash.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx2
from huggingface_hub.utils import WeakFileLock, get_session, hf_raise_for_status

from seq2seq.hub.cache import CachedRepository
from seq2seq.hub.errors import HubError
from seq2seq.hub.repository import RemoteFile, file_url
from seq2seq.hub.session import Hub, Pulse

__all__ = ["Transfer"]

_ATTEMPTS = 3  # in a row that bring next to nothing
_PROGRESS = 1_000_000  # bytes that make a broken attempt worth another series
_BROKEN = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)


@dataclass(kw_only=True)
class Transfer:
    """A file on its way.

    Attributes:
        hub, cached: from where and to where.
        commit: which state of the repository.
        file: which file of it.
        pulse: shows that it goes on.
        arrived: called with the number of bytes that are there.
    """

    hub: Hub
    cached: CachedRepository
    commit: str
    file: RemoteFile
    pulse: Pulse
    arrived: Callable[[int], None]

    def run(self) -> None:
        """Bring the file; afterwards it is in its snapshot folder.

        Raises:
            HubError: the file is not what was announced; nothing of it is left then.
            httpx2.HTTPError, HfHubHTTPError, OSError: as they come.
        """
        blob = self.cached.blob(self.file.digest)
        blob.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if not self._is_whole(blob):
                blob.unlink(missing_ok=True)
                self._collect(self.cached.partial(self.file.digest))
                os.replace(self.cached.partial(self.file.digest), blob)
            self.cached.link(self.commit, self.file.path, self.file.digest)
        self.arrived(self.file.size)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other thread or program bring the same file; what it brings counts as ours."""
        path = self.cached.lock(self.file.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial, seen = self.cached.partial(self.file.digest), -1
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(WeakFileLock(path, timeout=0.2))
                    break
                except TimeoutError:
                    self.pulse.pause(0)
                    if (size := _size(partial)) != seen:
                        seen = size
                        self.pulse.beat()
                        self.arrived(size)
            self.pulse.beat()
            yield

    def _collect(self, partial: Path) -> None:
        """Fill ``partial`` until it is whole and right."""
        try:
            resumed = 0 < _size(partial) <= self.file.size
            self._bring(partial)
            if not self._is_whole(partial) and resumed:  # the part from before may be to blame
                partial.unlink(missing_ok=True)
                self._bring(partial)
            self.pulse.beat()
            if not self._is_whole(partial):
                raise self._damaged()
        except HubError:
            partial.unlink(missing_ok=True)
            raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                partial.unlink(missing_ok=True)  # others need the room as well
                error.filename = error.filename or str(self.hub.cache)
            raise

    def _bring(self, partial: Path) -> None:
        """Ask for the missing rest until it is there, again after a broken connection."""
        failures = 0
        while True:
            before = _size(partial)
            try:
                self._request(partial)
                return
            except _BROKEN as error:
                cost = 2 if isinstance(error, httpx2.TimeoutException) else 1  # it took long
                gained = _size(partial) - before
                failures = cost if gained >= _PROGRESS else failures + cost
                if failures >= _ATTEMPTS:
                    raise
            self.pulse.beat()
            self.pulse.pause(0.2 * failures)

    def _request(self, partial: Path) -> None:
        """One request for what is missing."""
        start = _size(partial)
        if start > self.file.size:
            partial.unlink()
            start = 0
        if start == self.file.size and partial.exists():
            return
        headers = {**self.hub.headers(), "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        url = file_url(self.cached.id, self.commit, self.file.path, hub=self.hub)
        limits = httpx2.Timeout(self.hub.stall, connect=self.hub.timeout)
        with get_session().stream("GET", url, headers=headers, timeout=limits) as response:
            if response.status_code == 416:  # the part from before does not fit
                partial.unlink(missing_ok=True)
                raise httpx2.RemoteProtocolError("range refused")
            hf_raise_for_status(response)
            self.pulse.beat()
            start = start if _continues(response, start) else 0
            self._check_announced(response, start)
            with partial.open("r+b" if start else "wb") as file:
                file.seek(start)
                self._receive(response, file, start)

    def _receive(self, response: httpx2.Response, file: BinaryIO, start: int) -> None:
        done = start
        for chunk in response.iter_bytes():
            file.write(chunk)
            done += len(chunk)
            self.arrived(done)
            self.pulse.beat()
            if done > self.file.size:
                break
        if done != self.file.size:
            raise self._wrong_size(done)

    def _check_announced(self, response: httpx2.Response, start: int) -> None:
        """A login page or another file shows in its length, before it is downloaded."""
        length = response.headers.get("Content-Length", "")
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        if length.isdecimal() and not encoded and start + int(length) != self.file.size:
            raise self._wrong_size(start + int(length))

    def _is_whole(self, path: Path) -> bool:
        if not path.is_file() or path.stat().st_size != self.file.size:
            return False
        if len(self.file.digest) == 64:
            total = hashlib.sha256()
        else:  # as git names a content
            total = hashlib.sha1(f"blob {self.file.size}\0".encode(), usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                total.update(chunk)
                self.pulse.beat()
        return total.hexdigest() == self.file.digest

    def _wrong_size(self, found: int) -> HubError:
        return HubError(
            f"{self.cached.id}: {self.file.path} came with {found:,} bytes instead of "
            f"{self.file.size:,}; it was deleted, pull again"
        )

    def _damaged(self) -> HubError:
        return HubError(
            f"{self.cached.id}: {self.file.path} came damaged, its content does not match its "
            "checksum; it was deleted, pull again"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _continues(response: httpx2.Response, start: int) -> bool:
    """Whether the answer begins at ``start``; a server may send the whole file instead."""
    if response.status_code != 206:
        return False
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != start:
        raise httpx2.RemoteProtocolError("another range than asked for")
    return True
