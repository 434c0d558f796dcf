"""Scaled dot-product attention in several heads (Vaswani 2017, section 3.2).

Shapes: ``rows`` sentences, ``H`` heads of width ``D``, ``T`` queries, ``S`` keys.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.nn.dropout import Dropout

__all__ = [
    "CrossAttention",
    "SelfAttention",
    "attend",
    "attend_one",
    "merge_heads",
    "split_heads",
]


def attend(
    query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Attention of every query over every key, ``softmax(Q K^T / sqrt(D)) V`` (eq. 1).

    Args:
        query: (rows, H, T, D).
        key, value: (rows, H, S, D).
        allowed: bool, broadcastable to (rows, H, T, S), True where a query may look; every
            query must see at least one key. None allows all.

    Returns:
        The context (rows, H, T, D) and the weights (rows, H, T, S), exactly 0 where not allowed.
    """
    scores = (query * (1 / math.sqrt(query.shape[-1]))) @ key.transpose(-1, -2)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, float("-inf"))
    weights = scores.softmax(dim=-1)
    return weights @ value, weights


def attend_one(
    query: Tensor, key: Tensor, value: Tensor, *, hidden: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """:func:`attend` of a single query, in as few operators as there can be.

    Args:
        query: (rows, H, D).
        key, value: (rows, H, S, D).
        hidden: bool, broadcastable to (rows, H, S), True where a query may not look.
        scale: 1 / sqrt(D).

    Returns:
        The context (rows, H * D) and the weights (rows, H, S).
    """
    rows, heads, width = query.shape
    key, value = key.flatten(0, 1), value.flatten(0, 1)
    scores = torch.bmm((query * scale).view(rows * heads, 1, width), key.transpose(1, 2))
    scores = scores.view(rows, heads, -1)
    if hidden is not None:
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = scores.softmax(dim=-1)
    context = torch.bmm(weights.view(rows * heads, 1, -1), value)
    return context.view(rows, heads * width), weights


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(rows, T, H * D) to (rows, H, T, D)."""
    rows, length, width = x.shape
    return x.view(rows, length, heads, width // heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(rows, H, T, D) to (rows, T, H * D)."""
    rows, heads, length, width = x.shape
    return x.transpose(1, 2).reshape(rows, length, heads * width)


def _context(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None) -> Tensor:
    """:func:`attend` without the weights: fused on a GPU, plain products elsewhere.

    On a CPU the fused kernel's backward pass is slower than the plain matrix products.
    """
    if query.is_cuda:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    return attend(query, key, value, allowed)[0]


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence over itself; one product projects all three parts.

    Args:
        width: of the model.
        heads: divides ``width``.
        dropout: on the output.
    """

    def __init__(self, width: int, heads: int, *, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)
        for part in self.project_in.weight.chunk(3):
            nn.init.xavier_uniform_(part)
        nn.init.xavier_uniform_(self.project_out.weight)
        nn.init.zeros_(self.project_in.bias)
        nn.init.zeros_(self.project_out.bias)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """All positions at once: ``x`` (rows, T, width), ``allowed`` as in :func:`attend`."""
        query, key, value = self.heads_of(x)
        context = _context(query, key, value, allowed)
        return self.dropout(self.project_out(merge_heads(context)))

    def heads_of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of ``x`` (rows, T, width), each (rows, H, T, D)."""
        query, key, value = self.project_in(x).chunk(3, dim=-1)
        return (
            split_heads(query, self.heads),
            split_heads(key, self.heads),
            split_heads(value, self.heads),
        )

    def step(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One more position.

        Args:
            x: (rows, width).
            keys, values: (rows, H, t, D), those of the earlier positions.

        Returns:
            The output (rows, width) and keys and values with this position added.
        """
        rows, width = x.shape
        parts = self.project_in(x).view(rows, 3, self.heads, 1, width // self.heads)
        query, key, value = parts.unbind(1)
        keys, values = torch.cat((keys, key), dim=2), torch.cat((values, value), dim=2)
        context, _ = attend_one(query[:, :, 0], keys, values, hidden=None, scale=self.scale)
        return self.dropout(self.project_out(context)), keys, values


class CrossAttention(nn.Module):
    """Multi-head attention of the target over the source.

    Args:
        width: of the model.
        heads: divides ``width``.
        dropout: on the output.
    """

    def __init__(self, width: int, heads: int, *, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.project_query = nn.Linear(width, width)
        self.project_memory = nn.Linear(width, 2 * width)
        self.project_out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)
        for part in (self.project_query.weight, *self.project_memory.weight.chunk(2)):
            nn.init.xavier_uniform_(part)
        nn.init.xavier_uniform_(self.project_out.weight)
        for layer in (self.project_query, self.project_memory, self.project_out):
            nn.init.zeros_(layer.bias)

    def memory(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (rows, H, S, D) of the encoder's output (rows, S, width)."""
        key, value = self.project_memory(encoded).chunk(2, dim=-1)
        # Laid out anew once, so that no step has to.
        return (
            split_heads(key, self.heads).contiguous(),
            split_heads(value, self.heads).contiguous(),
        )

    def forward(self, x: Tensor, key: Tensor, value: Tensor, allowed: Tensor) -> Tensor:
        """``x`` (rows, T, width) over keys and values from :meth:`memory`."""
        query = split_heads(self.project_query(x), self.heads)
        context = _context(query, key, value, allowed)
        return self.dropout(self.project_out(merge_heads(context)))

    def step(self, x: Tensor, key: Tensor, value: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The same for one position (rows, width), and the weights (rows, H, S).

        ``hidden`` is as in :func:`attend_one`.
        """
        rows, width = x.shape
        query = self.project_query(x).view(rows, self.heads, width // self.heads)
        context, weights = attend_one(query, key, value, hidden=hidden, scale=self.scale)
        return self.dropout(self.project_out(context)), weights
