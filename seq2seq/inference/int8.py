"""Matrix products with weights of 8 bits and inputs quantised as they come.

A weight is ``q * scale`` with one scale per output, as in our int8 checkpoints, which therefore
lose nothing more. Inputs get one scale per row, so that no row's result depends on the rows beside
it: a sentence is translated in a batch as it is alone. (PyTorch's own dynamic product has one scale
for all rows; this takes 3 microseconds longer and is as exact or better.)
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.inference import matrices

__all__ = ["Int8Embedding", "Int8Linear", "quantise", "without_notes"]

_ENGINE = "fbgemm"
_lock = threading.Lock()


@contextmanager
def without_notes() -> Iterator[None]:
    """Without PyTorch's notes that int8 tensors and tracing will have successors one day.

    Both serve where :mod:`seq2seq.kernels` cannot be built. Their successors are no match yet, on
    torch 2.13: for one row ``torch.ops.onednn.qlinear_pointwise`` takes at least 1.5 times as long
    as the operator used here, and a step under ``torch.compile`` twice as long, after tens of
    seconds and with a compiler at hand, too.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (out, in) as int8 in -127..127, and scales (out,): ``weight = q * scale``."""
    values, scale = matrices.quantise(weight.numpy())
    return torch.from_numpy(values), torch.from_numpy(scale)


class Int8Linear(nn.Module):
    """As ``nn.Linear``, from its weights.

    Args:
        weight: (out, in).
        bias: (out,) or None.
    """

    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        values, scale = quantise(weight.detach().float())
        self.register_buffer("bias", None if bias is None else bias.detach().float())
        self.packed_bytes = values.numel() + 8 * len(scale)
        self.packed = _pack(values, scale)
        self.levels = _levels()

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), fp32."""
        # A row of zeros becomes one of undefined numbers, whose finite product is multiplied by 0.
        largest = x.abs().amax(-1, keepdim=True)
        product = _product(x / largest, self.packed, levels=self.levels)
        return (
            product * largest if self.bias is None else torch.addcmul(self.bias, product, largest)
        )

    def unpacked(self) -> tuple[Tensor, Tensor]:
        """Weights (out, in) as int8, and scales (out,); see :func:`quantise`."""
        with _lock, without_notes():
            weight, _ = torch.ops.quantized.linear_unpack(self.packed)
        return weight.int_repr(), weight.q_per_channel_scales().float()


class Int8Embedding(nn.Module):
    """As ``nn.Embedding``: a quarter of its memory."""

    values: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        values, scale = quantise(weight.detach().float())
        self.register_buffer("values", values)
        self.register_buffer("scale", scale)

    def unpacked(self) -> tuple[Tensor, Tensor]:
        """As :meth:`Int8Linear.unpacked`."""
        return self.values, self.scale

    def forward(self, ids: Tensor) -> Tensor:
        """Rows of the table, fp32."""
        return F.embedding(ids, self.values).float() * self.scale[ids][..., None]


def _product(x: Tensor, packed: Any, *, levels: int) -> Tensor:
    """``x`` (..., in), all in -1..1 and cut into ``levels`` a side, times packed weights."""
    product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
        x, 1 / levels, levels + 1, packed
    )
    return product


@cache
def _levels() -> int:
    """127, or 63 on a processor that adds up pairs of products in 16 bits (one without VNNI)."""
    size = 64
    packed = _pack(torch.full((1, size), 127, dtype=torch.int8), torch.full((1,), 1 / 127))
    found = float(_product(torch.ones(1, size), packed, levels=127))
    return 127 if abs(found - size) < 0.01 * size else 63


def _pack(values: Tensor, scale: Tensor) -> Any:
    zeros = torch.zeros(len(scale), dtype=torch.int64)
    with _lock, without_notes():
        before = torch.backends.quantized.engine
        torch.backends.quantized.engine = _ENGINE  # chooses the layout; the product follows it
        try:
            weight = torch._make_per_channel_quantized_tensor(values, scale.double(), zeros, 0)
            return torch.ops.quantized.linear_prepack(weight, None)
        finally:
            torch.backends.quantized.engine = before
