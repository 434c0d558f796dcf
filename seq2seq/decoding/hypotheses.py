"""Hypotheses as chains of nodes, and the attention that belongs to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["AttentionLog", "Node"]


class Node:
    """A hypothesis: one piece, and the hypothesis that it continues.

    Attributes:
        parent: None for the root, which stands for bos.
        token: the piece.
        log_probability: the model's own, of this piece.
        cumulative: sum over the chain.
        length: pieces in the chain, 0 for the root.
        row: the decoder's row, at step ``length - 1``, that produced the piece.
        penalty: coverage penalty of the chain.
        number: in the trace; None without one.
    """

    __slots__ = (
        "cumulative",
        "length",
        "log_probability",
        "number",
        "parent",
        "penalty",
        "row",
        "token",
    )

    def __init__(
        self,
        token: int,
        parent: Node | None = None,
        log_probability: float = 0.0,
        row: int = 0,
        penalty: float = 0.0,
    ) -> None:
        self.token = token
        self.parent = parent
        self.log_probability = log_probability
        self.row = row
        self.penalty = penalty
        self.number: int | None = None
        if parent is None:
            self.cumulative, self.length = log_probability, 0
        else:
            self.cumulative = log_probability + parent.cumulative
            self.length = parent.length + 1

    def chain(self) -> list[Node]:
        """From the first piece to this one; the root is left out."""
        nodes: list[Node] = []
        node = self
        while node.parent is not None:
            nodes.append(node)
            node = node.parent
        nodes.reverse()
        return nodes

    @property
    def tokens(self) -> tuple[int, ...]:
        """The pieces without bos."""
        return tuple(node.token for node in self.chain())


class AttentionLog:
    """One array of attention per step.

    All have the same shape but for their rows; together they hold steps * live hypotheses
    * layers * heads * S numbers, bounded by the batch, the beam and the length limit.
    """

    def __init__(self) -> None:
        self._steps: list[np.ndarray] = []

    def add(self, attention: np.ndarray) -> None:
        """Append a step: (rows, ..., S)."""
        self._steps.append(attention)

    def gather(self, paths: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """The attention along each path.

        Args:
            paths: for every path the row of step 0, of step 1, and so on.

        Returns:
            Per path (len(path), ..., S) float32.
        """
        return [self._along(path) for path in paths]

    def means(self) -> list[np.ndarray]:
        """The mean over all dimensions but the first and the last, float32 (rows, S) per step."""
        means = []
        for step in self._steps:
            rows, *between, source = step.shape
            # A third of the time of numpy's own mean.
            total = np.einsum("nks->ns", step.reshape(rows, -1, source))
            means.append(total / np.float32(math.prod(between)))
        return means

    def _along(self, path: Sequence[int]) -> np.ndarray:
        """Of every step the row that a path took."""
        found = np.empty((len(path), *self._steps[0].shape[1:]), dtype=np.float32)
        for place, row in enumerate(path):
            found[place] = self._steps[place][row]
        return found
