"""Matrices as the operators of :mod:`seq2seq.kernels` read them, from weights by name."""

from __future__ import annotations

import numpy as np

from seq2seq.kernels.packing import Arena, Packed, pack_rows
from seq2seq.parameters import Shape, Weights

__all__ = ["AT_ONCE", "Matrices", "quantise"]

AT_ONCE = 2**20
"""Weights that stand in memory as fp32 while they are quantised."""


def quantise(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (rows, in) as int8 in -127..127, and scales (rows,): ``weight = q * scale``."""
    largest = np.maximum(rows.max(1), -rows.min(1))
    scale = np.maximum(largest / np.float32(127), np.finfo(np.float32).tiny)
    levels = rows / scale[:, None]
    np.rint(levels, out=levels)
    return np.clip(levels, -127, 127, out=levels).astype(np.int8), scale


class Matrices:
    """Packs matrices; each once.

    Args:
        weights: where they are.
        shapes: of all parameters.
    """

    def __init__(self, weights: Weights, shapes: dict[str, Shape]) -> None:
        self._weights = weights
        self._shapes = shapes
        matrices = [shape for shape in shapes.values() if len(shape) == 2]
        self._arena = Arena((shape[0], shape[1]) for shape in matrices)
        self._known: dict[str, Packed] = {}

    def of(self, weight: str, bias: str | None = None) -> Packed:
        """Of a matrix and its bias; a bias that the model does not have is none."""
        if weight not in self._known:
            self._known[weight] = self._pack(weight, bias)
        return self._known[weight]

    def linear(self, layer: str) -> Packed:
        """Of a linear layer."""
        return self.of(f"{layer}.weight", f"{layer}.bias")

    def recurrent(self, layer: str) -> tuple[Packed, Packed]:
        """The input's and the recurrent matrix of a recurrent layer."""
        return (
            self.of(f"{layer}.rnn.weight_ih_l0", f"{layer}.rnn.bias_ih_l0"),
            self.of(f"{layer}.rnn.weight_hh_l0", f"{layer}.rnn.bias_hh_l0"),
        )

    def floats(self, name: str) -> np.ndarray:
        """What is not packed, in fp32."""
        return np.ascontiguousarray(self._weights.read(name), dtype=np.float32)

    def norms(self, *layers: str) -> np.ndarray:
        """Gains and biases (layers, 2, width)."""
        parts = [[self.floats(f"{one}.weight"), self.floats(f"{one}.bias")] for one in layers]
        return np.array(parts, dtype=np.float32)

    def _pack(self, weight: str, bias: str | None) -> Packed:
        out, width = self._shapes[weight]
        matrix = self._arena.packed(out, width)
        offsets = self.floats(bias) if bias in self._shapes else None
        first = 0
        for rows, scales in self._weights.read_rows(weight, at_once=AT_ONCE):
            values, scale = quantise(rows) if scales is None else (rows, scales)
            end = first + len(values)
            own = None if offsets is None else offsets[first:end]
            pack_rows(matrix, values, scale, own, first=first)
            first = end
        return matrix
