"""The Transformer (Vaswani 2017): encoder, decoder, and the model of contract 1.

Shapes: ``rows`` sentences, ``S`` source pieces, ``T`` target pieces, ``W`` = ``d_model``,
``H`` heads of width ``D`` = ``W / H``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq import parameters
from seq2seq.config import TransformerConfig
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.model import (
    DecoderState,
    Memory,
    Seq2SeqModel,
    StepOutput,
    register,
)
from seq2seq.nn.multihead import CrossAttention, SelfAttention

__all__ = ["DecoderLayer", "EncoderLayer", "TransformerMemory", "TransformerModel", "sinusoids"]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "swish": F.silu,
}


_LONGEST = 1026
"""Positions of the longest output of a search, start and end included."""


@dataclass(frozen=True)
class TransformerMemory(Memory):
    """Keys and values of the source for every decoder layer, each (rows, H, S, D)."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


@dataclass(frozen=True)
class TransformerState(DecoderState):
    """Keys and values of the target so far for every decoder layer, each (rows, H, t, D)."""

    memory: TransformerMemory
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


def _tracing() -> bool:
    """Whether the step is made one unit: with sequences that the tables are long enough for."""
    return bool(torch._C._get_tracing_state())


def sinusoids(length: int, width: int, *, halves: bool = False) -> Tensor:
    """See :func:`seq2seq.parameters.sinusoids`."""
    if torch.get_default_device().type == "meta":  # the shape is all that is asked for
        return torch.empty(length, width)
    return torch.from_numpy(parameters.sinusoids(length, width, halves=halves))


class FeedForward(nn.Module):
    """Two linear layers with a non-linearity between them, at every position (eq. 2)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.d_model, config.feed_forward_size)
        self.outer = nn.Linear(config.feed_forward_size, config.d_model)
        self.activation = _ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout)
        for layer in (self.inner, self.outer):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., W) to (..., W)."""
        return self.dropout(self.outer(self.activation(self.inner(x))))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each with a residual connection and a layer norm."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm_first = config.norm == "pre"
        self.self_attention = SelfAttention(config.d_model, config.heads, dropout=config.dropout)
        self.feed_forward = FeedForward(config)
        self.self_norm = nn.LayerNorm(config.d_model)
        self.feed_norm = nn.LayerNorm(config.d_model)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """``x`` (rows, S, W); ``allowed`` broadcastable to (rows, H, S, S)."""
        if self.norm_first:
            x = x + self.self_attention(self.self_norm(x), allowed)
            return x + self.feed_forward(self.feed_norm(x))
        x = self.self_norm(x + self.self_attention(x, allowed))
        return self.feed_norm(x + self.feed_forward(x))


class DecoderLayer(nn.Module):
    """Self-attention, attention over the source, feed-forward; residuals and norms."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm_first = config.norm == "pre"
        self.self_attention = SelfAttention(config.d_model, config.heads, dropout=config.dropout)
        self.cross_attention = CrossAttention(config.d_model, config.heads, dropout=config.dropout)
        self.feed_forward = FeedForward(config)
        self.self_norm = nn.LayerNorm(config.d_model)
        self.cross_norm = nn.LayerNorm(config.d_model)
        self.feed_norm = nn.LayerNorm(config.d_model)

    def forward(
        self, x: Tensor, key: Tensor, value: Tensor, *, causal: Tensor, allowed: Tensor
    ) -> Tensor:
        """All positions at once.

        Args:
            x: (rows, T, W).
            key, value: of the source, (rows, H, S, D).
            causal: (T, T) bool, True where a position may look.
            allowed: (rows, 1, 1, S) bool, True at source pieces.
        """
        if self.norm_first:
            x = x + self.self_attention(self.self_norm(x), causal)
            x = x + self.cross_attention(self.cross_norm(x), key, value, allowed)
            return x + self.feed_forward(self.feed_norm(x))
        x = self.self_norm(x + self.self_attention(x, causal))
        x = self.cross_norm(x + self.cross_attention(x, key, value, allowed))
        return self.feed_norm(x + self.feed_forward(x))

    def step(
        self, x: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One position.

        Args:
            x: (rows, W).
            key, value: of the source, (rows, H, S, D).
            keys, values: of the earlier target positions, (rows, H, t, D).
            hidden: (rows, 1, S) bool, True at padding.

        Returns:
            Output (rows, W), attention over the source (rows, H, S), and the target's keys
            and values with this position added.
        """
        before = self.self_norm(x) if self.norm_first else x
        update, keys, values = self.self_attention.step(before, keys, values)
        x = x + update if self.norm_first else self.self_norm(x + update)
        before = self.cross_norm(x) if self.norm_first else x
        update, weights = self.cross_attention.step(before, key, value, hidden)
        x = x + update if self.norm_first else self.cross_norm(x + update)
        if self.norm_first:
            x = x + self.feed_forward(self.feed_norm(x))
        else:
            x = self.feed_norm(x + self.feed_forward(x))
        return x, weights, keys, values


