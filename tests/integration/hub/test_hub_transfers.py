"""Transfers that break, and disks without room: nothing damaged stays."""

from __future__ import annotations

import errno
import io
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_support import MARIAN, NAME, NEEDED, WEIGHTS, contents, failure, leftovers, pull
from stand_in_hub import StandInHub

from seq2seq import hub as api
from seq2seq.hub import HubCancelledError, HubUnreachableError


class TestBrokenTransfers:
    def test_a_cut_connection_is_gone_on_with(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("cut", path="/storage/", after=300_000, times=3)  # two small files before it
        assert contents(pull())["model.safetensors"] == WEIGHTS
        ranges = [r.headers["Range"] for r in hub.requests if "Range" in r.headers]
        assert "bytes=300000-" in ranges

    def test_the_next_pull_fetches_only_the_rest(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        small = [f for f in NEEDED if f.endswith(".spm")]
        fault = hub.fail("cut", path="/storage/", after=100_000)
        assert failure(HubUnreachableError) == (
            f"{NAME}: model.safetensors: the connection to {hub.url} broke several times; pull "
            "again later, it goes on where it ended"
        )
        assert len(leftovers(cache)) == 1
        assert small
        assert api.cached(NAME) is None
        hub.faults.remove(fault)
        hub.requests.clear()
        told: list[int] = []
        assert (
            contents(pull(progress=lambda done, *_: told.append(done)))["model.safetensors"]
            == WEIGHTS
        )
        assert [r.headers["Range"] for r in hub.requests if "Range" in r.headers] == [
            "bytes=300000-"  # asked for on the Hub, and again where it leads
        ] * 2
        assert leftovers(cache) == []

    def test_a_server_without_ranges_starts_anew(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        fault = hub.fail("cut", path="/storage/", after=100_000)
        failure(HubUnreachableError)
        hub.faults.remove(fault)
        hub.fail("whole")
        assert contents(pull())["model.safetensors"] == WEIGHTS
        assert "bytes=300000-" in [r.headers.get("Range") for r in hub.requests]

    @pytest.mark.parametrize("part", [b"something else" * 10_000, b"x" * 900_000, WEIGHTS])
    def test_a_part_that_does_not_fit_is_no_harm(
        self, hub: StandInHub, cache: Path, part: bytes
    ) -> None:
        hub.add(NAME, MARIAN)
        fault = hub.fail("cut", path="/storage/", after=100_000)
        failure(HubUnreachableError)
        hub.faults.remove(fault)
        next(cache.rglob("*.incomplete")).write_bytes(part)
        assert contents(pull())["model.safetensors"] == WEIGHTS
        assert leftovers(cache) == []

    def test_a_stalled_body_is_given_up(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("stall", path="/storage/", after=50_000)
        assert failure(HubUnreachableError, within=6) == (
            f"{NAME}: model.safetensors: {hub.url} sent nothing for 0.4 s, twice; "
            "pull again later, it goes on where it ended"
        )
        hub.recover()
        assert contents(pull())["model.safetensors"] == WEIGHTS

    def test_stopping_takes_no_second(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("stall", path="/storage/", after=50_000)
        start = time.monotonic()
        stop: Callable[[], bool] = lambda: time.monotonic() - start > 0.5  # noqa: E731
        assert failure(HubCancelledError, within=1.5, stall=30, cancelled=stop) == (
            f"{NAME}: the download was stopped; the next pull goes on where it ended"
        )
        assert api.cached(NAME) is None

    def test_stopping_while_the_hub_is_asked(self, hub: StandInHub) -> None:
        hub.fail("hang")
        start = time.monotonic()
        stop: Callable[[], bool] = lambda: time.monotonic() - start > 0.2  # noqa: E731
        message = failure(HubCancelledError, within=1.2, timeout=30, cancelled=stop)
        assert message.startswith(f"{NAME}: the download was stopped")

    def test_another_size_than_announced(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("size", path="/storage/", after=7)
        assert failure() == (
            f"{NAME}: source.spm came with 17 bytes instead of 10; it was deleted, pull again"
        )
        assert leftovers(cache) == []

    def test_a_wrong_content_length(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("length", path="/storage/", after=5)
        assert "source.spm came with 15 bytes instead of 10" in failure()
        assert leftovers(cache) == []

    @pytest.mark.parametrize(
        ("path", "file"), [("/storage/", "source.spm"), ("vocab", "vocab.json")]
    )
    def test_a_damaged_file_is_thrown_away(
        self, hub: StandInHub, cache: Path, path: str, file: str
    ) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("corrupt", path=path)
        assert failure() == (
            f"{NAME}: {file} came damaged, its content does not match its checksum; it was "
            "deleted, pull again"
        )
        assert leftovers(cache) == []
        assert not list(cache.rglob(file))
        hub.recover()
        assert contents(pull()) == {name: MARIAN[name] for name in NEEDED}


class TestDisk:
    def test_too_little_room_is_seen_before_the_download(
        self, hub: StandInHub, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add(NAME, MARIAN)
        usage = shutil.disk_usage(cache.parent)._replace(free=1_000_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        assert failure() == (
            f"{NAME}: the disk of {cache} is full: 17.5 MB needed, 1.0 MB free; make room, or set "
            "HF_HOME to another disk"
        )
        assert [p for p in hub.paths() if "resolve" in p and "config.json" not in p] == []

    def test_a_disk_that_fills_up_meanwhile(
        self, hub: StandInHub, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add(NAME, MARIAN)
        real = Path.open

        class Full(io.FileIO):
            def write(self, data: Any) -> int:
                if self.tell() > 100_000:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return super().write(data)

        def opening(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if self.name.endswith(".incomplete") and "b" in mode and mode != "rb":
                return Full(self, "w")
            return real(self, mode, *args, **kwargs)

        monkeypatch.setattr(Path, "open", opening)
        assert failure() == (
            f"{NAME}: model.safetensors: the disk of {cache} is full; make room, or set HF_HOME to "
            "another disk"
        )
        assert leftovers(cache) == []
        assert api.cached(NAME) is None
        monkeypatch.setattr(Path, "open", real)
        assert contents(pull())["model.safetensors"] == WEIGHTS

    def test_a_cache_that_is_a_file(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        cache.write_text("in the way")
        message = failure()
        assert message.startswith(f"{NAME}: generation_config.json: {cache}")
        assert "cannot be used (" in message
