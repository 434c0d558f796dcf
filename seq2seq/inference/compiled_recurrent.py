"""Recurrent models on the operators of :mod:`seq2seq.kernels`, with no module inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from seq2seq.config import RecurrentConfig
from seq2seq.inference.compiled import CompiledModel, Made, bytes_of
from seq2seq.inference.matrices import Matrices
from seq2seq.kernels import packing, steps
from seq2seq.kernels.calls import integers
from seq2seq.kernels.packing import Packed
from seq2seq.kernels.reading import Comparing
from seq2seq.kernels.steps import Side
from seq2seq.parameters import Weights, parameter_shapes, tables

__all__ = ["CompiledRecurrent"]

_ATTENTIONS = {"none": 0, "additive": 1, "dot": 2, "general": 2}

_Ends = tuple[np.ndarray, np.ndarray | None]
"""The state after a layer's last piece: hidden (rows, size), and an LSTM's cell."""


@dataclass(frozen=True)
class Memory:
    """What the decoder reads from the source.

    Attributes:
        lengths: (sentences,) int64, pieces of each.
        hidden, cell: (sentences, layers, size), the decoder's first state.
        keys, values: (sentences, S, width); None without attention.
    """

    lengths: np.ndarray
    hidden: np.ndarray
    cell: np.ndarray | None
    keys: np.ndarray | None
    values: np.ndarray | None


@dataclass(frozen=True)
class State:
    """What a step hands to the next.

    Attributes:
        memory: of the source.
        sentence: (rows,) int64, the sentence that a row translates.
        hidden, cell: (rows, layers, size).
        feed: (rows, width), what input feeding reads; None without it.
    """

    memory: Memory
    sentence: np.ndarray
    hidden: np.ndarray
    cell: np.ndarray | None
    feed: np.ndarray | None

    def select(self, rows: Sequence[int]) -> Self:
        """See :meth:`SearchState.select`."""
        index = integers(rows)
        return type(self)(
            self.memory,
            self.sentence.take(index),
            self.hidden.take(index, 0),
            None if self.cell is None else self.cell.take(index, 0),
            None if self.feed is None else self.feed.take(index, 0),
        )


class CompiledRecurrent(CompiledModel[State]):
    """Made from weights, which it packs and does not keep.

    Args:
        config: of the model.
        weights: its parameters.
    """

    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig, weights: Weights) -> None:
        super().__init__(config)
        shapes = parameter_shapes(config)
        matrices = Matrices(weights, shapes)
        names = tables(config)
        output = matrices.of(names[2], "output.bias")
        self._source, target = (
            output if name == names[2] else matrices.of(name) for name in names[:2]
        )
        self._encoder = [
            [
                matrices.recurrent(f"encoder.layers.{n}.{direction}")
                for direction in range(2 if config.bidirectional else 1)
            ]
            for n in range(config.encoder_layers)
        ]
        self._bridge = [
            matrices.linear(f"bridge.{part}") if f"bridge.{part}.weight" in shapes else None
            for part in ("hidden", "cell")
        ]
        decoder: list[np.ndarray] = [target]
        for n in range(config.decoder_layers):
            decoder += matrices.recurrent(f"decoder.layers.{n}")
        self._key: Packed | None = None
        if config.attention in ("additive", "general"):
            self._key = matrices.linear("decoder.attention.key")
        if config.attention == "additive":
            decoder += [
                matrices.linear("decoder.attention.query"),
                matrices.floats("decoder.attention.score.weight").ravel(),
            ]
        readout = "decoder.readout.weight" in shapes
        decoder += [matrices.linear("decoder.readout")] if readout else []
        decoder.append(output)
        width = shapes["decoder.readout.weight"][0] if readout else 0
        self._fed = width if config.input_feeding else 0
        plan = [
            config.decoder_layers,
            config.decoder_size,
            int(config.cell == "lstm"),
            int(config.input_feeding),
            int(readout),
            _ATTENTIONS[config.attention],
        ]
        self._side = Side(plan, decoder)
        layers = [matrix for layers in self._encoder for pair in layers for matrix in pair]
        others = [matrix for matrix in (*self._bridge, self._key) if matrix is not None]
        self.memory_bytes = bytes_of([self._source, *layers, *others, *decoder])

    def encode(self, sources: Sequence[Sequence[int]]) -> Memory:
        """See :meth:`SearchModel.encode`."""
        config = self.config
        lengths = integers([*map(len, sources)])
        longest = max(map(len, sources))
        step = -1 if config.reverse_source else 1
        rows = [[*ids[::step], *[config.pad_id] * (longest - len(ids))] for ids in sources]
        values = packing.lookup(integers(rows), self._source)
        finals: list[list[_Ends]] = []
        for layers in self._encoder:
            values, ends = self._read(values, lengths, layers)
            finals.append(ends)
        hidden, cell = self._cross(finals)
        if config.attention == "none":
            return Memory(lengths, hidden, cell, None, None)
        if config.reverse_source:  # so that attention is over the source as it was given
            for row, length in enumerate(lengths.tolist()):
                values[row, :length] = values[row, :length][::-1].copy()
        keys = values if self._key is None else packing.linear(values, self._key)
        return Memory(lengths, hidden, cell, keys, values)

    def start(self, memory: Memory) -> State:
        """See :meth:`SearchModel.start`."""
        rows = len(memory.lengths)
        feed = np.zeros((rows, self._fed), dtype=np.float32) if self._fed else None
        return State(memory, np.arange(rows), memory.hidden, memory.cell, feed)

    def _step(
        self, tokens: Sequence[int], state: State, count: int, comparing: Comparing | None
    ) -> Made[State]:
        """See :class:`CompiledModel`."""
        memory = state.memory
        hidden = state.hidden.copy()  # becomes the next
        cell = None if state.cell is None else state.cell.copy()
        feed = None if state.feed is None else state.feed.copy()
        step = steps.step_recurrent(
            self._side,
            integers(tokens),
            hidden=hidden,
            cell=cell,
            feed=feed,
            sentence=state.sentence,
            lengths=memory.lengths,
            keys=memory.keys,
            values=memory.values,
            size=self.config.target_vocabulary,
            count=count,
            comparing=comparing,
        )
        return Made(step, State(memory, state.sentence, hidden, cell, feed))

    def _read(
        self, x: np.ndarray, lengths: np.ndarray, layers: list[tuple[Packed, Packed]]
    ) -> tuple[np.ndarray, list[_Ends]]:
        """One layer of the encoder in all its directions: states, and the last of each."""
        rows, length, _ = x.shape
        size, lstm = self.config.encoder_size, self.config.cell == "lstm"
        states = np.zeros((rows, length, size * len(layers)), dtype=np.float32)
        ends: list[_Ends] = []
        for backward, matrices in enumerate(layers):
            hidden = np.zeros((rows, size), dtype=np.float32)
            cell = np.zeros((rows, size), dtype=np.float32) if lstm else None
            steps.read_layer(
                states,
                hidden,
                cell,
                x,
                lengths,
                offset=backward * size,
                backward=bool(backward),
                matrices=matrices,
            )
            ends.append((hidden, cell))
        return states, ends

    def _cross(self, finals: list[list[_Ends]]) -> _Ends:
        """The decoder's first state, see ``nn/recurrent.py``."""
        top_only = self.config.attention == "additive"
        chosen = [finals[-1][-1]] if top_only else [end for ends in finals for end in ends]
        hidden = np.concatenate([hidden for hidden, _ in chosen], axis=-1)
        cells = [cell for _, cell in chosen if cell is not None]
        cell = np.concatenate(cells, axis=-1) if cells else None
        first, second = self._bridge
        if first is not None:
            hidden = np.tanh(packing.linear(hidden, first))
            cell = None if cell is None or second is None else packing.linear(cell, second)
        shape = (-1, self.config.decoder_layers, self.config.decoder_size)
        return hidden.reshape(shape), None if cell is None else cell.reshape(shape)
