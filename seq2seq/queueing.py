"""Requests that come together are decoded together: a line of callers before the runner.

A caller who finds a place free decodes at once, in its own thread. Who comes while all places are
taken stands in line; the next free place goes to the caller who has stood there longest, and it
takes along others whose sentences can be in the same batch, as many as make all places equally
busy. Those sleep until it is done. There is no thread that only manages, and so nothing that can be
left over.

A lone caller never waits for company. But people who got their answers together often ask again
together: the first of them to come back waits for the others, for a quarter of the time that their
batch took and 50 milliseconds at most from its end.
"""

from __future__ import annotations

import enum
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Protocol

from seq2seq.config import SearchConfig
from seq2seq.decoding.search import OnStep, PartialHypothesis, ShouldStop
from seq2seq.request import BusyError
from seq2seq.runner import Outcome

__all__ = ["Batcher", "Decodes", "Kind", "Ticket"]

_log = logging.getLogger(__name__)


_PATIENCE = 0.25  # of a batch's seconds, that a place stays empty for the sake of the next one
_MOST_PATIENCE = 0.05  # seconds


class Decodes(Protocol):
    """What a batch is given to: :class:`seq2seq.runner.Runner`."""

    def run(
        self,
        sources: Sequence[Sequence[int]],
        *,
        config: SearchConfig,
        prefixes: Sequence[Sequence[int]],
        trace: bool,
        attention: bool,
        on_step: OnStep | None,
        should_stop: ShouldStop | None,
    ) -> Outcome:
        """Search for translations of one batch."""


@dataclass(frozen=True)
class Kind:
    """What the sentences of a batch have in common.

    Attributes:
        config: how to search.
        trace, attention: what to keep.
    """

    config: SearchConfig
    trace: bool
    attention: bool


class _Stage(enum.Enum):
    OUTSIDE = enum.auto()  # not in line yet, or gone
    WAITING = enum.auto()
    LEADING = enum.auto()  # has a place and decodes, or is about to
    ABOARD = enum.auto()  # somebody else decodes it
    DONE = enum.auto()


@dataclass(eq=False)
class _Place:
    """Where one batch after the other is decoded.

    Attributes:
        riders: tickets of the last batch.
        until: when, on the clock of ``time.monotonic``, it is no longer worth waiting for them.
    """

    riders: int = 1
    until: float = 0.0

    def left(self, riders: int, *, after: float) -> None:
        """Remember a batch that took ``after`` seconds and ends now."""
        self.riders = riders
        self.until = time.monotonic() + min(_PATIENCE * after, _MOST_PATIENCE)


class Ticket:
    """Sentences of one caller that are decoded in one batch, and what became of them.

    Args:
        kind: how.
        sources: ids of each sentence.
        prefixes: target ids that each translation begins with.
        on_step: called after every step with the best hypothesis so far, by whichever thread
            decodes; for a single sentence. Not where memory suffices for parts of the batch only.
        interval: seconds between two calls of ``on_step`` at least, in a batch with others.
    """

    def __init__(
        self,
        kind: Kind,
        sources: Sequence[Sequence[int]],
        *,
        prefixes: Sequence[Sequence[int]],
        on_step: Callable[[PartialHypothesis], None] | None = None,
        interval: float = 0.0,
    ) -> None:
        self.kind = kind
        self.sources = sources
        self.prefixes = prefixes
        self.on_step = on_step
        self.longest = max(map(len, sources))
        self.stopped = False  # nobody wants it any more
        self.shown = 0  # the last step that ``on_step`` has seen
        self._interval = interval
        self._due = 0.0
        self.stage = _Stage.OUTSIDE
        self.place: _Place | None = None
        self.batch: list[Ticket] = []  # that it leads, itself included
        self.woken = threading.Event()  # has a place, or is done
        self.outcome: Outcome | None = None
        self.error: Exception | None = None

    def show(
        self, step: int, partial: Sequence[PartialHypothesis], row: int, *, alone: bool
    ) -> None:
        """Let ``on_step`` see its row, if it is due; in a second attempt not what it has seen."""
        now = time.monotonic()
        due = alone or now >= self._due
        if self.on_step and not self.stopped and step > self.shown and due:
            self.shown, self._due = step, now + self._interval
            self.on_step(partial[row])


