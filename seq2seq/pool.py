"""Several models in memory at once, up to a budget."""

from __future__ import annotations

import threading
from collections import OrderedDict

from seq2seq.catalogue import is_repository, locate
from seq2seq.translator import Translator

__all__ = ["TranslatorPool"]


class TranslatorPool:
    """Keeps translators loaded; when they outgrow the budget the least recently used leaves.

    A translator that has left keeps working for whoever still holds it; its memory is free as
    soon as nobody does. Safe to use from many threads: a model that several of them ask for is
    loaded once, and other models can be got meanwhile.

    Args:
        memory_budget_bytes: for all weights together. A single model above it is still loaded,
            alone.
        device, workers: for each of them, as in :meth:`Translator.load`.
    """

    def __init__(
        self, memory_budget_bytes: int, *, device: str | None = None, workers: int = 1
    ) -> None:
        if memory_budget_bytes < 1:
            raise ValueError(f"memory_budget_bytes is {memory_budget_bytes}, it must be above 0")
        self._budget = memory_budget_bytes
        self._device = device
        self._workers = workers
        self._loaded: OrderedDict[str, Translator] = OrderedDict()  # least recently used first
        self._loading: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Translator:
        """The translator of a model, loaded if need be.

        A model of the Hub that is in memory needs neither the Hub nor its cache any more.

        Raises:
            ModelNotFoundError, CheckpointError, HubError, DeviceError: as :meth:`Translator.load`.
        """
        key = name if is_repository(name) else str(locate(name).resolve())
        if (ready := self._take(key)) is not None:
            return ready
        with self._lock:
            turn = self._loading.setdefault(key, threading.Lock())
        with turn:
            if (ready := self._take(key)) is not None:  # another thread was first
                return ready
            fresh = Translator.load(key, device=self._device, workers=self._workers)
            with self._lock:
                self._loaded[key] = fresh
                self._shrink()
            return fresh

    def holds(self, name: str) -> bool:
        """Whether a model of the Hub is in memory."""
        with self._lock:
            return name in self._loaded

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the models in memory, the most recently used last."""
        with self._lock:
            return tuple(translator.info.name for translator in self._loaded.values())

    @property
    def memory_bytes(self) -> int:
        """Memory that the weights of all models in the pool take."""
        with self._lock:
            return self._used()

    def _take(self, key: str) -> Translator | None:
        with self._lock:
            translator = self._loaded.get(key)
            if translator is not None:
                self._loaded.move_to_end(key)
            return translator

    def _used(self) -> int:
        return sum(translator.memory_bytes for translator in self._loaded.values())

    def _shrink(self) -> None:
        """Let the least recently used go until the budget holds or one is left."""
        while len(self._loaded) > 1 and self._used() > self._budget:
            self._loaded.popitem(last=False)
