"""A model in the form in which it runs: the same contract, nothing to train."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor

from seq2seq.config import ModelConfig, RecurrentConfig
from seq2seq.inference.pack import pack
from seq2seq.inference.precision import Precision
from seq2seq.inference.unit import TracedStep, trace_step
from seq2seq.nn import AnyModel, AttentionLayout, Memory
from seq2seq.nn.model import StepOutput

__all__ = ["InferenceModel"]

_EXAMPLE = 5  # pieces of the sentence that a step is traced with
_PATIENCE = 50  # steps until it pays: whoever translates one sentence never waits for it


class InferenceModel:
    """Keeps contract 1 (:mod:`seq2seq.nn.model`) on a CPU or a GPU.

    On a CPU a step becomes one unit in the background, once there have been some; until that is
    ready, and where it cannot be made, the operators are called one by one, with the same results.

    Args:
        model: in evaluation mode, on its device and in its number format.
        precision: ``int8`` packs a copy of its weights; None leaves them as they are.
        unit: make a step one unit.
    """

    def __init__(
        self, model: AnyModel, *, precision: Precision | None = None, unit: bool = True
    ) -> None:
        self.config: ModelConfig = model.config
        self.parameter_count = model.parameter_count
        self.attention_layout: AttentionLayout | None = model.attention_layout
        self.device = model.device
        self._model = pack(model) if precision == "int8" else model
        self._by_steps = isinstance(model.config, RecurrentConfig)
        self._traced: TracedStep | None = None
        self._steps = 0
        self._worker: threading.Thread | None = None
        self._lock = threading.Lock()
        self._unit = unit and self.device.type == "cpu"

    def wait(self) -> bool:
        """Have it as fast as it becomes; whether a step is one unit now."""
        self._begin()
        if self._worker is not None:
            self._worker.join()
        return self._traced is not None

    def encode(self, source: Tensor, source_mask: Tensor) -> Memory:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.encode`."""
        memory: Memory = self._model.encode(source, source_mask)
        return memory

    def start(self, memory: Any) -> Any:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.start`."""
        return self._model.start(memory)

    def step(self, tokens: Tensor, state: Any) -> StepOutput[Any]:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.step`."""
        if self._traced is not None:
            return self._traced(tokens, state)
        self._steps += 1
        if self._steps == _PATIENCE:
            self._begin()
        return self._model.step(tokens, state)

    def __call__(self, source: Tensor, target_in: Tensor) -> Tensor:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.forward`."""
        if not self._by_steps:
            logits: Tensor = self._model(source, target_in)
            return logits
        state = self.start(self.encode(source, source != self.config.pad_id))
        steps = []
        for tokens in target_in.unbind(1):
            output = self.step(tokens, state)
            steps.append(output.logits)
            state = output.state
        return torch.stack(steps, dim=1)

    @property
    def memory_bytes(self) -> int:
        """Memory of weights and tables."""
        return sum(_bytes(module) for module in self._model.modules())

    def _begin(self) -> None:
        with self._lock:
            if self._unit and self._worker is None:
                # No daemon: a process that ended in the middle of it would be aborted.
                self._worker = threading.Thread(target=self._make_unit, name="trace")
                self._worker.start()

    def _make_unit(self) -> None:
        vocabulary = self.config.source_vocabulary
        example = torch.arange(_EXAMPLE) % vocabulary
        example[example == self.config.pad_id] = self.config.eos_id
        self._traced = trace_step(self._model, example[None])


def _bytes(module: torch.nn.Module) -> int:
    """Of a module itself; packed weights say theirs."""
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    packed: int = getattr(module, "packed_bytes", 0)
    return packed + sum(tensor.numel() * tensor.element_size() for tensor in own)
