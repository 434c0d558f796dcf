"""The Transformer on the operators of :mod:`seq2seq.kernels`, with no module inside."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Self

import numpy as np

from seq2seq.config import TransformerConfig
from seq2seq.inference.compiled import CompiledModel, Made, bytes_of
from seq2seq.inference.matrices import Matrices
from seq2seq.kernels import steps
from seq2seq.kernels.calls import integers
from seq2seq.kernels.reading import Comparing
from seq2seq.kernels.steps import Side
from seq2seq.parameters import Weights, parameter_shapes, sinusoids, tables

__all__ = ["CompiledTransformer"]

_ACTIVATIONS = {"relu": 0, "gelu": 1, "swish": 2}
_ENTRIES = 64  # of a fresh cache
_STEPS = 16  # that a larger one has room for; memory is only taken as it is written to
_POSITIONS = 1026  # of the longest output of a search, start and end included


@dataclass(frozen=True)
class Memory:
    """What the decoder reads from the source.

    Attributes:
        starts: (sentences + 1,) int64, where each sentence begins among all pieces.
        longest: pieces of the longest sentence.
        pairs: keys and values (layers, pieces, 2 * width).
    """

    starts: np.ndarray
    longest: int
    pairs: np.ndarray


class Cache:
    """Keys and values of the target pieces of one search, (entries, layers * 2 * width).

    A step appends an entry per row; which entries belong to a hypothesis is the state's business,
    so that nothing is copied when hypotheses are chosen.

    Args:
        size: numbers of an entry.
        count: entries that there is room for.
    """

    def __init__(self, size: int, *, count: int = _ENTRIES) -> None:
        self.entries = np.empty((count, size), dtype=np.float32)
        self.used = 0

    def append(self, used: int, rows: int) -> bool:
        """Take ``rows`` entries after ``used``; False where these are taken, or there is no room.

        They are taken if two steps go on from the same state.
        """
        if used != self.used or used + rows > self.entries.shape[0]:
            return False
        self.used += rows
        return True

    def copy(self, wanted: np.ndarray, rows: int) -> tuple[Cache, np.ndarray]:
        """A larger one with what hypotheses still need, and where they find it there.

        Args:
            wanted: (rows, t) entries of each hypothesis.
            rows: entries that are to be appended at once.
        """
        needed, places = np.unique(wanted, return_inverse=True)
        used = len(needed)
        copy = Cache(self.entries.shape[1], count=max(2 * used, used + _STEPS * rows, _ENTRIES))
        np.take(self.entries, needed, axis=0, out=copy.entries[:used])
        copy.used = used
        return copy, places.reshape(wanted.shape).astype(np.int32)


@dataclass(frozen=True)
class State:
    """What a step hands to the next.

    Attributes:
        memory: of the source.
        paths: (rows, 1 + t) int32, the sentence that a row translates, and the cache's entries of
            its earlier pieces.
        cache: shared by all states of a search.
        used: entries of the cache that were there after the step.
        order: rows of ``paths`` that have been chosen, which the next step does along the way;
            None for all as they are.
    """

    memory: Memory
    paths: np.ndarray
    cache: Cache = field(repr=False)
    used: int
    order: Sequence[int] | None = None

    def select(self, rows: Sequence[int]) -> Self:
        """See :meth:`SearchState.select`."""
        before = self.order
        order = rows if before is None else [before[row] for row in rows]
        return type(self)(self.memory, self.paths, self.cache, self.used, order)


class CompiledTransformer(CompiledModel[State]):
    """Made from weights, which it packs and does not keep.

    Args:
        config: of the model.
        weights: its parameters.
    """

    config: TransformerConfig

    def __init__(self, config: TransformerConfig, weights: Weights) -> None:
        super().__init__(config)
        matrices = Matrices(weights, parameter_shapes(config))
        first = config.norm == "pre"
        output = matrices.of(tables(config)[2], "output.bias")
        source, target = (
            output if name == tables(config)[2] else matrices.of(name)
            for name in tables(config)[:2]
        )
        self._encoder: list[np.ndarray] = []
        for n in range(config.encoder_layers):
            layer = f"encoder.{n}"
            self._encoder += [
                *_linear(matrices, layer, "self_attention.project_in"),
                *_linear(matrices, layer, "self_attention.project_out"),
                *_linear(matrices, layer, "feed_forward.inner", "feed_forward.outer"),
                matrices.norms(f"{layer}.self_norm", f"{layer}.feed_norm"),
            ]
        self._encoder += [matrices.norms("encoder_norm")] if first else []
        self._decoder: list[np.ndarray] = []
        for n in range(config.decoder_layers):
            layer = f"decoder.{n}"
            self._decoder += [
                *_linear(matrices, layer, "self_attention.project_in"),
                *_linear(matrices, layer, "self_attention.project_out"),
                *_linear(matrices, layer, "cross_attention.project_query"),
                *_linear(matrices, layer, "cross_attention.project_out"),
                *_linear(matrices, layer, "feed_forward.inner", "feed_forward.outer"),
                matrices.norms(f"{layer}.self_norm", f"{layer}.cross_norm", f"{layer}.feed_norm"),
            ]
            self._encoder += _linear(matrices, layer, "cross_attention.project_memory")
        self._decoder += [matrices.norms("decoder_norm")] if first else []
        self._decoder.append(output)
        self._tables = source, target
        common = [
            config.heads,
            int(first),
            _ACTIVATIONS[config.activation],
            int(config.scale_embeddings),
        ]
        self._plans = (
            [config.encoder_layers, *common, -1],
            [config.decoder_layers, *common, config.bos_id if config.zero_start else -1],
        )
        self._learned = config.positions == "learned"
        if self._learned:
            positions = [matrices.floats(f"{side}_positions") for side in ("source", "target")]
        else:
            computed = self._sinusoids(max(config.max_positions, _POSITIONS))
            if weights.positions is not None:
                computed[: len(weights.positions)] = weights.positions[: len(computed)]
            positions = [computed] * 2
        self._positions = positions
        self._sides = [self._side(0), self._side(1)]
        self._growing = threading.Lock()
        everything = [*self._encoder, *self._decoder, *self._tables, *positions]
        self.memory_bytes = bytes_of(everything)

    def encode(self, sources: Sequence[Sequence[int]]) -> Memory:
        """See :meth:`SearchModel.encode`."""
        starts = integers([*accumulate(map(len, sources), initial=0)])
        longest = max(map(len, sources))
        pairs = steps.encode_transformer(
            self._placed(0, longest),
            integers([*chain.from_iterable(sources)]),
            starts,
            layers=self.config.decoder_layers,
            width=self.config.d_model,
        )
        return Memory(starts=starts, longest=longest, pairs=pairs)

    def start(self, memory: Memory) -> State:
        """See :meth:`SearchModel.start`."""
        rows = len(memory.starts) - 1
        return State(
            memory=memory,
            paths=np.arange(rows, dtype=np.int32)[:, None],
            cache=Cache(2 * self.config.d_model * self.config.decoder_layers),
            used=0,
        )

    def _step(
        self, tokens: Sequence[int], state: State, count: int, comparing: Comparing | None
    ) -> Made[State]:
        """See :class:`CompiledModel`."""
        config, memory = self.config, state.memory
        cache, paths, used, order = state.cache, state.paths, state.used, state.order
        rows = len(tokens)
        if not cache.append(used, rows):
            chosen = paths if order is None else paths[order]
            cache, entries = cache.copy(chosen[:, 1:], rows)
            paths, order = np.concatenate((chosen[:, :1], entries), 1), None
            used = cache.used
            cache.append(used, rows)
        step, longer = steps.step_transformer(
            self._placed(1, paths.shape[1]),
            integers(tokens),
            cache=cache.entries,
            used=used,
            paths=paths,
            order=None if order is None else integers(order),
            starts=memory.starts,
            source=memory.longest,
            pairs=memory.pairs,
            layers=config.decoder_layers,
            heads=config.heads,
            size=config.target_vocabulary,
            count=count,
            comparing=comparing,
        )
        return Made(step, State(memory, longer, cache, used + rows))

    def _side(self, number: int, positions: np.ndarray | None = None) -> Side:
        weights = (self._encoder, self._decoder)[number]
        table = self._positions[number] if positions is None else positions
        return Side(self._plans[number], [self._tables[number], table, *weights])

    def _placed(self, number: int, length: int) -> Side:
        """A side with a table of at least ``length`` positions."""
        if length <= len(self._positions[number]):  # tables only grow, sides before them
            return self._sides[number]
        with self._growing:
            table = self._positions[number]
            if length > len(table):
                if self._learned:
                    raise ValueError(
                        f"a sequence of {length} pieces is longer than the {len(table)} positions "
                        "that this model has learned"
                    )
                longer = self._sinusoids(2 * length)
                longer[: len(table)] = table
                self._sides[number] = self._side(number, longer)
                self._positions[number] = longer
            return self._sides[number]

    def _sinusoids(self, length: int) -> np.ndarray:
        halves = self.config.positions == "sinusoidal-halves"
        return sinusoids(length, self.config.d_model, halves=halves)


def _linear(matrices: Matrices, layer: str, *names: str) -> list[np.ndarray]:
    return [matrices.linear(f"{layer}.{name}") for name in names]
