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

    def where(self, chosen: Tensor, *, otherwise: CellState) -> CellState:
        """This state in the rows where ``chosen`` (rows,) is True, ``otherwise`` elsewhere."""
        hidden = torch.where(chosen[:, None], self.hidden, otherwise.hidden)
        if self.cell is None or otherwise.cell is None:
            return CellState(hidden, None)
        return CellState(hidden, torch.where(chosen[:, None], self.cell, otherwise.cell))


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

    @property
    def weights(self) -> list[nn.Parameter]:
        """Input matrix, recurrent matrix, input bias, recurrent bias."""
        return self.rnn.all_weights[0]

    @property
    def has_cell(self) -> bool:
        """Whether it is an LSTM, which has a memory beside its output."""
        return isinstance(self.rnn, nn.LSTM)

    def _initialise(self) -> None:
        """Orthogonal recurrent matrices, Xavier input matrices, forget gates open at first."""
        input_matrix, recurrent_matrix, input_bias, recurrent_bias = self.weights
        with torch.no_grad():
            for matrix in torch.split(input_matrix, self.size):
                nn.init.xavier_uniform_(matrix)
            for matrix in torch.split(recurrent_matrix, self.size):
                nn.init.orthogonal_(matrix)
            input_bias.zero_()
            recurrent_bias.zero_()
            if isinstance(self.rnn, nn.LSTM):  # gates in the order input, forget, cell, output
                input_bias[self.size : 2 * self.size] = 1

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
            # Padding comes last and cannot reach the real entries: no need to mask it.
            output, _ = self.rnn(x)
            last = (lengths - 1)[:, None, None].expand(-1, 1, self.size)
            return output, CellState(output.gather(1, last)[:, 0], None)
        # The fused kernel does not tell the LSTM's memory before its last step, so it reads as
        # far as no row has ended; a batch of similar lengths leaves little for the loop. (Packing
        # the sequences instead costs more than twice the time on a CPU.)
        shortest = int(lengths.min())
        output, (hidden, cell) = self.rnn(x[:, :shortest])
        outputs, state = [output], CellState(hidden[0], cell[0])
        for t, gates in enumerate(self.gates(x[:, shortest:]).unbind(1), start=shortest):
            state = self.step(gates, state).where(lengths > t, otherwise=state)
            outputs.append(state.hidden[:, None])
        return torch.cat(outputs, dim=1), state

    def run(self, x: Tensor, state: CellState) -> Tensor:
        """All steps at once from ``state``: (rows, T, input_size) to (rows, T, size)."""
        hidden = state.hidden[None].to(x.dtype).contiguous()
        start: Tensor | tuple[Tensor, Tensor] = hidden
        if state.cell is not None:
            start = (hidden, state.cell[None].to(x.dtype).contiguous())
        output: Tensor = self.rnn(x, start)[0]
        return output

    def gates(self, x: Tensor) -> Tensor:
        """The input's part of the gates, (..., input_size) to (..., gates)."""
        matrix, _, bias, _ = self.weights
        return F.linear(x, matrix, bias)

    def recur(self, hidden: Tensor) -> Tensor:
        """The previous output's part of the gates, (rows, size) to (rows, gates)."""
        _, matrix, _, bias = self.weights
        return F.linear(hidden, matrix, bias)

    def split_gates(self, x: Tensor, *, width: int) -> tuple[Tensor, Tensor]:
        """Gates of the known part ``x`` (..., width) of an input whose rest comes step by step.

        Returns:
            The known part's gates (..., gates), and the matrix (gates, input_size - width) that
            the rest of the input is to be multiplied with and added.
        """
        matrix, _, bias, _ = self.weights
        known, rest = torch.split(matrix, [width, matrix.shape[1] - width], dim=1)
        return F.linear(x, known, bias), rest

    def step(self, gates: Tensor, state: CellState) -> CellState:
        """One step.

        Args:
            gates: (rows, gates), the input's part, see :meth:`gates`.
            state: of the same rows.
        """
        recurrent = self.recur(state.hidden)
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
