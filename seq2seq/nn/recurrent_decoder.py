"""Three decoders of recurrent models: without attention, Bahdanau's, Luong's.

Each turns embedded target pieces into readouts, the input of the output layer: ``hidden`` for
all positions at once, ``step`` for one. What does not depend on the previous step (the
embedding's part of the gates, the readout) is computed for all positions in one product.

Shapes: ``rows`` sentences, ``S`` source pieces, ``T`` target pieces, ``E`` embedding width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.config import RecurrentConfig
from seq2seq.nn.attention import AdditiveAttention, DotAttention, GeneralAttention
from seq2seq.nn.cells import CellState, RecurrentLayer
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.model import DecoderState, Memory

__all__ = [
    "AdditiveDecoder",
    "Decoder",
    "DecoderStep",
    "LuongDecoder",
    "PlainDecoder",
    "RecurrentMemory",
    "RecurrentState",
]


@dataclass(frozen=True)
class RecurrentMemory(Memory):
    """What the decoder reads from the source.

    Attributes:
        hidden: (rows, layers, size), the decoder's first state.
        cell: the same of an LSTM's memory; None for a GRU.
        keys: (rows, S, width), what queries are compared with; None without attention.
        values: (rows, S, width), the encoder's states; None without attention.
    """

    hidden: Tensor
    cell: Tensor | None
    keys: Tensor | None
    values: Tensor | None


@dataclass(frozen=True)
class RecurrentState(DecoderState):
    """State after a step.

    Attributes:
        memory: of the source.
        hidden: (rows, layers, size).
        cell: (rows, layers, size); None for a GRU.
        feed: (rows, width), the attentional vector that the next step reads; None without
            input feeding.
    """

    memory: RecurrentMemory
    hidden: Tensor
    cell: Tensor | None
    feed: Tensor | None


@dataclass(frozen=True)
class DecoderStep:
    """Readout (rows, width), attention weights (rows, S) or None, and the new state."""

    readout: Tensor
    weights: Tensor | None
    state: RecurrentState


class Decoder(nn.Module, ABC):
    """Stacked recurrent layers and a readout.

    Args:
        config: of the model.
        input_size: width of the first layer's input.

    Attributes:
        readout_size: width of the readout.
    """

    readout_size: int

    def __init__(self, config: RecurrentConfig, *, input_size: int) -> None:
        super().__init__()
        size = config.decoder_size
        widths = [input_size, *[size] * (config.decoder_layers - 1)]
        layers = nn.ModuleList(RecurrentLayer(config.cell, width, size) for width in widths)
        self.layers = cast("Sequence[RecurrentLayer]", layers)
        self.dropout = Dropout(config.dropout)

    @abstractmethod
    def keys(self, values: Tensor) -> Tensor | None:
        """What queries are compared with, from the encoder's states; None without attention."""

    @abstractmethod
    def hidden(self, embedded: Tensor, memory: RecurrentMemory) -> Tensor:
        """Teacher forcing: (rows, T, E) to readouts (rows, T, readout_size)."""

    @abstractmethod
    def step(self, embedded: Tensor, state: RecurrentState) -> DecoderStep:
        """One position: ``embedded`` is (rows, E)."""

    def start(self, memory: RecurrentMemory) -> RecurrentState:
        """State before the first step."""
        return RecurrentState(memory=memory, hidden=memory.hidden, cell=memory.cell, feed=None)

    def _run(self, x: Tensor, memory: RecurrentMemory) -> Tensor:
        """All layers over all positions, where no step depends on an attention."""
        for n, (layer, state) in enumerate(zip(self.layers, _unstack(memory), strict=True)):
            x = layer.run(self.dropout(x) if n else x, state)
        return x

    def _advance(self, gates: Tensor, states: list[CellState]) -> list[CellState]:
        """All layers by one step, from the first layer's input gates (rows, gates)."""
        advanced: list[CellState] = []
        for n, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            if n:
                gates = layer.gates(self.dropout(advanced[-1].hidden))
            advanced.append(layer.step(gates, state))
        return advanced


