"""Hypotheses as chains of nodes, and the attention that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

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
    """One attention tensor per step, left on the device until rows are asked for.

    All tensors have the same shape but for their rows; together they hold steps * live hypotheses
    * layers * heads * S numbers, bounded by the batch, the beam and the length limit.
    """

    def __init__(self) -> None:
        self._steps: list[Tensor] = []

    def add(self, attention: Tensor) -> None:
        """Append a step: (rows, ..., S)."""
        self._steps.append(attention)

    def gather(self, paths: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """The attention along each path, from a GPU with one transfer for all of them.

        Args:
            paths: for every path the row of step 0, of step 1, and so on.

        Returns:
            Per path (len(path), ..., S) float32.
        """
        if not paths:
            return []
        if self._steps[0].device.type == "cpu":  # nothing to transfer: rows are read where they are
            arrays = [step.float().numpy() for step in self._steps]
            return [_along(arrays, path) for path in paths]
        wanted: list[list[int]] = [[] for _ in self._steps]
        for path in paths:
            for step, row in enumerate(path):
                wanted[step].append(row)
        order = np.array([step for path in paths for step in range(len(path))], dtype=np.int64)
        first = self._steps[0]
        index = torch.tensor([row for rows in wanted for row in rows], device=first.device)
        parts = index.long().split([len(rows) for rows in wanted])
        picked = torch.cat(
            [step.index_select(0, rows) for step, rows in zip(self._steps, parts, strict=True)]
        )
        by_step = picked.float().cpu().numpy()
        by_path = np.empty_like(by_step)
        by_path[np.argsort(order, kind="stable")] = by_step
        ends = np.cumsum([len(path) for path in paths])
        return np.split(by_path, ends[:-1])

    def means(self) -> list[np.ndarray]:
        """The mean over all dimensions but the first and the last, as float32 (rows, S) per step.

        With one transfer for all steps.
        """
        if not self._steps:
            return []
        middle = tuple(range(1, self._steps[0].dim() - 1))
        everything = torch.cat(self._steps).mean(dim=middle, dtype=torch.float32).cpu().numpy()
        ends = np.cumsum([len(step) for step in self._steps])
        return np.split(everything, ends[:-1])


def _along(steps: Sequence[np.ndarray], path: Sequence[int]) -> np.ndarray:
    """Of every step the row that a path took."""
    found = np.empty((len(path), *steps[0].shape[1:]), dtype=np.float32)
    for place, row in enumerate(path):
        found[place] = steps[place][row]
    return found
