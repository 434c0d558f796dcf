"""One recurrent layer, LSTM or GRU: over a whole sequence at once, or step by step.

The weights are those of ``nn.LSTM`` and ``nn.GRU``, whose fused kernels run wherever the whole
input is known beforehand. Where a step needs what the step before it gave (attention from the
previous state, input feeding), :meth:`RecurrentLayer.step` does the same arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

__all__ = ["CellState", "RecurrentLayer", "reverse_rows"]


@dataclass(frozen=True)
class CellState:
    """State of one layer after a step.

    Attributes:
        hidden: (rows, size), the layer's output.
        cell: (rows, size), the LSTM's memory; None for a GRU.
    """

    hidden: Tensor
    cell: Tensor | None


def reverse_rows(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the first ``lengths[i]`` entries of each row; padding stays on the right.

    Args:
        x: (rows, S) or (rows, S, size).
        lengths: (rows,) int64.
    """
    position = torch.arange(x.shape[1], device=x.device)
    index = lengths[:, None] - 1 - position
    index = torch.where(index >= 0, index, position)
    if x.dim() == 3:
        index = index[:, :, None].expand_as(x)
    return x.gather(1, index)


class RecurrentLayer(nn.Module):
    """A unidirectional LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho 2014) layer.

    The GRU is the variant of cuDNN, with the reset gate after the matrix product.

    Args:
        kind: recurrent unit.
        input_size: width of the input.
        size: width of the state.
    """

    def __init__(self, kind: Literal["lstm", "gru"], input_size: int, size: int) -> None:
        super().__init__()
        self.size = size
        build = nn.LSTM if kind == "lstm" else nn.GRU
        self.rnn = build(input_size, size, batch_first=True)
        self._initialise()

    def _initialise(self) -> None:
        """Orthogonal recurrent matrices, Xavier input matrices, forget gates open at first."""
        with torch.no_grad():
            for matrix in self.rnn.weight_ih_l0.split(self.size):
                nn.init.xavier_uniform_(matrix)
            for matrix in self.rnn.weight_hh_l0.split(self.size):
                nn.init.orthogonal_(matrix)
            self.rnn.bias_ih_l0.zero_()
            self.rnn.bias_hh_l0.zero_()
            if isinstance(self.rnn, nn.LSTM):  # gates in the order input, forget, cell, output
                self.rnn.bias_ih_l0[self.size : 2 * self.size] = 1

    def read(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, CellState]:
        """Read right-padded sequences from a zero state.

        Args:
            x: (rows, S, input_size).
            lengths: (rows,) int64, at least 1.

        Returns:
            The states (rows, S, size), meaningless at padding, and the state after each row's
            last real entry.
        """
        if isinstance(self.rnn, nn.GRU):
            # Padding comes last, so it cannot reach the real entries: no need to pack.
            output, _ = self.rnn(x)
            last = (lengths - 1)[:, None, None].expand(-1, 1, self.size)
            return output, CellState(output.gather(1, last)[:, 0], None)
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, (hidden, cell) = self.rnn(packed)
        output, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
        return output, CellState(hidden[0], cell[0])

    def run(self, x: Tensor, state: CellState) -> Tensor:
        """All steps at once from ``state``: (rows, T, input_size) to (rows, T, size)."""
        hidden = state.hidden[None].to(x.dtype).contiguous()
        if state.cell is None:
            output, _ = self.rnn(x, hidden)
        else:
            output, _ = self.rnn(x, (hidden, state.cell[None].to(x.dtype).contiguous()))
        return output  # type: ignore[no-any-return]

    def split_input(self, *widths: int) -> tuple[Tensor, ...]:
        """The input matrix cut into the parts of a concatenated input, (gates, width) each."""
        return self.rnn.weight_ih_l0.split(widths, dim=1)

    @property
    def input_bias(self) -> Tensor:
        """Bias of the input's part of the gates, (gates,)."""
        bias: Tensor = self.rnn.bias_ih_l0
        return bias

    def gates(self, x: Tensor) -> Tensor:
        """The input's part of the gates, (..., input_size) to (..., gates)."""
        return F.linear(x, self.rnn.weight_ih_l0, self.rnn.bias_ih_l0)

    def step(self, gates: Tensor, state: CellState) -> CellState:
        """One step.

        Args:
            gates: (rows, gates), the input's part, see :meth:`gates`.
            state: of the same rows.
        """
        recurrent = F.linear(state.hidden, self.rnn.weight_hh_l0, self.rnn.bias_hh_l0)
        if state.cell is None:
            return CellState(_gru(gates, recurrent, state.hidden), None)
        i, f, g, o = (gates + recurrent).chunk(4, dim=-1)
        cell = f.sigmoid() * state.cell + i.sigmoid() * g.tanh()
        return CellState(o.sigmoid() * cell.tanh(), cell)


def _gru(gates: Tensor, recurrent: Tensor, hidden: Tensor) -> Tensor:
    """The element-wise part of a GRU step, gates in the order reset, update, new."""
    r, z, n = gates.chunk(3, dim=-1)
    hr, hz, hn = recurrent.chunk(3, dim=-1)
    new = (n + (r + hr).sigmoid() * hn).tanh()
    return new + (z + hz).sigmoid() * (hidden - new)
