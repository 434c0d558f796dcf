"""One step of a decoder as one unit, traced by TorchScript: the operators without Python between.

A trace knows tensors alone, so the state is taken apart before it and put together after.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.inference.int8 import without_notes
from seq2seq.nn import AnyModel
from seq2seq.nn.model import DecoderState, StepOutput

__all__ = ["TracedModel", "TracedStep", "trace_step"]

_log = logging.getLogger(__name__)


class TracedStep:
    """A traced step, called like the model's own.

    Args:
        unit: tokens and the tensors of a state to logits, perhaps attention, and those tensors of
            the next state that a step changes.
        attention: it gives attention.
    """

    def __init__(self, unit: Any, *, attention: bool) -> None:
        self._unit = unit
        self._attention = attention

    def __call__(self, tokens: Tensor, state: Any) -> StepOutput[Any]:
        """As :meth:`seq2seq.nn.model.Seq2SeqModel.step`."""
        found = iter(self._unit(tokens, *_read(state), *_changed(state)))
        logits = next(found)
        attention = next(found) if self._attention else None
        return StepOutput(logits, attention, _with_changed(state, found))


class TracedModel:
    """A model with a traced step.

    Args:
        model: reads the source.
        step: makes the steps.
    """

    def __init__(self, model: AnyModel, step: TracedStep) -> None:
        self.config = model.config
        self.device = model.device
        self.attention_layout = model.attention_layout
        self.encode = model.encode
        self.start = model.start
        self.step = step


def trace_step(model: AnyModel, source: Tensor) -> TracedStep | None:
    """Trace a model's step; None if this PyTorch cannot, or gets it wrong.

    Args:
        model: in evaluation mode.
        source: (1, S) ids of any sentence, S at least 2.
    """
    if not hasattr(torch.jit, "trace"):
        return None
    try:
        with torch.inference_mode(), without_notes():
            _plain_executor()
            states = _states(model, source)
            tokens = torch.full((1,), model.config.bos_id)
            unit = torch.jit.trace(
                _Unit(model, states[1]).eval(),
                (tokens, *_read(states[1]), *_changed(states[1])),
                check_trace=False,
            )
            if hasattr(torch.jit, "freeze"):  # weights as constants, modules dissolved
                unit = torch.jit.freeze(unit)
            traced = TracedStep(unit, attention=model.attention_layout is not None)
            if _agree(model, traced, states):
                return traced
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        _log.info("a step is not traced: %s", str(error).partition("\n")[0])
    return None


class _Unit(nn.Module):
    """A step between tensors.

    Args:
        model: whose step it is.
        example: a state of the kind that it will get.
    """

    def __init__(self, model: AnyModel, example: DecoderState) -> None:
        super().__init__()
        self.model = model
        self.example = example

    def forward(self, tokens: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        given = iter(tensors)
        state = _with_changed(_with_read(self.example, given), given)
        output = self.model.step(tokens, state)
        shown = () if output.attention is None else (output.attention,)
        return (output.logits, *shown, *_changed(output.state))


# A state is a dataclass with a memory, which steps read and never change, and tensors or tuples of
# tensors beside it.


def _read(state: Any) -> list[Tensor]:
    """The tensors of the memory that a step reads."""
    return _tensors(state.memory, but="sentence")


def _changed(state: Any) -> list[Tensor]:
    """The tensors that a step changes."""
    return _tensors(state, but="memory")


def _with_read(state: Any, given: Iterator[Tensor]) -> Any:
    memory = _replaced(state.memory, given, but="sentence")
    return dataclasses.replace(state, memory=memory)


def _with_changed(state: Any, given: Iterator[Tensor]) -> Any:
    return _replaced(state, given, but="memory")


def _tensors(record: Any, *, but: str) -> list[Tensor]:
    """All tensors of a dataclass but for one field, in a fixed order."""
    found: list[Tensor] = []
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name != but and value is not None:
            found += [value] if isinstance(value, Tensor) else list(value)
    return found


def _replaced(record: Any, given: Iterator[Tensor], *, but: str) -> Any:
    """The dataclass with other tensors, taken in the same order."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name != but and value is not None:
            one = isinstance(value, Tensor)
            changes[field.name] = next(given) if one else tuple(next(given) for _ in value)
    return dataclasses.replace(record, **changes)


def _states(model: AnyModel, source: Tensor) -> list[Any]:
    """States before the first three steps."""
    state = model.start(model.encode(source, torch.ones_like(source, dtype=torch.bool)))
    states = [state]
    for _ in range(2):
        states.append(model.step(torch.full((1,), model.config.bos_id), states[-1]).state)
    return states


def _agree(model: AnyModel, traced: TracedStep, states: Sequence[Any]) -> bool:
    """Whether the trace does what the model does, with other sizes than it was made from too."""
    for state in (*states, states[2].select(torch.tensor([0, 0, 0]))):
        tokens = torch.full((len(state.memory.mask),), model.config.unk_id)
        own, found = model.step(tokens, state), traced(tokens, state)
        pairs = zip(
            (own.logits, *_changed(own.state)), (found.logits, *_changed(found.state)), strict=True
        )
        if not all(torch.allclose(a.float(), b.float(), atol=1e-4) for a, b in pairs):
            _log.info("a step is not traced: the trace gives something else")
            return False
    return True


def _plain_executor() -> None:
    """Run traces as they are: the other executor compiles them anew for every length."""
    for name in ("_jit_set_profiling_executor", "_jit_set_profiling_mode"):
        if hasattr(torch._C, name):
            getattr(torch._C, name)(False)
