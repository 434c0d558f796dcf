"""A recurrent layer whose matrices are packed."""

from __future__ import annotations

import torch
from torch import Tensor

from seq2seq.inference.int8 import Int8Linear
from seq2seq.nn.cells import CellState, RecurrentLayer

__all__ = ["Int8RecurrentLayer"]


class Int8RecurrentLayer(RecurrentLayer):
    """As :class:`RecurrentLayer`, made from one; its sequences run step by step.

    The fused kernel that reads whole sequences has no form for packed weights, but the input's
    part of the gates is one product for all steps.

    Args:
        layer: whose weights are taken.
    """

    def __init__(self, layer: RecurrentLayer) -> None:
        super(RecurrentLayer, self).__init__()
        self.size = layer.size
        self.lstm = layer.has_cell
        input_matrix, recurrent_matrix, input_bias, recurrent_bias = layer.weights
        self.input = Int8Linear(input_matrix, input_bias)
        self.recurrent = Int8Linear(recurrent_matrix, recurrent_bias)

    @property
    def has_cell(self) -> bool:
        """See :attr:`RecurrentLayer.has_cell`."""
        return self.lstm

    def read(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, CellState]:
        """See :meth:`RecurrentLayer.read`."""
        zero = x.new_zeros(len(x), self.size)
        state = CellState(zero, zero if self.has_cell else None)
        outputs = []
        for t, gates in enumerate(self.gates(x).unbind(1)):
            state = self.step(gates, state).where(lengths > t, otherwise=state)
            outputs.append(state.hidden)
        return torch.stack(outputs, dim=1), state

    def run(self, x: Tensor, state: CellState) -> Tensor:
        """See :meth:`RecurrentLayer.run`."""
        outputs = []
        for gates in self.gates(x).unbind(1):
            state = self.step(gates, state)
            outputs.append(state.hidden)
        return torch.stack(outputs, dim=1)

    def gates(self, x: Tensor) -> Tensor:
        """See :meth:`RecurrentLayer.gates`."""
        gates: Tensor = self.input(x)
        return gates

    def split_gates(self, x: Tensor, *, width: int) -> tuple[Tensor, Tensor]:
        """Not for packed weights: the scale of an input row is that of all its parts."""
        raise NotImplementedError("packed layers run step by step")

    def recur(self, hidden: Tensor) -> Tensor:
        """See :meth:`RecurrentLayer.recur`."""
        gates: Tensor = self.recurrent(hidden)
        return gates
