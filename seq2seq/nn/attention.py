"""The attention of recurrent models: one head, over the encoder's states.

Every attention here has ``keys``, called once per source sentence, and ``forward``, called per
step or for all steps at once. Shapes: ``rows`` sentences, ``S`` source pieces, ``T`` queries.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["AdditiveAttention", "DotAttention", "GeneralAttention", "masked_softmax"]


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax of scores (rows, T, S) over the pieces where ``mask`` (rows, S) is True.

    Each row sums to 1 and is exactly 0 where the mask is False (Bahdanau 2015, eq. 6).
    """
    return scores.masked_fill(~mask[:, None, :], float("-inf")).softmax(dim=-1)


class AdditiveAttention(nn.Module):
    """``e_ij = v^T tanh(W s_{i-1} + U h_j)`` (Bahdanau 2015, appendix A.1.2).

    Args:
        query_size: width of the decoder's state ``s``.
        value_size: width of the encoder's states ``h``.
        size: width of the alignment model.
    """

    def __init__(self, query_size: int, value_size: int, *, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, size, bias=False)
        self.key = nn.Linear(value_size, size)
        self.score = nn.Linear(size, 1, bias=False)
        for layer in (self.query, self.key, self.score):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.key.bias)

    def keys(self, values: Tensor) -> Tensor:
        """``U h_j`` for all j, which no step needs to compute again: (rows, S, size)."""
        keys: Tensor = self.key(values)
        return keys

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Contexts ``c_i = sum_j a_ij h_j`` (eq. 5) and weights ``a`` (eq. 6).

        Args:
            query: (rows, T, query_size).
            keys: from :meth:`keys`.
            values: (rows, S, value_size).
            mask: (rows, S) bool.

        Returns:
            (rows, T, value_size) and (rows, T, S).
        """
        compared = torch.tanh(self.query(query)[:, :, None, :] + keys[:, None, :, :])
        weights = masked_softmax(self.score(compared)[..., 0], mask)
        return weights @ values, weights


class DotAttention(nn.Module):
    """``score(h_t, h_s) = h_t^T h_s`` (Luong 2015, eq. 8, dot)."""

    def keys(self, values: Tensor) -> Tensor:
        """The encoder's states themselves, (rows, S, query_size)."""
        return values

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Contexts and weights (eq. 7); arguments as in :class:`AdditiveAttention`."""
        weights = masked_softmax(query @ keys.transpose(1, 2), mask)
        return weights @ values, weights


class GeneralAttention(DotAttention):
    """``score(h_t, h_s) = h_t^T W_a h_s`` (Luong 2015, eq. 8, general).

    Args:
        query_size: width of the decoder's state.
        value_size: width of the encoder's states.
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(value_size, query_size, bias=False)
        nn.init.xavier_uniform_(self.key.weight)

    def keys(self, values: Tensor) -> Tensor:
        """``W_a h_s`` for all s: (rows, S, query_size)."""
        keys: Tensor = self.key(values)
        return keys
