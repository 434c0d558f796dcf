"""Matrices as the operators of :mod:`seq2seq.kernels` read them."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from seq2seq.inference.int8 import AT_ONCE, Int8Embedding, Int8Linear, quantise, quantise_parts
from seq2seq.inference.recurrent import Int8RecurrentLayer
from seq2seq.nn.cells import RecurrentLayer
from seq2seq.nn.stored import Weights

__all__ = ["Matrices", "Packed", "linear"]

Packed = Tensor
"""A matrix with its scales and biases in one tensor of bytes."""


class Matrices:
    """Packs the matrices of modules, plain ones or those of 8 bits; equal ones once.

    Args:
        stored: where the weights are, if the modules have none.
    """

    def __init__(self, stored: Weights | None = None) -> None:
        self._stored = stored
        self._known: dict[tuple[int, int], Packed] = {}
        self._keep: list[Tensor] = []  # so that no id is given twice

    def of(self, module: nn.Module) -> Packed:
        """Of a linear layer or a table."""
        if isinstance(module, nn.Linear):
            return self._pack(module.weight, module.bias)
        if isinstance(module, nn.Embedding):
            return self._pack(module.weight, None)
        if isinstance(module, Int8Linear):
            return _pack(*module.unpacked(), module.bias)
        table = cast(Int8Embedding, module)
        return _pack(table.values, table.scale, None)

    def of_layer(self, layer: RecurrentLayer) -> tuple[Packed, Packed]:
        """The input's and the recurrent matrix."""
        if isinstance(layer, Int8RecurrentLayer):
            return self.of(layer.input), self.of(layer.recurrent)
        input_matrix, recurrent_matrix, input_bias, recurrent_bias = layer.weights
        return self._pack(input_matrix, input_bias), self._pack(recurrent_matrix, recurrent_bias)

    def floats(self, parameter: Tensor) -> Tensor:
        """What is not packed, in fp32."""
        value = parameter if self._stored is None else self._stored.read(parameter)
        return value.detach().float().contiguous()

    def norms(self, *layers: Any) -> Tensor:
        """Gains and biases (layers, 2, width)."""
        parts = [self.floats(one) for layer in layers for one in (layer.weight, layer.bias)]
        return torch.stack(parts).view(len(layers), 2, -1)

    def _pack(self, weight: Tensor, bias: Tensor | None) -> Packed:
        key = id(weight), id(bias)
        if key not in self._known:
            values, scale = self._quantised(weight)
            self._known[key] = _pack(values, scale, None if bias is None else self.floats(bias))
            self._keep += [weight] if bias is None else [weight, bias]
        return self._known[key]

    def _quantised(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        if self._stored is None:
            return quantise(self.floats(weight))
        if found := self._stored.read_int8(weight):
            return found
        shape = weight.shape[0], weight.shape[1]
        return quantise_parts(self._stored.read_rows(weight, at_once=AT_ONCE), shape)


def _pack(values: Tensor, scale: Tensor, bias: Tensor | None) -> Packed:
    bias = None if bias is None else bias.detach().float().contiguous()
    packed: Packed = torch.ops.seq2seq.pack(values.contiguous(), scale.float().contiguous(), bias)
    return packed


def linear(x: Tensor, matrix: Packed) -> Tensor:
    """(..., in) to (..., out), as :class:`Int8Linear`."""
    flat = x.reshape(-1, x.shape[-1]).contiguous()
    product: Tensor = torch.ops.seq2seq.linear(flat, matrix)
    return product.view(*x.shape[:-1], -1)