def _unstack(state: RecurrentMemory | RecurrentState) -> list[CellState]:
    """(rows, layers, size) into one state a layer."""
    hidden = state.hidden.unbind(1)
    cells = [None] * len(hidden) if state.cell is None else state.cell.unbind(1)
    return [CellState(h, c) for h, c in zip(hidden, cells, strict=True)]


def _stack(
    states: list[CellState], memory: RecurrentMemory, feed: Tensor | None = None
) -> RecurrentState:
    """One state a layer into (rows, layers, size)."""
    cells = [state.cell for state in states if state.cell is not None]
    return RecurrentState(
        memory=memory,
        hidden=torch.stack([state.hidden for state in states], dim=1),
        cell=torch.stack(cells, dim=1) if cells else None,
        feed=feed,
    )


class PlainDecoder(Decoder):
    """The decoder gets the encoder's last state and nothing else (Sutskever 2014, eq. 1)."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config, input_size=config.embedding_size)
        self.readout: nn.Module = nn.Identity()
        self.readout_size = config.decoder_size
        if config.tie_output and config.decoder_size != config.embedding_size:
            self.readout = _linear(config.decoder_size, config.embedding_size)
            self.readout_size = config.embedding_size

    def keys(self, values: Tensor) -> None:
        """No attention, no keys."""
        return

    def hidden(self, embedded: Tensor, memory: RecurrentMemory) -> Tensor:
        """See :meth:`Decoder.hidden`."""
        readouts: Tensor = self.dropout(self.readout(self._run(embedded, memory)))
        return readouts

    def step(self, embedded: Tensor, state: RecurrentState) -> DecoderStep:
        """See :meth:`Decoder.step`."""
        states = self._advance(self.layers[0].gates(embedded), _unstack(state))
        readout = self.dropout(self.readout(states[-1].hidden))
        return DecoderStep(readout, None, _stack(states, state.memory))


class AdditiveDecoder(Decoder):
    """Bahdanau's decoder (2015, section 3.1 and appendix A.2).

    The context ``c_i`` comes from the previous state: ``s_i = f(s_{i-1}, y_{i-1}, c_i)``. The
    readout is a maxout layer (A.2.2) over ``U_o s_i + V_o E y_{i-1} + C_o c_i``, with ``s_i`` as
    in eq. 4. The two entries of each maxout pair lie half the layer apart, not side by side,
    which only permutes the rows of the matrices.
    """

    def __init__(self, config: RecurrentConfig) -> None:
        values, size = _encoder_width(config), config.decoder_size
        width = config.embedding_size + values
        super().__init__(config, input_size=width)
        self.attention = AdditiveAttention(size, values, size=config.attention_size)
        self.readout_size = config.embedding_size
        self.readout = _linear(size + width, 2 * self.readout_size)

    def keys(self, values: Tensor) -> Tensor:
        """See :meth:`AdditiveAttention.keys`."""
        return self.attention.keys(values)

    def hidden(self, embedded: Tensor, memory: RecurrentMemory) -> Tensor:
        """See :meth:`Decoder.hidden`."""
        gates, from_context = self.layers[0].split_gates(embedded, width=embedded.shape[-1])
        states = _unstack(memory)
        outputs, contexts = [], []
        for gate in gates.unbind(1):
            context, _ = self._attend(states, memory)
            states = self._advance(gate + F.linear(context, from_context), states)
            outputs.append(states[-1].hidden)
            contexts.append(context)
        return self._read(torch.stack(outputs, dim=1), embedded, torch.stack(contexts, dim=1))

    def step(self, embedded: Tensor, state: RecurrentState) -> DecoderStep:
        """See :meth:`Decoder.step`."""
        states = _unstack(state)
        context, weights = self._attend(states, state.memory)
        gates = self.layers[0].gates(torch.cat([embedded, context], dim=-1))
        states = self._advance(gates, states)
        readout = self._read(states[-1].hidden, embedded, context)
        return DecoderStep(readout, weights, _stack(states, state.memory))

    def _attend(self, states: list[CellState], memory: RecurrentMemory) -> tuple[Tensor, Tensor]:
        """Context (rows, width) and weights (rows, S) from the top layer's state."""
        query = states[-1].hidden[:, None]
        context, weights = self.attention(query, memory.keys, memory.values, memory.mask)
        return context[:, 0], weights[:, 0]

    def _read(self, output: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        """The deep output with one maxout layer (A.2.2)."""
        pairs = self.readout(torch.cat([output, embedded, context], dim=-1))
        readouts: Tensor = self.dropout(torch.maximum(*pairs.chunk(2, dim=-1)))
        return readouts


class LuongDecoder(Decoder):
    """Luong's decoder (2015, section 3): attention from the current state.

    The readout is the attentional vector ``h~_t = tanh(W_c [c_t; h_t])`` (eq. 5). With input
    feeding (section 3.3) the next step reads it beside the embedding.
    """

    def __init__(self, config: RecurrentConfig) -> None:
        values = _encoder_width(config)
        size = config.decoder_size
        width = config.embedding_size if config.tie_output else size
        fed = width if config.input_feeding else 0
        super().__init__(config, input_size=config.embedding_size + fed)
        self.input_feeding = config.input_feeding
        self.readout_size = width
        self.attention = (
            DotAttention() if config.attention == "dot" else GeneralAttention(size, values)
        )
        self.readout = _linear(values + size, width, bias=False)

    def keys(self, values: Tensor) -> Tensor:
        """See :meth:`DotAttention.keys`."""
        return self.attention.keys(values)

    def start(self, memory: RecurrentMemory) -> RecurrentState:
        """See :meth:`Decoder.start`; a zero vector is fed to the first step."""
        state = super().start(memory)
        if not self.input_feeding:
            return state
        feed = memory.hidden.new_zeros(len(memory.hidden), self.readout_size)
        return replace(state, feed=feed)

    def hidden(self, embedded: Tensor, memory: RecurrentMemory) -> Tensor:
        """See :meth:`Decoder.hidden`."""
        feed = self.start(memory).feed
        if feed is None:
            readouts, _ = self._read(self._run(embedded, memory), memory)
        else:
            readouts = self._run_fed(embedded, memory, feed)
        dropped: Tensor = self.dropout(readouts)
        return dropped

    def step(self, embedded: Tensor, state: RecurrentState) -> DecoderStep:
        """See :meth:`Decoder.step`."""
        if state.feed is not None:
            embedded = torch.cat([embedded, state.feed], dim=-1)
        states = self._advance(self.layers[0].gates(embedded), _unstack(state))
        readout, weights = self._read(states[-1].hidden[:, None], state.memory)
        feed = None if state.feed is None else readout[:, 0]
        stacked = _stack(states, state.memory, feed)
        return DecoderStep(self.dropout(readout[:, 0]), weights[:, 0], stacked)

    def _run_fed(self, embedded: Tensor, memory: RecurrentMemory, feed: Tensor) -> Tensor:
        """Attentional vectors (rows, T, readout_size) of all positions with input feeding."""
        gates, from_feed = self.layers[0].split_gates(embedded, width=embedded.shape[-1])
        states, readouts = _unstack(memory), []
        for gate in gates.unbind(1):
            states = self._advance(gate + F.linear(feed, from_feed), states)
            feed = self._read(states[-1].hidden[:, None], memory)[0][:, 0]
            readouts.append(feed)
        return torch.stack(readouts, dim=1)

    def _read(self, output: Tensor, memory: RecurrentMemory) -> tuple[Tensor, Tensor]:
        """Attentional vectors (rows, T, readout_size) and weights (rows, T, S) (eq. 5 to 8)."""
        context, weights = self.attention(output, memory.keys, memory.values, memory.mask)
        return torch.tanh(self.readout(torch.cat([context, output], dim=-1))), weights


def _encoder_width(config: RecurrentConfig) -> int:
    """Width of the encoder's states."""
    return config.encoder_size * (2 if config.bidirectional else 1)


def _linear(width_in: int, width_out: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer, Xavier weights, zero bias."""
    layer = nn.Linear(width_in, width_out, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