class Batcher:
    """The line and its places. May be called from any number of threads.

    First come, first served, by whole batches: the caller at the head of the line leads the next
    one, whatever it asks for. It takes along those who ask for the same kind of search, sentences
    of a similar length first; whoever is passed over comes nearer to the head with every batch.

    Args:
        runner: decodes a batch.
        places: batches that are decoded at the same time.
        batch_tokens: source pieces times beam of one batch, padding included; a ticket above it
            is decoded alone.
        max_waiting: most tickets in line.
        max_wait: seconds that a ticket stands in line at most; None for as long as it takes.
    """

    def __init__(
        self,
        runner: Decodes,
        *,
        places: int,
        batch_tokens: int,
        max_waiting: int,
        max_wait: float | None,
    ) -> None:
        self._runner = runner
        self._batch_tokens = batch_tokens
        self._max_waiting = max_waiting
        self._max_wait = max_wait
        self._places = places
        self._free = [_Place() for _ in range(places)]  # empty whenever somebody waits
        self._leaders: list[Ticket] = []
        self._waiting: list[Ticket] = []
        self._lock = threading.Lock()
        self._company = threading.Condition(self._lock)  # those who waited for it have it

    def run(self, ticket: Ticket) -> Outcome:
        """Decode a ticket's sentences, together with others if there are some; blocks.

        Returns:
            Results of this ticket alone, and its share of the batch's seconds.

        Raises:
            BusyError: the line is too long, or the wait was.
            CancelledError: the ticket was cancelled.
            Exception: what the search of these very sentences raises.
        """
        try:
            self._enter(ticket)
            self._wait(ticket)
            if ticket.place is not None and self._gather(ticket, ticket.place):
                started = time.monotonic()
                self._decode(ticket.batch)
                ticket.place.left(len(ticket.batch), after=time.monotonic() - started)
        finally:  # also when the caller is interrupted, at whatever point
            self._leave(ticket)
        if ticket.error is not None:
            raise ticket.error
        if ticket.outcome is None or ticket.stopped:
            raise CancelledError
        return ticket.outcome

    def cancel(self, ticket: Ticket) -> bool:
        """Take a ticket out of the line, or end its search at the next step; others go on.

        Returns:
            Whether the thread in :meth:`run` is soon back, not held up by others' sentences.
        """
        with self._lock:
            ticket.stopped = True
            if ticket.stage is _Stage.WAITING:
                self._waiting.remove(ticket)
                ticket.stage = _Stage.OUTSIDE
            if ticket.stage is not _Stage.LEADING:
                ticket.woken.set()
            self._company.notify_all()
            return all(other.stopped for other in ticket.batch)

    @property
    def waiting(self) -> int:
        """Tickets in line."""
        with self._lock:
            return len(self._waiting)

    # --- The line -----------------------------------------------------------------------------

    def _enter(self, ticket: Ticket) -> None:
        """Take a place or stand in line."""
        with self._lock:
            if ticket.stopped:
                ticket.woken.set()
            elif self._free:
                self._seat(ticket, self._free.pop())
            elif len(self._waiting) >= self._max_waiting:
                raise BusyError(
                    f"{len(self._waiting)} requests are waiting for this model, which is the most "
                    "it takes; try again in a moment, or give it more workers"
                )
            else:
                ticket.stage = _Stage.WAITING
                self._waiting.append(ticket)
                if any(self._complete(leader) for leader in self._leaders):
                    self._company.notify_all()

    def _wait(self, ticket: Ticket) -> None:
        """Until the ticket has a place, is done, or has been cancelled."""
        started, limit = time.monotonic(), self._max_wait
        while not ticket.woken.wait(limit):
            with self._lock:
                if ticket.stage is _Stage.WAITING:
                    raise BusyError(
                        f"no turn came in {time.monotonic() - started:.0f} seconds; try again "
                        "later, or give the model more workers"
                    )
            limit = None  # is being decoded, or at the head of the line again

    def _seat(self, ticket: Ticket, place: _Place) -> None:
        """Give a ticket a place. The lock is held."""
        self._leaders.append(ticket)
        ticket.place = place
        ticket.batch = [ticket]
        ticket.stage = _Stage.LEADING
        ticket.woken.set()

    def _complete(self, leader: Ticket) -> bool:
        """As many are there as were in the batch before. The lock is held."""
        return leader.place is None or len(self._waiting) + 1 >= leader.place.riders

    def _gather(self, leader: Ticket, place: _Place) -> bool:
        """Let come along who fits; False if the leader itself is not wanted any more."""
        with self._lock:
            self._company.wait_for(
                lambda: leader.stopped or self._complete(leader),
                timeout=max(place.until - time.monotonic(), 0),
            )
            if leader.stopped:
                return False
            leader.batch = self._companions(leader)
            for other in leader.batch[1:]:
                self._waiting.remove(other)
                other.stage = _Stage.ABOARD
            return True

    def _companions(self, leader: Ticket) -> list[Ticket]:
        """The leader and those in line who can be in its batch. The lock is held."""
        everybody = sum(len(other.batch) for other in self._leaders) + len(self._waiting)
        share = math.ceil(everybody / self._places)
        config = leader.kind.config
        room = self._batch_tokens // max(config.beam, config.n_best)
        batch, rows, longest = [leader], len(leader.sources), leader.longest
        fitting = [other for other in self._waiting if other.kind == leader.kind]
        for other in sorted(fitting, key=lambda other: abs(other.longest - leader.longest)):
            width = max(longest, other.longest)
            if len(batch) < share and (rows + len(other.sources)) * width <= room:
                batch.append(other)
                rows, longest = rows + len(other.sources), width
        return batch

    def _leave(self, ticket: Ticket) -> None:
        """Whatever became of a caller: give its place to the next, and leave nobody behind."""
        with self._lock:
            ticket.stopped = ticket.stopped or ticket.stage is not _Stage.DONE
            if ticket.stage is _Stage.WAITING:
                self._waiting.remove(ticket)
            if ticket.place:
                left = [other for other in ticket.batch if other.stage is _Stage.ABOARD]
                for other in left:
                    other.stage = _Stage.OUTSIDE if other.stopped else _Stage.WAITING
                self._waiting[:0] = [other for other in left if not other.stopped]
                self._leaders.remove(ticket)
                place, ticket.place, ticket.batch = ticket.place, None, []
                if self._waiting:
                    self._seat(self._waiting.pop(0), place)
                else:
                    self._free.append(place)
            if ticket.stage is not _Stage.DONE:
                ticket.stage = _Stage.OUTSIDE

    # --- A batch ------------------------------------------------------------------------------

    def _decode(self, batch: Sequence[Ticket]) -> None:
        """Decode a batch. After an error every ticket runs once more alone, to get its own."""
        try:
            self._run(batch)
        except Exception as error:
            if len(batch) == 1:
                self._finish(batch[0], error=error)
                return
            _log.warning("%d requests in a batch run one by one after: %s", len(batch), error)
        for ticket in batch:
            if ticket.stage is not _Stage.DONE and not ticket.stopped:
                try:
                    self._run([ticket])
                except Exception as error:
                    self._finish(ticket, error=error)

    def _run(self, batch: Sequence[Ticket]) -> None:
        rows = [ticket for ticket in batch for _ in ticket.sources]
        watch = _Watch(rows)
        kind = batch[0].kind
        outcome = self._runner.run(
            [source for ticket in batch for source in ticket.sources],
            config=kind.config,
            prefixes=[prefix for ticket in batch for prefix in ticket.prefixes],
            trace=kind.trace,
            attention=kind.attention,
            on_step=watch.on_step if watch.streams else None,
            should_stop=watch.should_stop,
        )
        first = 0
        for ticket in batch:
            last = first + len(ticket.sources)
            share = len(ticket.sources) / len(rows)
            own = Outcome(
                results=outcome.results[first:last],
                encoder=outcome.encoder * share,
                decoder=outcome.decoder * share,
                device=outcome.device,
                precision=outcome.precision,
                warnings=outcome.warnings,
            )
            self._finish(ticket, outcome=own)
            first = last

    def _finish(
        self, ticket: Ticket, *, outcome: Outcome | None = None, error: Exception | None = None
    ) -> None:
        with self._lock:
            ticket.outcome, ticket.error = outcome, error
            ticket.stage = _Stage.DONE
            ticket.woken.set()


class _Watch:
    """Shows a batch's steps to those who want to see them, and stops rows that nobody wants.

    Args:
        rows: the ticket of every row.
    """

    def __init__(self, rows: Sequence[Ticket]) -> None:
        self._rows = rows
        self._steps = 0
        self.streams = {n for n, ticket in enumerate(rows) if ticket.on_step}
        self._going = self.streams  # of these, rows whose search goes on

    def on_step(self, partial: Sequence[PartialHypothesis]) -> None:
        """As :data:`seq2seq.decoding.search.OnStep`."""
        self._steps += 1
        for row in sorted(self._going):
            self._rows[row].show(self._steps, partial, row, alone=len(self._rows) == 1)
        self._going = set()

    def should_stop(self, row: int) -> bool:
        """As :data:`seq2seq.decoding.search.ShouldStop`."""
        if row in self.streams:
            self._going.add(row)
        return self._rows[row].stopped
