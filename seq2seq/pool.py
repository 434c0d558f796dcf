"""Several models in memory at once, up to a budget."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from seq2seq.catalogue import locate
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
        device: for all of them, as in :meth:`Translator.load`.
    """

    def __init__(self, memory_budget_bytes: int, *, device: str | None = None) -> None:
        if memory_budget_bytes < 1:
            raise ValueError(f"memory_budget_bytes is {memory_budget_bytes}, it must be above 0")
        self._budget = memory_budget_bytes
        self._device = device
        self._loaded: OrderedDict[Path, Translator] = OrderedDict()  # least recently used first
        self._loading: dict[Path, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Translator:
        """The translator of an embedded model or checkpoint folder, loaded if need be.

        Raises:
            ModelNotFoundError, CheckpointError, DeviceError: as :meth:`Translator.load`.
        """
        folder = locate(name).resolve()
        if (ready := self._take(folder)) is not None:
            return ready
        with self._lock:
            turn = self._loading.setdefault(folder, threading.Lock())
        with turn:
            if (ready := self._take(folder)) is not None:  # another thread was first
                return ready
            fresh = Translator.load(str(folder), device=self._device)
            with self._lock:
                self._loaded[folder] = fresh
                self._shrink()
            return fresh

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

    def _take(self, folder: Path) -> Translator | None:
        with self._lock:
            translator = self._loaded.get(folder)
            if translator is not None:
                self._loaded.move_to_end(folder)
            return translator

    def _used(self) -> int:
        return sum(translator.memory_bytes for translator in self._loaded.values())

    def _shrink(self) -> None:
        """Let the least recently used go until the budget holds or one is left."""
        while len(self._loaded) > 1 and self._used() > self._budget:
            self._loaded.popitem(last=False)
