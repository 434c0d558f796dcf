"""What models on the operators of :mod:`seq2seq.kernels` have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic

from torch import Tensor

from seq2seq.nn.model import Choices, Largest, StateT, StepOutput

__all__ = ["CompiledModel", "Step"]

Step = tuple[Tensor, Tensor, Tensor, Tensor | None, StateT]
"""Logits, or the largest log-probabilities; their tokens; entropies; attention; the next state."""


class CompiledModel(ABC, Generic[StateT]):
    """Steps of contract 1 from the one operator that makes them."""

    def step(self, tokens: Tensor, state: StateT) -> StepOutput[StateT]:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.step`."""
        logits, _, _, attention, after = self._step(tokens, state, 0)
        return StepOutput(logits, attention, after)

    def choose(
        self, tokens: Tensor, state: StateT, *, count: int, entropy: bool = False
    ) -> Choices[StateT]:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.choose`; never holds all logits."""
        *found, attention, after = self._step(tokens, state, count)
        return Choices(Largest(*found), attention, after)

    @abstractmethod
    def _step(self, tokens: Tensor, state: StateT, count: int) -> Step[StateT]:
        """A step; with a ``count`` of 0 it gives all logits."""
