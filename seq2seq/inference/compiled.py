"""What models on the operators of :mod:`seq2seq.kernels` have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, NamedTuple

from torch import Tensor

from seq2seq.nn.model import Choices, Comparison, Largest, StateT, StepOutput

__all__ = ["ALONE", "CompiledModel", "Made"]

ALONE = Comparison([], [], [], [], 0)
"""Of nothing."""


class Made(NamedTuple, Generic[StateT]):
    """What a step made.

    Attributes:
        found: logits, or the largest log-probabilities, their tokens and the entropies; then what
            came of the comparison.
        attention, state: as in :class:`StepOutput`.
    """

    found: Sequence[Tensor]
    attention: Tensor | None
    state: StateT


class CompiledModel(ABC, Generic[StateT]):
    """Steps of contract 1 from the one operator that makes them."""

    def step(self, tokens: Tensor, state: StateT) -> StepOutput[StateT]:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.step`."""
        (logits, *_), attention, after = self._step(tokens, state, 0, ALONE)
        return StepOutput(logits, attention, after)

    def choose(
        self,
        tokens: Tensor,
        state: StateT,
        *,
        count: int,
        entropy: bool = False,
        comparison: Comparison | None = None,
    ) -> Choices[StateT]:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.choose`; never holds all logits."""
        made = self._step(tokens, state, count, comparison or ALONE)
        values, pieces, entropies, *best = made.found
        return Choices(
            Largest(values, pieces, entropies),
            made.attention,
            made.state,
            (best[0], best[1]) if comparison else None,
        )

    @abstractmethod
    def _step(
        self, tokens: Tensor, state: StateT, count: int, comparison: Comparison
    ) -> Made[StateT]:
        """A step; with a ``count`` of 0 it gives all logits."""
