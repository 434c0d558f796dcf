"""What models on the operators of :mod:`seq2seq.kernels` have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from seq2seq.config import AttentionLayout, ModelConfig
from seq2seq.decoding.model import Choices, Comparison, SearchState, StepLogits
from seq2seq.decoding.readout import log_softmax
from seq2seq.kernels.reading import Comparing
from seq2seq.kernels.steps import Step

__all__ = ["CompiledModel", "Made", "bytes_of"]

StateT = TypeVar("StateT", bound=SearchState)


class Made(NamedTuple, Generic[StateT]):
    """What a step made, and the state after it."""

    step: Step
    state: StateT


class CompiledModel(ABC, Generic[StateT]):
    """Steps from the one operator that makes them; see :class:`SearchModel`.

    Args:
        config: of the model.

    Attributes:
        config: of the model.
        attention_layout: layers and heads of the attention, or None for a model without.
        memory_bytes: of weights and tables.
    """

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.attention_layout: AttentionLayout | None = config.attention_layout
        self.memory_bytes = 0

    @abstractmethod
    def encode(self, sources: Sequence[Sequence[int]]) -> Any:
        """Read sentences, once."""

    @abstractmethod
    def start(self, memory: Any) -> StateT:
        """The state before the first step, a row per sentence."""

    def step(self, tokens: Sequence[int], state: StateT, *, attention: bool = True) -> StepLogits:
        """See :meth:`SearchModel.step`."""
        step, after = self._step(tokens, state, 0, None)
        assert step.logits is not None  # noqa: S101  (for the type checker)
        return StepLogits(step.logits, self._shown(step) if attention else None, after)

    def choose(
        self,
        tokens: Sequence[int],
        state: StateT,
        *,
        count: int,
        entropy: bool = False,
        attention: bool = True,
        comparison: Comparison | None = None,
    ) -> Choices:
        """See :meth:`SearchModel.choose`; never holds all logits."""
        comparing = None if comparison is None else Comparing(comparison)
        count = min(count, self.config.target_vocabulary)
        step, after = self._step(tokens, state, count, comparing)
        assert step.largest is not None  # noqa: S101  (for the type checker)
        shown = self._shown(step) if attention else None
        return Choices(step.largest, shown, after, step.compared)

    def score(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Log-probability of every target piece, given the source and the pieces before it.

        Args:
            sources, targets: ids of one pair each; targets without bos.
        """
        scores: list[list[float]] = [[] for _ in targets]
        state = self.start(self.encode(sources))
        tokens = [self.config.bos_id] * len(sources)
        going = list(range(len(targets)))
        for place in range(max(map(len, targets), default=0)):
            rows = [row for row, number in enumerate(going) if place < len(targets[number])]
            if len(rows) < len(going):
                state, going = state.select(rows), [going[row] for row in rows]
                tokens = [tokens[row] for row in rows]
            logits, _, state = self.step(tokens, state)
            tokens = [targets[number][place] for number in going]
            found = log_softmax(logits)[np.arange(len(tokens)), tokens].tolist()
            for number, value in zip(going, found, strict=True):
                scores[number].append(value)
        return scores

    @abstractmethod
    def _step(
        self, tokens: Sequence[int], state: StateT, count: int, comparing: Comparing | None
    ) -> Made[StateT]:
        """A step; with a ``count`` of 0 it gives all logits."""

    def _shown(self, step: Step) -> np.ndarray | None:
        return step.attention if self.attention_layout is not None else None


def bytes_of(arrays: Sequence[np.ndarray]) -> int:
    """Of each once."""
    return sum({id(array): array.nbytes for array in arrays}.values())