@register("transformer")
class TransformerModel(Seq2SeqModel[TransformerMemory, TransformerState]):
    """Transformer encoder-decoder with the options of :class:`TransformerConfig`."""

    config: TransformerConfig
    position_table: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        width = config.d_model
        self.source_embedding = nn.Embedding(config.source_vocabulary, width)
        self.target_embedding = (
            self.source_embedding
            if config.share_embeddings
            else nn.Embedding(config.target_vocabulary, width)
        )
        self.output = nn.Linear(width, config.target_vocabulary, bias=config.output_bias)
        for table in (self.source_embedding, self.target_embedding, self.output):
            nn.init.normal_(table.weight, std=width**-0.5)
        if config.output_bias:
            nn.init.zeros_(self.output.bias)
        if config.positions == "learned":
            self.source_positions = nn.Parameter(torch.empty(config.max_positions, width))
            self.target_positions = nn.Parameter(torch.empty(config.max_positions, width))
            nn.init.normal_(self.source_positions, std=0.02)
            nn.init.normal_(self.target_positions, std=0.02)
        else:
            self.register_buffer("position_table", torch.empty(0), persistent=False)
        self.dropout = Dropout(config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        pre = config.norm == "pre"
        self.encoder_norm = nn.LayerNorm(width) if pre else nn.Identity()
        self.decoder_norm = nn.LayerNorm(width) if pre else nn.Identity()
        self.settle()

    def settle(self) -> None:
        """Tie what is tied and compute what is not stored; after weights were exchanged, too."""
        config = self.config
        if config.share_embeddings:
            self.target_embedding = self.source_embedding
        if config.tie_output:
            self.output.weight = self.target_embedding.weight
        if config.positions != "learned":
            length = max(config.max_positions, _LONGEST)
            self.position_table = sinusoids(length, config.d_model, halves=self._halves)

    def encode(self, source: Tensor, source_mask: Tensor) -> TransformerMemory:
        """See :meth:`Seq2SeqModel.encode`."""
        x = self.encoder_states(source, source_mask)
        pairs = [layer.cross_attention.memory(x) for layer in self._decoder_layers]
        return TransformerMemory(
            mask=source_mask,
            keys=tuple(key for key, _ in pairs),
            values=tuple(value for _, value in pairs),
        )

    def encoder_states(self, source: Tensor, source_mask: Tensor) -> Tensor:
        """The encoder's output (rows, S, W); arguments as in :meth:`encode`."""
        x = self._embed(source, "source", start=0)
        allowed = source_mask[:, None, None, :]
        for layer in cast(Iterable[EncoderLayer], self.encoder):
            x = layer(x, allowed)
        normed: Tensor = self.encoder_norm(x)
        return normed

    def start(self, memory: TransformerMemory) -> TransformerState:
        """See :meth:`Seq2SeqModel.start`."""
        empty = tuple(key[:, :, :0] for key in memory.keys)
        return TransformerState(memory=memory, keys=empty, values=empty)

    def step(self, tokens: Tensor, state: TransformerState) -> StepOutput[TransformerState]:
        """See :meth:`Seq2SeqModel.step`."""
        memory = state.memory
        hidden = ~memory.mask[:, None, :]
        x = self._embed(tokens[:, None], "target", start=state.keys[0].shape[2])[:, 0]
        attention, keys, values = [], [], []
        for n, layer in enumerate(self._decoder_layers):
            x, weights, key, value = layer.step(
                x, memory.keys[n], memory.values[n], state.keys[n], state.values[n], hidden
            )
            attention.append(weights)
            keys.append(key)
            values.append(value)
        logits = self.project(self.decoder_norm(x))
        grown = TransformerState(memory=memory, keys=tuple(keys), values=tuple(values))
        return StepOutput(logits=logits, attention=torch.stack(attention, dim=1), state=grown)

    def hidden(self, memory: TransformerMemory, target_in: Tensor) -> Tensor:
        """See :meth:`Seq2SeqModel.hidden`."""
        length = target_in.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=target_in.device).tril()
        allowed = memory.mask[:, None, None, :]
        x = self._embed(target_in, "target", start=0)
        for n, layer in enumerate(self._decoder_layers):
            x = layer(x, memory.keys[n], memory.values[n], causal=causal, allowed=allowed)
        normed: Tensor = self.decoder_norm(x)
        return normed

    def project(self, hidden: Tensor) -> Tensor:
        """See :meth:`Seq2SeqModel.project`."""
        logits: Tensor = self.output(hidden)
        return logits

    @property
    def _halves(self) -> bool:
        return self.config.positions == "sinusoidal-halves"

    @property
    def _decoder_layers(self) -> Iterable[DecoderLayer]:
        return cast(Iterable[DecoderLayer], self.decoder)

    def _embed(self, ids: Tensor, side: str, *, start: int) -> Tensor:
        """(rows, T) ids to (rows, T, W), positions counted from ``start``."""
        table = self.source_embedding if side == "source" else self.target_embedding
        x = table(ids)
        if self.config.scale_embeddings:
            x = x * math.sqrt(self.config.d_model)
        if self.config.zero_start and side == "target":
            x = x * (ids != self.config.bos_id)[..., None]
        end = start + ids.shape[1]
        return self.dropout(x + self._positions(side, start, end).to(x.dtype))

    def _positions(self, side: str, start: int, end: int) -> Tensor:
        """Rows ``start`` to ``end`` of the position table."""
        if self.config.positions == "learned":
            table = self.source_positions if side == "source" else self.target_positions
            if not _tracing() and end > len(table):
                raise ValueError(
                    f"a sequence of {end} pieces is longer than the {len(table)} positions "
                    "that this model has learned"
                )
            return table[start:end]
        if not _tracing() and end > len(self.position_table):  # computed when needed
            longer = sinusoids(end, self.config.d_model, halves=self._halves)
            return longer[start:].to(self.position_table.device)
        return self.position_table[start:end]
