"""What a search needs of a model, in plain numbers and arrays on the host.

The search is written against this file alone: it never asks which architecture it holds, what
computes it, or where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from seq2seq.config import AttentionLayout, ModelConfig
from seq2seq.kernels.reading import Compared, Comparison, Largest

__all__ = [
    "Choices",
    "Compared",
    "Comparison",
    "Largest",
    "SearchModel",
    "SearchState",
    "StepLogits",
]


class SearchState(Protocol):
    """What one step hands to the next, for some rows."""

    def select(self, rows: Sequence[int]) -> Self:
        """The same with ``rows``, in any order, repeats allowed."""


class StepLogits(NamedTuple):
    """What one step of the decoder gives.

    Attributes:
        logits: (rows, V) float32, unnormalised scores of the next piece.
        attention: (rows, layers, heads, S) float32: each head's row sums to 1 and is exactly 0 at
            padding; None for a model without attention.
        state: input of the next step.
    """

    logits: np.ndarray
    attention: np.ndarray | None
    state: Any


class Choices(NamedTuple):
    """A step of which nothing but the most probable pieces is wanted; see :class:`StepLogits`.

    Attributes:
        compared: what came of a :class:`Comparison`, if the model makes it along the way.
    """

    largest: Largest
    attention: np.ndarray | None
    state: Any
    compared: Compared | None = None


class SearchModel(Protocol):
    """A model, ready to run. Rows of the decoder are hypotheses."""

    @property
    def config(self) -> ModelConfig:
        """Its settings."""

    @property
    def attention_layout(self) -> AttentionLayout | None:
        """Layers and heads of the attention, or None for a model without attention."""

    def encode(self, sources: Sequence[Sequence[int]]) -> Any:
        """Read sentences, once; none may be empty."""

    def start(self, memory: Any) -> Any:
        """The :class:`SearchState` before the first step, a row per sentence of ``memory``."""

    def step(self, tokens: Sequence[int], state: Any, *, attention: bool = True) -> StepLogits:
        """Advance every row by one piece, the one before (bos at first).

        Args:
            attention: say it, too.
        """

    def choose(
        self,
        tokens: Sequence[int],
        state: Any,
        *,
        count: int,
        entropy: bool = False,
        attention: bool = True,
        comparison: Comparison | None = None,
    ) -> Choices:
        """:meth:`step`, of which only the ``count`` most probable pieces are wanted.

        Args:
            entropy, attention: say these, too.
            comparison: made by models for which it costs less together with the step.
        """
