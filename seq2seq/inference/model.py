"""A model in the form in which it runs: the same contract, nothing to train."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import torch
from torch import Tensor

from seq2seq import kernels
from seq2seq.config import ModelConfig
from seq2seq.inference.compiled_recurrent import CompiledRecurrent
from seq2seq.inference.compiled_transformer import CompiledTransformer
from seq2seq.inference.pack import pack
from seq2seq.inference.precision import Precision
from seq2seq.inference.unit import TracedModel, trace_step
from seq2seq.nn import AnyModel, AttentionLayout
from seq2seq.nn.model import Choices, Comparison, StepOutput
from seq2seq.nn.recurrent import RecurrentModel
from seq2seq.nn.stored import Weights
from seq2seq.nn.transformer import TransformerModel

__all__ = ["InferenceModel", "Session"]

_EXAMPLE = 5  # pieces of the sentence that a step is tried with
_PATIENCE = 2  # sessions until it pays: whoever translates one sentence never waits for it


class _Form(Protocol):
    """What runs: see :class:`seq2seq.nn.model.Seq2SeqModel`."""

    def encode(self, source: Tensor, source_mask: Tensor) -> Any: ...

    def start(self, memory: Any) -> Any: ...

    def step(self, tokens: Tensor, state: Any) -> StepOutput[Any]: ...

    def choose(
        self,
        tokens: Tensor,
        state: Any,
        *,
        count: int,
        entropy: bool = False,
        comparison: Comparison | None = None,
    ) -> Choices[Any]: ...


class Session:
    """A model for one search, which ends in the form in which it began; keeps contract 1."""

    def __init__(
        self,
        form: _Form,
        *,
        config: ModelConfig,
        attention_layout: AttentionLayout | None,
        device: torch.device,
    ) -> None:
        self.config = config
        self.attention_layout = attention_layout
        self.device = device
        self._form = form
        self.encode = form.encode
        self.start = form.start
        self.step = form.step
        self.choose = form.choose

    def logits(self, source: Tensor, target_in: Tensor) -> Tensor:
        """All positions of known targets, see :meth:`seq2seq.nn.model.Seq2SeqModel.forward`."""
        if isinstance(self._form, TransformerModel):
            at_once: Tensor = self._form(source, target_in)
            return at_once
        state = self.start(self.encode(source, source != self.config.pad_id))
        steps = []
        for tokens in target_in.unbind(1):
            output = self.step(tokens, state)
            steps.append(output.logits)
            state = output.state
        return torch.stack(steps, dim=1)


class InferenceModel:
    """A model on its device, in the fastest form that there is by now.

    On a CPU a step becomes one unit. With 8 bits that is an operator of :mod:`seq2seq.kernels`: at
    once where these were built before, else in the background, once there have been some sessions.
    Where they cannot be built, and for other number formats, the step is traced. Until then
    PyTorch's operators are called one by one, with the same results.

    Args:
        model: in evaluation mode, on its device and in its number format.
        precision: ``int8`` packs a copy of its weights; None leaves them as they are.
        unit: make a step one unit.
        stored: the weights, if the model is an outline without them: for a CPU, with 8 bits, where
            the operators were built before.

    Attributes:
        memory_bytes: of weights and tables.
    """

    def __init__(
        self,
        model: AnyModel,
        *,
        precision: Precision | None = None,
        unit: bool = True,
        stored: Weights | None = None,
    ) -> None:
        self.config: ModelConfig = model.config
        self.parameter_count = model.parameter_count
        self.attention_layout: AttentionLayout | None = model.attention_layout
        self.device = model.device if stored is None else torch.device("cpu")
        self._unit = unit and self.device.type == "cpu"
        self._int8 = precision == "int8"
        self._sessions = 0
        self._worker: threading.Thread | None = None
        self._lock = threading.Lock()
        self._form: _Form
        self._module: AnyModel | None = None  # what there is until a step is one unit
        if self._unit and self._int8 and kernels.load():
            self._form, self.memory_bytes = _compiled(model, stored)
        else:
            self._module = pack(model) if self._int8 else model
            self._form = self._module
            self.memory_bytes = sum(map(_bytes, self._module.modules()))

    @property
    def is_unit(self) -> bool:
        """Whether a step is one unit by now."""
        return self._form is not self._module

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
        return Session(
            self._form,
            config=self.config,
            attention_layout=self.attention_layout,
            device=self.device,
        )

    def _begin(self) -> None:
        with self._lock:
            if self._unit and self._worker is None and not self.is_unit:
                # No daemon: a process that ended in the middle of it would be aborted.
                self._worker = threading.Thread(target=self._make_unit, name="unit")
                self._worker.start()

    def _make_unit(self) -> None:
        assert self._module is not None  # noqa: S101  (for the type checker)
        if self._int8 and kernels.build():
            self._form, self.memory_bytes = _compiled(self._module)
            self._module = None
            return
        vocabulary = self.config.source_vocabulary
        example = torch.arange(_EXAMPLE) % vocabulary
        example[example == self.config.pad_id] = self.config.eos_id
        step = trace_step(self._module, example[None])
        if step is not None:
            self._form = TracedModel(self._module, step)


def _compiled(model: AnyModel, stored: Weights | None = None) -> tuple[_Form, int]:
    """The model on the operators, and the memory of its weights."""
    form: CompiledTransformer | CompiledRecurrent
    with torch.inference_mode():
        if isinstance(model, TransformerModel):
            form = CompiledTransformer(model, stored=stored)
        else:
            assert isinstance(model, RecurrentModel)  # noqa: S101  (for the type checker)
            form = CompiledRecurrent(model, stored=stored)
    return form, _bytes_of(form.tensors)


def _bytes_of(tensors: list[Tensor]) -> int:
    """Of each once."""
    return sum({t.data_ptr(): t.numel() * t.element_size() for t in tensors}.values())


def _bytes(module: torch.nn.Module) -> int:
    """Of a module itself; packed weights say theirs."""
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    packed: int = getattr(module, "packed_bytes", 0)
    return packed + _bytes_of(own)
