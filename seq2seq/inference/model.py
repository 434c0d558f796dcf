"""A model in the form in which it runs: what a search needs, nothing to train.

What runs on PyTorch is imported when it is needed: translating with 8 bits on a CPU, on operators
that were built before, does without it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from seq2seq import kernels
from seq2seq.config import ModelConfig, RecurrentConfig, TransformerConfig
from seq2seq.decoding.model import SearchModel
from seq2seq.inference.compiled_recurrent import CompiledRecurrent
from seq2seq.inference.compiled_transformer import CompiledTransformer
from seq2seq.inference.precision import Precision
from seq2seq.parameters import Weights

if TYPE_CHECKING:
    from seq2seq.inference.hosted import HostedModel
    from seq2seq.nn import AnyModel

__all__ = ["InferenceModel", "Session", "compiled"]

_EXAMPLE = 5  # pieces of the sentence that a step is tried with
_PATIENCE = 2  # sessions until it pays: whoever translates one sentence never waits for it


class Session(SearchModel, Protocol):
    """A model for one search or scoring, which ends in the form in which it began."""

    def score(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Log-probability of every target piece, given the source and the pieces before it."""


class InferenceModel:
    """A model on its device, in the fastest form that there is by now.

    On a CPU a step becomes one unit. With 8 bits that is an operator of :mod:`seq2seq.kernels`: at
    once where these were built before, else in the background, once there have been some sessions.
    Where they cannot be built, and for other number formats, the step is traced. Until then
    PyTorch's operators are called one by one, with the same results.

    Args:
        model: in evaluation mode, on its device and in its number format; or one that is ready,
            from :func:`compiled`.
        precision: ``int8`` packs a copy of its weights; None leaves them as they are.
        unit: make a step one unit.

    Attributes:
        memory_bytes: of weights and tables.
    """

    def __init__(
        self,
        model: AnyModel | CompiledTransformer | CompiledRecurrent,
        *,
        precision: Precision | None = None,
        unit: bool = True,
    ) -> None:
        self.config: ModelConfig = model.config
        self._int8 = precision == "int8"
        self._unit = False
        self._sessions = 0
        self._worker: threading.Thread | None = None
        self._lock = threading.Lock()
        self._module: AnyModel | None = None  # what there is until a step is one unit
        self._plain: HostedModel | None = None
        self._form: Session
        if isinstance(model, CompiledTransformer | CompiledRecurrent):
            self._take(model)
            return
        self._unit = unit and model.device.type == "cpu"
        if self._unit and self._int8 and kernels.load():
            self._take(_compiled(model))
            return
        self._keep(model)

    @property
    def is_unit(self) -> bool:
        """Whether a step is one unit by now."""
        return self._form is not self._plain

    def wait(self) -> bool:
        """Have it as fast as it becomes; whether a step is one unit now."""
        self._begin()
        if self._worker is not None:
            self._worker.join()
        return self.is_unit

    def session(self) -> Session:
        """The model for one search. Safe to call from many threads."""
        self._sessions += 1
        if self._sessions >= _PATIENCE and self._worker is None:
            self._begin()
        return self._form

    def _take(self, form: CompiledTransformer | CompiledRecurrent) -> None:
        self._form, self.memory_bytes = form, form.memory_bytes
        self._module = self._plain = None  # nothing holds the other copy

    def _keep(self, model: AnyModel) -> None:
        """On PyTorch's operators."""
        from seq2seq.inference.hosted import HostedModel  # noqa: PLC0415
        from seq2seq.inference.pack import memory_of, pack  # noqa: PLC0415
        from seq2seq.nn.transformer import TransformerModel  # noqa: PLC0415

        self._module = pack(model) if self._int8 else model
        at_once = self._module if isinstance(self._module, TransformerModel) else None
        self._form = self._plain = HostedModel(self._module, forward=at_once)
        self.memory_bytes = memory_of(self._module)

    def _begin(self) -> None:
        with self._lock:
            if self._unit and self._worker is None and not self.is_unit:
                # No daemon: a process that ended in the middle of it would be aborted.
                self._worker = threading.Thread(target=self._make_unit, name="unit")
                self._worker.start()

    def _make_unit(self) -> None:
        import torch  # noqa: PLC0415

        from seq2seq.inference.hosted import HostedModel  # noqa: PLC0415
        from seq2seq.inference.unit import TracedModel, trace_step  # noqa: PLC0415

        assert self._module is not None  # noqa: S101  (for the type checker)
        if self._int8 and kernels.build():
            self._take(_compiled(self._module))
            return
        vocabulary = self.config.source_vocabulary
        example = torch.arange(_EXAMPLE) % vocabulary
        example[example == self.config.pad_id] = self.config.eos_id
        step = trace_step(self._module, example[None])
        if step is not None:
            self._form = HostedModel(TracedModel(self._module, step))


def compiled(config: ModelConfig, weights: Weights) -> CompiledTransformer | CompiledRecurrent:
    """A model on the operators, which must be loaded.

    Args:
        config: of the model.
        weights: its parameters, which are packed one by one.
    """
    if isinstance(config, TransformerConfig):
        return CompiledTransformer(config, weights)
    assert isinstance(config, RecurrentConfig)  # noqa: S101  (there are no others)
    return CompiledRecurrent(config, weights)


def _compiled(model: AnyModel) -> CompiledTransformer | CompiledRecurrent:
    from seq2seq.inference.pack import ModuleWeights  # noqa: PLC0415

    return compiled(model.config, ModuleWeights(model))
