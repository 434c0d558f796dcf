"""The Transformer on the operators of :mod:`seq2seq.kernels`: contract 1, no module inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self, cast

import torch
from torch import Tensor

from seq2seq.config import TransformerConfig
from seq2seq.inference.compiled import CompiledModel, Made
from seq2seq.inference.matrices import Matrices, Packed, linear
from seq2seq.nn.model import Comparison, DecoderState, Memory
from seq2seq.nn.multihead import SelfAttention
from seq2seq.nn.stored import Weights
from seq2seq.nn.transformer import DecoderLayer, EncoderLayer, TransformerModel, sinusoids

__all__ = ["CompiledTransformer"]

_ACTIVATIONS = {"relu": 0, "gelu": 1, "swish": 2}
_ENTRIES = 64  # of a fresh cache
_STEPS = 16  # that a larger one has room for; memory is only taken as it is written to


@dataclass(frozen=True)
class CompiledMemory(Memory):
    """What the decoder reads from the source.

    Attributes:
        starts: (sentences + 1,) int64, where each sentence begins among all pieces.
        pairs: for every decoder layer keys and values (pieces, 2 * width).
    """

    starts: Tensor
    pairs: tuple[Tensor, ...]


class Cache:
    """Keys and values of the target pieces of one search, (entries, layers, 2, width).

    A step appends an entry per row; which entries belong to a hypothesis is the state's business,
    so that nothing is copied when hypotheses are chosen.

    Args:
        size: numbers of an entry.
        count: entries that there is room for.
    """

    def __init__(self, size: int, *, count: int = _ENTRIES) -> None:
        self.entries = torch.empty(count, size)
        self.used = 0

    def append(self, used: int, rows: int) -> bool:
        """Take ``rows`` entries after ``used``; False where these are taken, or there is no room.

        They are taken if two steps go on from the same state.
        """
        if used != self.used or used + rows > self.entries.shape[0]:
            return False
        self.used += rows
        return True

    def copy(self, wanted: Tensor, rows: int) -> tuple[Cache, Tensor]:
        """A larger one with what hypotheses still need, and where they find it there.

        Args:
            wanted: (rows, t) entries of each hypothesis.
            rows: entries that are to be appended at once.
        """
        needed, places = wanted.unique(return_inverse=True)
        used = len(needed)
        copy = Cache(self.entries.shape[1], count=max(2 * used, used + _STEPS * rows, _ENTRIES))
        torch.index_select(self.entries, 0, needed, out=copy.entries[:used])
        copy.used = used
        return copy, places.int()


@dataclass(frozen=True)
class CompiledState(DecoderState):
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

    memory: CompiledMemory
    paths: Tensor
    cache: Cache = field(repr=False)
    used: int
    order: Tensor | None = None

    def select(self, rows: Tensor) -> Self:
        """See :meth:`DecoderState.select`."""
        order = rows if self.order is None else self.order.index_select(0, rows)
        return type(self)(self.memory, self.paths, self.cache, self.used, order)


class CompiledTransformer(CompiledModel[CompiledState]):
    """Made from a model or from its packed copy, none of which it keeps.

    Args:
        model: in evaluation mode, on the CPU.
        stored: its weights, if it is an outline.
    """

    def __init__(self, model: TransformerModel, *, stored: Weights | None = None) -> None:
        self.config: TransformerConfig = model.config
        self._learned = model.config.positions == "learned"
        config, matrices = model.config, Matrices(stored)
        output = matrices.of(model.output)
        target = output if config.tie_output else matrices.of(model.target_embedding)
        source = target if config.share_embeddings else matrices.of(model.source_embedding)
        encoder = [cast(EncoderLayer, layer) for layer in model.encoder]
        decoder = [cast(DecoderLayer, layer) for layer in model.decoder]
        first = config.norm == "pre"
        self._encoder: list[Packed] = []
        for one in encoder:
            self._encoder += [
                *_projections(one.self_attention, matrices),
                *_feed_forward(one, matrices),
                matrices.norms(one.self_norm, one.feed_norm),
            ]
        self._encoder += [matrices.norms(model.encoder_norm)] if first else []
        self._decoder: list[Packed] = []
        for layer in decoder:
            self._decoder += [
                *_projections(layer.self_attention, matrices),
                matrices.of(layer.cross_attention.project_query),
                matrices.of(layer.cross_attention.project_out),
                *_feed_forward(layer, matrices),
                matrices.norms(layer.self_norm, layer.cross_norm, layer.feed_norm),
            ]
        self._decoder += [matrices.norms(model.decoder_norm)] if first else []
        self._decoder.append(output)
        self._memory = [matrices.of(layer.cross_attention.project_memory) for layer in decoder]
        self._tables = source, target
        if self._learned:
            self._positions = [
                matrices.floats(table) for table in (model.source_positions, model.target_positions)
            ]
        else:
            table = model.position_table
            self._positions = [self._sinusoids(len(table)) if table.is_meta else table] * 2
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

    @property
    def tensors(self) -> list[Tensor]:
        """All weights and tables; tied ones more than once."""
        return [*self._encoder, *self._decoder, *self._memory, *self._tables, *self._positions]

    def encode(self, source: Tensor, source_mask: Tensor) -> CompiledMemory:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.encode`."""
        starts = torch.zeros(len(source) + 1, dtype=torch.int64)
        torch.cumsum(source_mask.sum(1), 0, out=starts[1:])
        table, positions = self._tables[0], self._placed(0, source.shape[1])
        states = torch.ops.seq2seq.encode_transformer(
            source[source_mask], starts, self._plans[0], [table, positions, *self._encoder]
        )
        pairs = tuple(linear(states, matrix) for matrix in self._memory)
        return CompiledMemory(mask=source_mask, starts=starts, pairs=pairs)

    def start(self, memory: CompiledMemory) -> CompiledState:
        """See :meth:`seq2seq.nn.model.Seq2SeqModel.start`."""
        rows = len(memory.mask)
        return CompiledState(
            memory=memory,
            paths=torch.arange(rows, dtype=torch.int32)[:, None],
            cache=Cache(2 * self.config.d_model * self.config.decoder_layers),
            used=0,
        )

    def _step(
        self, tokens: Tensor, state: CompiledState, count: int, comparison: Comparison
    ) -> Made[CompiledState]:
        """See :class:`CompiledModel`."""
        memory, cache, paths, used = state.memory, state.cache, state.paths, state.used
        order, rows = state.order, tokens.shape[0]
        if not cache.append(used, rows):
            chosen = paths if order is None else paths.index_select(0, order)
            cache, entries = cache.copy(chosen[:, 1:], rows)
            paths, order = torch.cat((chosen[:, :1], entries), 1), None
            used = cache.used
            cache.append(used, rows)
        if order is not None:
            order = order.to(torch.int64).contiguous()
        positions = self._placed(1, paths.shape[1])
        *found, attention, paths = torch.ops.seq2seq.step_transformer(
            tokens.contiguous(),
            cache.entries,
            used,
            paths,
            order,
            memory.starts,
            memory.mask.shape[1],
            count,
            *comparison,
            memory.pairs,
            self._plans[1],
            [self._tables[1], positions, *self._decoder],
        )
        after = CompiledState(memory, paths, cache, used + rows)
        return Made(found, attention, after)

    def _placed(self, side: int, length: int) -> Tensor:
        """A table of at least ``length`` positions."""
        table = self._positions[side]
        if length <= table.shape[0]:
            return table
        if self._learned:
            raise ValueError(
                f"a sequence of {length} pieces is longer than the {len(table)} positions "
                "that this model has learned"
            )
        self._positions[side] = self._sinusoids(2 * length)
        return self._positions[side]

    def _sinusoids(self, length: int) -> Tensor:
        halves = self.config.positions == "sinusoidal-halves"
        return sinusoids(length, self.config.d_model, halves=halves)


def _projections(attention: SelfAttention, matrices: Matrices) -> list[Packed]:
    return [matrices.of(attention.project_in), matrices.of(attention.project_out)]


def _feed_forward(layer: EncoderLayer | DecoderLayer, matrices: Matrices) -> list[Packed]:
    return [matrices.of(layer.feed_forward.inner), matrices.of(layer.feed_forward.outer)]
