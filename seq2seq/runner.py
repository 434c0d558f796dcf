"""One loaded model on one device: ids in, search results out, with timing and a way out.

When the device runs out of memory a batch is decoded in halves, in quarters and so on; if there is
none even for a single sentence, all of it runs on the CPU, and the outcome says so.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from seq2seq import kernels
from seq2seq.checkpoint import CheckpointError, LoadedCheckpoint
from seq2seq.config import SearchConfig
from seq2seq.decoding.search import OnStep, SearchResult, ShouldStop, search
from seq2seq.device import precision_name, running_dtype
from seq2seq.formats import load_model
from seq2seq.inference import InferenceModel, Precision, Session, choose, compiled

if TYPE_CHECKING:
    import torch

__all__ = ["Outcome", "Runner"]

_log = logging.getLogger(__name__)

_SCORED = 2**25
"""Logits that are held at once when translations are scored: 128 MiB."""


@dataclass(frozen=True)
class Outcome:
    """What one batch gave.

    Attributes:
        results: one per sentence, in order.
        encoder, decoder: wall-clock seconds of the whole batch.
        device, precision: where and in which number format it ran in the end.
        warnings: for people.
    """

    results: tuple[SearchResult, ...]
    encoder: float
    decoder: float
    device: str
    precision: str
    warnings: tuple[str, ...] = ()


class Runner:
    """Runs a checkpoint's model; may be called from many threads at once.

    Args:
        checkpoint: its weights are read here. On PyTorch its model is moved, not copied.
        device: where it shall run.
        dtype: of the weights on PyTorch; None for what suits the device.
        precision: on a CPU, ``int8`` or ``fp32``; None for the faster.
        last_resort: running out of memory here is an error.
    """

    def __init__(
        self,
        checkpoint: LoadedCheckpoint,
        *,
        device: str,
        dtype: torch.dtype | None = None,
        precision: Precision | None = None,
        last_resort: bool = False,
    ) -> None:
        self._info, self._folder = checkpoint.info, checkpoint.folder
        self._revision = checkpoint.revision
        self._last_resort = last_resort
        self._warnings: tuple[str, ...] = ()
        self._refuge: Runner | None = None
        self._lock = threading.Lock()
        self.device = device
        self.precision: str = "int8"
        if device == "cpu" and dtype is None and choose(precision) == "int8" and kernels.load():
            self.model = InferenceModel(compiled(checkpoint.info.model, checkpoint.weights))
        else:
            self.model = self._on_pytorch(checkpoint, dtype, precision)

    def _on_pytorch(
        self, checkpoint: LoadedCheckpoint, dtype: torch.dtype | None, precision: Precision | None
    ) -> InferenceModel:
        """The model, after trying to move it; says where it is and in which number format."""
        import torch  # noqa: PLC0415  (takes longer to load than all that is not on it)

        if threads := kernels.wanted_threads():
            torch.set_num_threads(threads)
        place = torch.device(self.device)
        wanted = running_dtype(place) if dtype is None else dtype
        try:
            model = checkpoint.model.to(place, wanted)
        except torch.OutOfMemoryError:
            warning = f"{self.device} has no memory left for the model, so it runs on the CPU"
            _log.warning("%s: %s", checkpoint.info.name, warning)
            self._warnings = (warning,)
            # The model may be half moved and rounded: only a fresh one is whole.
            model = self._fresh().model
            self.device, wanted = "cpu", torch.float32
        on_cpu = self.device == "cpu" and wanted == torch.float32
        chosen = choose(precision) if on_cpu else None
        self.precision = chosen or precision_name(wanted)
        return InferenceModel(model.eval(), precision=chosen)

    @property
    def memory_bytes(self) -> int:
        """Memory of the weights and tables, the copy on the CPU included if there is one."""
        return self.model.memory_bytes + (self._refuge.memory_bytes if self._refuge else 0)

    def run(
        self,
        sources: Sequence[Sequence[int]],
        *,
        config: SearchConfig,
        prefixes: Sequence[Sequence[int]],
        trace: bool = False,
        attention: bool = True,
        on_step: OnStep | None = None,
        should_stop: ShouldStop | None = None,
    ) -> Outcome:
        """Search for translations of one batch; see :func:`seq2seq.decoding.search.search`.

        Args:
            on_step: not called where memory suffices for parts of the batch only.
        """

        def some(
            rows: slice, stops: ShouldStop | None, shows: OnStep | None = None
        ) -> Outcome | None:
            return self._search(
                sources[rows],
                prefixes=prefixes[rows],
                config=config,
                trace=trace,
                attention=attention,
                on_step=shows,
                should_stop=stops,
            )

        size = count = len(sources)
        found = some(slice(count), should_stop, on_step)
        while found is None and size > 1:
            size = math.ceil(size / 2)
            _log.info("%s: once more, %d sentences at a time", self._info.name, size)
            found = _in_parts(some, count=count, size=size, should_stop=should_stop)
        if found is not None:
            return found
        warning = f"{self.device} ran out of memory, so this was translated on the CPU"
        _log.warning("%s: %s", self._info.name, warning)
        outcome = self._on_cpu().run(
            sources,
            config=config,
            prefixes=prefixes,
            trace=trace,
            attention=attention,
            on_step=on_step,
            should_stop=should_stop,
        )
        return dataclasses.replace(outcome, warnings=(warning, *outcome.warnings))

    def score(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Log-probability of every target piece, given the source and the pieces before it.

        Args:
            sources, targets: ids of one pair per row; targets without bos.
        """
        scores: list[list[float]] = []
        longest = max(map(len, targets), default=0)
        count = max(1, _SCORED // max(longest * self.model.config.target_vocabulary, 1))
        session = self.model.session()
        for first in range(0, len(sources), count):
            part = slice(first, first + count)
            scores += session.score(sources[part], targets[part])
        return scores

    def _search(
        self,
        sources: Sequence[Sequence[int]],
        *,
        config: SearchConfig,
        prefixes: Sequence[Sequence[int]],
        trace: bool,
        attention: bool,
        on_step: OnStep | None,
        should_stop: ShouldStop | None,
    ) -> Outcome | None:
        """The outcome on this device, None if its memory does not suffice."""
        started = time.perf_counter()
        timed = _Timed(self.model.session())
        try:
            results = search(
                timed,
                sources,
                config=config,
                prefixes=prefixes if any(prefixes) else None,
                trace=trace,
                attention=attention,
                on_step=on_step,
                should_stop=should_stop,
            )
        except _out_of_memory():
            if self._last_resort:
                raise
        else:
            total = time.perf_counter() - started
            return Outcome(
                results=tuple(results),
                encoder=timed.seconds,
                decoder=total - timed.seconds,
                device=self.device,
                precision=self.precision,
                warnings=self._warnings,
            )
        # Outside the except block, so that the failed search's tensors are no longer held.
        if self.device.startswith("cuda"):
            sys.modules["torch"].cuda.empty_cache()
        return None

    def _on_cpu(self) -> Runner:
        """The same checkpoint on the CPU, read from disk on first need."""
        with self._lock:
            if self._refuge is None:
                self._refuge = Runner(self._fresh(), device="cpu", last_resort=True)
            return self._refuge

    def _fresh(self) -> LoadedCheckpoint:
        """The checkpoint once more, as it lies on disk."""
        fresh = load_model(self._folder, whole=False)
        if fresh.revision != self._revision:
            raise CheckpointError(f"{fresh.folder}: has changed since it was loaded; load it again")
        return fresh


def _in_parts(
    search_some: Callable[[slice, ShouldStop | None], Outcome | None],
    *,
    count: int,
    size: int,
    should_stop: ShouldStop | None,
) -> Outcome | None:
    """Of ``count`` sentences, ``size`` at a time; None as soon as one part has none."""
    parts = []
    for first in range(0, count, size):
        stops = should_stop and partial(_shifted, should_stop, first)
        part = search_some(slice(first, first + size), stops)
        if part is None:
            return None
        parts.append(part)
    return dataclasses.replace(
        parts[0],
        results=tuple(result for part in parts for result in part.results),
        encoder=sum(part.encoder for part in parts),
        decoder=sum(part.decoder for part in parts),
    )


def _shifted(should_stop: ShouldStop, first: int, row: int) -> bool:
    return should_stop(first + row)


def _out_of_memory() -> tuple[type[BaseException], ...]:
    """What PyTorch raises then; nothing, while nothing runs on it."""
    torch = sys.modules.get("torch")
    return () if torch is None else (torch.OutOfMemoryError,)


class _Timed:
    """A model that adds up the time spent in its encoder and is otherwise the model itself."""

    def __init__(self, model: Session) -> None:
        self._model = model
        self.seconds = 0.0

    def encode(self, sources: Sequence[Sequence[int]]) -> Any:
        """As the model's."""
        started = time.perf_counter()
        memory = self._model.encode(sources)
        self.seconds += time.perf_counter() - started
        return memory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
