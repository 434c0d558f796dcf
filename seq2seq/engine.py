"""Jobs in, documents out: in batches of similar length, or step by step.

Requests for one text stand in one line, the batches of lists in another, each with places of its
own: however long a list is, it holds up no single request, and no flood of those holds up a list.
A list has at most as many batches in its line as there are places; several lists take turns.
"""

from __future__ import annotations

import dataclasses
import math
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from seq2seq.config import SearchConfig
from seq2seq.decoding.search import PartialHypothesis
from seq2seq.document import Writer
from seq2seq.queueing import Batcher, Kind, Ticket
from seq2seq.request import Job, Request
from seq2seq.runner import Outcome, Runner
from seq2seq.translation import Translation

__all__ = ["Engine"]

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Engine:
    """Drives a runner and writes down what it finds. May be called from many threads at once.

    Args:
        runner: the model on its device.
        writer: of the documents.
        batch_tokens: source pieces times beam of one batch, padding included; a single longer
            text still makes a batch.
        workers: batches that run at the same time: that many of single requests, and that many
            of lists.
        most_positions: longest sequence that the model can place, None without a limit.
        max_waiting, max_wait: as in :class:`seq2seq.queueing.Batcher`.
    """

    def __init__(
        self,
        runner: Runner,
        writer: Writer,
        *,
        batch_tokens: int,
        workers: int = 1,
        most_positions: int | None = None,
        max_waiting: int,
        max_wait: float | None,
    ) -> None:
        self._singles, self._lists = (
            Batcher(
                runner,
                places=workers,
                batch_tokens=batch_tokens,
                max_waiting=max_waiting,
                max_wait=max_wait,
            )
            for _ in range(2)
        )
        self._writer = writer
        self._batch_tokens = batch_tokens
        self._workers = workers
        self._most_positions = most_positions

    def run(
        self,
        jobs: Sequence[Job],
        request: Request,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> list[Translation]:
        """Translate all jobs; the result has their order.

        Args:
            progress: called with the number of jobs finished since its last call.

        Raises:
            BusyError: too many requests are waiting, or this one waited too long.
        """
        if len(jobs) == 1:
            single = self._run_batch(jobs, request, self._singles)
            if progress:
                progress(1)
            return single
        found: dict[int, Translation] = {}
        batches = list(self._batches(jobs, request.config))
        with _Workers(min(self._workers, len(batches))) as workers:
            results = workers.map(
                lambda batch: self._run_batch(batch, request, self._lists), batches
            )
            for batch, documents in zip(batches, results, strict=True):
                found.update((job.index, one) for job, one in zip(batch, documents, strict=True))
                if progress:
                    progress(len(batch))
        return [found[job.index] for job in jobs]

    def stream(self, job: Job, request: Request, *, interval: float = 0.0) -> Iterator[Translation]:
        """Partial documents after every step, then the complete one.

        The search runs in another thread; closing the iterator stops it, or gives up its turn.

        Args:
            interval: seconds between partial documents at least, where others are decoded in
                the same batch and their making would take time from everybody.

        Raises:
            BusyError: too many requests are waiting, or this one waited too long.
        """
        if job.blank:
            yield from self._run_batch([job], request, self._singles)
            return
        events: queue.SimpleQueue[PartialHypothesis | Outcome | BaseException] = queue.SimpleQueue()
        ticket = self._ticket([job], request, on_step=events.put, interval=interval)

        def work() -> None:
            try:
                outcome = self._singles.run(ticket)
            except BaseException as error:  # raised again where the consumer sees it
                events.put(error)
            else:
                events.put(outcome)

        worker = threading.Thread(target=work, name="translate-stream", daemon=True)
        worker.start()
        try:
            while True:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, Outcome):
                    yield self._write(event, 0, [job], request, ticket.kind.config)
                    return
                yield self._writer.partial(
                    job, event, config=ticket.kind.config, target_language=request.target
                )
        finally:
            if self._singles.cancel(ticket):
                worker.join()  # else it decodes for others as well, and ends by itself

    def _batches(self, jobs: Sequence[Job], config: SearchConfig) -> Iterator[list[Job]]:
        """Longest first, so that the largest batch shows at once whether memory suffices.

        Blank ones come last, in a batch of their own.
        """
        limit = self._batch_tokens // max(config.beam, config.n_best)
        batch: list[Job] = []
        for job in sorted(jobs, key=lambda job: (job.blank, -len(job.source.pieces))):
            full = batch and (len(batch) + 1) * len(batch[0].source.pieces) > limit
            if batch and (full or batch[0].blank != job.blank):
                yield batch
                batch = []
            batch.append(job)
        if batch:
            yield batch

    def _run_batch(
        self, batch: Sequence[Job], request: Request, line: Batcher
    ) -> list[Translation]:
        if batch[0].blank:
            return [
                self._writer.empty(job, config=request.config, target_language=request.target)
                for job in batch
            ]
        ticket = self._ticket(batch, request)
        outcome, config = line.run(ticket), ticket.kind.config
        return [self._write(outcome, n, batch, request, config) for n in range(len(batch))]

    def _ticket(
        self,
        batch: Sequence[Job],
        request: Request,
        *,
        on_step: Callable[[PartialHypothesis], None] | None = None,
        interval: float = 0.0,
    ) -> Ticket:
        config = self._bounded(batch, request.config)
        return Ticket(
            Kind(config, trace=request.trace, attention=request.attention),
            [job.source.ids for job in batch],
            prefixes=[job.prefix for job in batch],
            on_step=on_step,
            interval=interval,
        )

    def _bounded(self, batch: Sequence[Job], config: SearchConfig) -> SearchConfig:
        """``config`` with a length limit that the model's positions allow."""
        if self._most_positions is None:
            return config
        limit = self._most_positions - 1  # bos takes a position too
        widest = max(len(job.source.pieces) for job in batch)
        free = math.ceil(config.length_factor * widest + config.length_margin)
        if (config.max_length or free) <= limit and config.min_length <= limit:
            return config
        return dataclasses.replace(
            config, max_length=limit, min_length=min(config.min_length, limit)
        )

    def _write(
        self,
        outcome: Outcome,
        n: int,
        batch: Sequence[Job],
        request: Request,
        config: SearchConfig,
    ) -> Translation:
        card = self._writer.card
        if (card.device, card.precision) != (outcome.device, outcome.precision):
            card = dataclasses.replace(card, device=outcome.device, precision=outcome.precision)
        return self._writer.complete(
            batch[n],
            outcome.results[n],
            config=config,
            target_language=request.target,
            model=card,
            encoder=outcome.encoder / len(batch),
            decoder=outcome.decoder / len(batch),
            warnings=outcome.warnings,
        )


class _Workers:
    """A thread pool, or for a single worker the calling thread itself, without a pool."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, "translate") if count > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:  # after an error or Ctrl-C, batches that have not begun never do
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
        """As the built-in one."""
        return self._pool.map(function, items) if self._pool else map(function, items)
