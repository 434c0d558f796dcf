"""A runner that is held, and callers who stand in line in a known order."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from seq2seq.config import SearchConfig
from seq2seq.decoding.search import PartialHypothesis, SearchResult
from seq2seq.queueing import Batcher, Kind, Ticket
from seq2seq.runner import Outcome

KIND = Kind(SearchConfig(beam=1), trace=False, attention=False)
OTHER = replace(KIND, trace=True)
PATIENCE = 20.0  # seconds until a test that hangs fails


class FakeRunner:
    """Answers with what it was asked; holds every batch until the test lets it go.

    A source that holds a key of ``errors`` makes its batch fail.
    """

    def __init__(self, *, held: bool = True, steps: int = 0) -> None:
        self.batches: list[list[tuple[int, ...]]] = []
        self.kinds: list[tuple[Any, ...]] = []
        self.errors: dict[int, BaseException] = {}
        self.stopped: set[int] = set()  # first ids of the sources that were
        self.steps = steps
        self.most_at_once = self.at_once = 0
        self._held = held
        self._permits = threading.Semaphore(0)
        self._changed = threading.Condition()

    def run(self, sources: Sequence[Sequence[int]], **options: Any) -> Outcome:
        with self._changed:
            self.batches.append([tuple(source) for source in sources])
            self.kinds.append((options["config"], options["trace"], options["attention"]))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self._changed.notify_all()
        try:
            if self._held:
                assert self._permits.acquire(timeout=PATIENCE)
            for source in sources:
                if source[0] in self.errors:
                    raise self.errors[source[0]]
            for step in range(1, self.steps + 1):
                self._step(step, sources, options)
        finally:
            with self._changed:
                self.at_once -= 1
        assert [tuple(p) for p in options["prefixes"]] == [(source[0],) for source in sources]
        results = tuple(cast(SearchResult, ("result", tuple(source))) for source in sources)
        return Outcome(results, encoder=1.0, decoder=2.0, device="cpu", precision="fp32")

    def _step(self, step: int, sources: Sequence[Sequence[int]], options: dict[str, Any]) -> None:
        if options["on_step"]:
            partial = [
                PartialHypothesis((source[0], step), (0.0, 0.0), None, 0.0) for source in sources
            ]
            options["on_step"](partial)
        for row, source in enumerate(sources):
            if source[0] not in self.stopped and options["should_stop"](row):
                self.stopped.add(source[0])

    def go(self, batches: int = 1) -> None:
        self._permits.release(batches)

    def begun(self, batches: int) -> None:
        """Wait until that many have begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.batches) >= batches, PATIENCE)


def ticket(first: int, *, kind: Kind = KIND, length: int = 1, rows: int = 1) -> Ticket:
    sources = [(first, *[0] * (length - 1))] * rows
    return Ticket(kind, sources, prefixes=[(first,)] * rows)


def answer(given: Ticket) -> tuple[Any, ...]:
    return tuple(("result", tuple(source)) for source in given.sources)


def make(runner: FakeRunner, **options: Any) -> Batcher:
    defaults = {"places": 1, "batch_tokens": 100, "max_waiting": 100, "max_wait": PATIENCE}
    return Batcher(runner, **{**defaults, **options})


class Callers:
    """Threads that stand in line in a known order."""

    def __init__(self, batcher: Batcher) -> None:
        self.batcher = batcher
        self.found: dict[int, Any] = {}
        self.threads: list[threading.Thread] = []

    def come(self, given: Ticket) -> Ticket:
        """One more; returns when it stands in line, or has a place."""

        def call() -> None:
            number = given.sources[0][0]
            try:
                self.found[number] = self.batcher.run(given).results
            except BaseException as error:
                self.found[number] = error

        before = self.batcher.waiting
        thread = threading.Thread(target=call)
        self.threads.append(thread)
        thread.start()
        poll = threading.Event()
        for _ in range(int(PATIENCE / 0.002)):
            if self.batcher.waiting > before or given.batch or not thread.is_alive():
                return given
            poll.wait(0.002)
        raise AssertionError("never came to stand in line")

    def end(self) -> dict[int, Any]:
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert self.batcher.waiting == 0
        return self.found
