"""Recurrent models on the operators of :mod:`seq2seq.kernels`: contract 1, no module inside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, cast

import torch
from torch import Tensor, nn

from seq2seq.config import RecurrentConfig
from seq2seq.inference.compiled import CompiledModel, Made
from seq2seq.inference.matrices import Matrices, Packed, linear
from seq2seq.nn.attention import GeneralAttention
from seq2seq.nn.cells import reverse_rows
from seq2seq.nn.model import Comparison, DecoderState, Memory
from seq2seq.nn.recurrent import RecurrentModel
from seq2seq.nn.recurrent_decoder import AdditiveDecoder, LuongDecoder
from seq2seq.nn.stored import Weights

__all__ = ["CompiledRecurrent"]

_ATTENTIONS = {"none": 0, "additive": 1, "dot": 2, "general": 2}


@dataclass(frozen=True)
class CompiledMemory(Memory):
    """What the decoder reads from the source, see :class:`RecurrentMemory`; and ``lengths``."""

    lengths: Tensor
    hidden: Tensor
    cell: Tensor | None
    keys: Tensor | None
    values: Tensor | None


@dataclass(frozen=True)
class CompiledState(DecoderState):
    """See :class:`RecurrentState`.

    Attributes:
        memory: of the source.
        sentence: (rows,) int64, the sentence that a row translates.
        hidden, cell, feed: of each row.
    """

    memory: CompiledMemory
    sentence: Tensor
    hidden: Tensor
    cell: Tensor | None
    feed: Tensor | None

    def select(self, rows: Tensor) -> Self:
        """See :meth:`DecoderState.select`."""
        return replace(
            self,
            sentence=self.sentence.index_select(0, rows),
            hidden=self.hidden.index_select(0, rows),
            cell=None if self.cell is None else self.cell.index_select(0, rows),
            feed=None if self.feed is None else self.feed.index_select(0, rows),
        )


class CompiledRecurrent(CompiledModel[CompiledState]):
    """Made from a model or from its packed copy, none of which it keeps.

    Args:
        model: in evaluation mode, on the CPU.
        stored: its weights, if it is an outline.
    """

    def __init__(self, model: RecurrentModel, *, stored: Weights | None = None) -> None:
        config, matrices = model.config, Matrices(stored)
        self.config: RecurrentConfig = config
        output = matrices.of(model.output)
        target = output if config.tie_output else matrices.of(model.target_embedding)
        self._source = target if config.share_embeddings else matrices.of(model.source_embedding)
        self._encoder = [[*map(matrices.of_layer, layers)] for layers in model.encoder.layers]
        self._top_only, self._copies = model.bridge.top_only, model.bridge.copies
        bridges = () if self._copies else (model.bridge.hidden, model.bridge.cell)
        self._bridge = [None if one is None else matrices.of(one) for one in bridges]
        decoder = model.decoder
        self._decoder: list[Packed] = [target]
        for layer in decoder.layers:
            self._decoder += matrices.of_layer(layer)
        self._key: Packed | None = None
        if isinstance(decoder, AdditiveDecoder):
            attention = decoder.attention
            self._key = matrices.of(attention.key)
            self._decoder += [
                matrices.of(attention.query),
                matrices.floats(attention.score.weight).flatten(),
            ]
        elif isinstance(decoder, LuongDecoder) and isinstance(decoder.attention, GeneralAttention):
            self._key = matrices.of(decoder.attention.key)
        last = cast(nn.Module, decoder.readout)
        readout = not isinstance(last, nn.Identity)
        self._decoder += [matrices.of(last)] if readout else []
        self._decoder.append(output)
        self._fed = decoder.readout_size if config.input_feeding else 0
        self._plan = [
            config.decoder_layers,
            config.decoder_size,
            int(config.cell == "lstm"),
            int(config.input_feeding),
            int(readout),
            _ATTENTIONS[config.attention],
        ]

    @property
    def tensors(self) -> list[Tensor]:
        """All weights and tables; tied ones more than once."""
        layers = [matrix for layers in self._encoder for pair in layers for matrix in pair]
        others = [matrix for matrix in (*self._bridge, self._key) if matrix is not None]
        return [self._source, *layers, *others, *self._decoder]

    def encode(self, source: Tensor, source_mask: Tensor) -> CompiledMemory:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.encode`."""
        lengths = source_mask.sum(dim=1)
        if self.config.reverse_source:
            source = reverse_rows(source, lengths)
        values = torch.ops.seq2seq.lookup(source.flatten(), self._source)
        values = values.view(*source.shape, -1)
        finals: list[list[tuple[Tensor, Tensor | None]]] = []
        for layers in self._encoder:
            values, ends = self._read(values, lengths, layers)
            finals.append(ends)
        hidden, cell = self._cross(finals)
        if self.config.attention == "none":
            return CompiledMemory(source_mask, lengths, hidden, cell, None, None)
        if self.config.reverse_source:
            values = reverse_rows(values, lengths)
        keys = values if self._key is None else linear(values, self._key)
        return CompiledMemory(source_mask, lengths, hidden, cell, keys, values)

    def start(self, memory: CompiledMemory) -> CompiledState:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.start`."""
        rows = len(memory.mask)
        feed = torch.zeros(rows, self._fed) if self._fed else None
        return CompiledState(memory, torch.arange(rows), memory.hidden, memory.cell, feed)

    def _step(
        self, tokens: Tensor, state: CompiledState, count: int, comparison: Comparison
    ) -> Made[CompiledState]:
        """See :class:`CompiledModel`."""
        memory = state.memory
        hidden = state.hidden.clone()  # becomes the next
        cell = None if state.cell is None else state.cell.clone()
        feed = None if state.feed is None else state.feed.clone()
        *found, attention = torch.ops.seq2seq.step_recurrent(
            tokens.contiguous(),
            hidden,
            cell,
            feed,
            state.sentence,
            memory.lengths,
            memory.keys,
            memory.values,
            count,
            *comparison,
            self._plan,
            self._decoder,
        )
        shown = None if memory.keys is None else attention
        after = CompiledState(memory, state.sentence, hidden, cell, feed)
        return Made(found, shown, after)

    def _read(
        self, x: Tensor, lengths: Tensor, layers: list[tuple[Packed, Packed]]
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor | None]]]:
        """One layer of the encoder in all its directions: states, and the last of each."""
        rows, length, _ = x.shape
        size, lstm = self.config.encoder_size, self.config.cell == "lstm"
        states = torch.zeros(rows, length, size * len(layers))
        ends: list[tuple[Tensor, Tensor | None]] = []
        for backward, (matrix, recurrent) in enumerate(layers):
            hidden = torch.zeros(rows, size)
            cell = torch.zeros(rows, size) if lstm else None
            torch.ops.seq2seq.read_layer(
                states, hidden, cell, x, lengths, backward * size, bool(backward), matrix, recurrent
            )
            ends.append((hidden, cell))
        return states, ends

    def _cross(
        self, finals: list[list[tuple[Tensor, Tensor | None]]]
    ) -> tuple[Tensor, Tensor | None]:
        """The decoder's first state, see ``nn/recurrent.py``."""
        chosen = [finals[-1][-1]] if self._top_only else [end for ends in finals for end in ends]
        hidden = torch.cat([hidden for hidden, _ in chosen], dim=-1)
        cells = [cell for _, cell in chosen if cell is not None]
        cell = torch.cat(cells, dim=-1) if cells else None
        if not self._copies:
            first, second = self._bridge
            assert first is not None  # noqa: S101  (for the type checker)
            hidden = torch.tanh(linear(hidden, first))
            cell = None if cell is None or second is None else linear(cell, second)
        shape = (-1, self.config.decoder_layers, self.config.decoder_size)
        return hidden.view(shape), None if cell is None else cell.view(shape)
