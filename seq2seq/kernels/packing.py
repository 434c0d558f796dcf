"""Matrices of 8-bit weights as the operators read them, and what is computed with one of them."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterable, Sequence

import numpy as np

from seq2seq.kernels import calls
from seq2seq.kernels.calls import address, integers, record
from seq2seq.kernels.library import opened

__all__ = ["Arena", "Packed", "linear", "lookup", "pack_rows", "packed", "shape"]

Packed = np.ndarray
"""A matrix of 8-bit weights with its scales and biases, in bytes."""

_LINE = 64  # bytes that the processor reads at once
_HEADER = 8  # bytes of the header that tell outputs and inputs


class Arena:
    """Memory for the matrices of a model, all in one, in large pages where the system has such.

    A step reads all of it, from one end to the other; small pages cost as much as the reading.

    Args:
        shapes: outputs and inputs of each matrix that will be asked for.
    """

    def __init__(self, shapes: Iterable[tuple[int, int]]) -> None:
        bytes_of = opened().seq2seq_bytes
        size = sum(bytes_of(out, width) + _LINE for out, width in shapes)
        memory = mmap.mmap(-1, max(size, _LINE), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):
                memory.madvise(mmap.MADV_HUGEPAGE)
        self._memory = np.frombuffer(memory, dtype=np.uint8)
        self._used = 0

    def packed(self, out: int, width: int) -> Packed:
        """A matrix of zeros, to be filled by :func:`pack_rows`.

        Raises:
            ValueError: there is no room left.
        """
        size = opened().seq2seq_bytes(out, width)
        matrix = self._memory[self._used : self._used + size]
        if len(matrix) < size:
            raise ValueError(f"no room for a matrix ({out}, {width})")
        self._used += -(-size // _LINE) * _LINE
        matrix[:_HEADER] = np.array([out, width], dtype=np.int32).view(np.uint8)
        return matrix


def packed(out: int, width: int) -> Packed:
    """A matrix of zeros alone in its memory."""
    return Arena([(out, width)]).packed(out, width)


def shape(matrix: Packed) -> tuple[int, int]:
    """Outputs and inputs of a matrix."""
    out, width = matrix[:_HEADER].view(np.int32).tolist()
    return out, width


_pack = record(8)


def pack_rows(
    matrix: Packed, values: np.ndarray, scale: np.ndarray, bias: np.ndarray | None, *, first: int
) -> None:
    """Fill rows of a matrix, from the first one on without a gap.

    Args:
        matrix: from :func:`packed`.
        values: (rows, in) int8.
        scale: (rows,), of each row.
        bias: (rows,), or None.
        first: number of the first row.
    """
    out, width = shape(matrix)
    rows = len(values)
    several = (scale,) if bias is None else (scale, bias)
    if any(one.shape != (rows,) for one in several):
        raise ValueError(f"{rows} rows with scales or biases of other rows")
    if values.shape != (rows, width) or first < 0 or first + rows > out:
        raise ValueError(f"rows {values.shape} from {first} for a matrix ({out}, {width})")
    values = np.ascontiguousarray(values, dtype=np.int8)
    scale = np.ascontiguousarray(scale, dtype=np.float32)
    if bias is not None:
        bias = np.ascontiguousarray(bias, dtype=np.float32)
    ends = 0 if bias is None else address(bias)
    places = address(matrix), out, width, first, rows, address(values), address(scale), ends
    calls.run("pack", _pack(*places))


_linear = record(4)


def linear(x: np.ndarray, matrix: Packed) -> np.ndarray:
    """Products (..., out) of (..., in), fp32."""
    out, width = shape(matrix)
    x = np.ascontiguousarray(x, dtype=np.float32)
    if x.shape[-1] != width:
        raise ValueError(f"{x.shape[-1]} numbers for a matrix of {width} inputs")
    y = np.empty((*x.shape[:-1], out), dtype=np.float32)
    calls.run("linear", _linear(address(y), address(x), x.size // width, address(matrix)))
    return y


_lookup = record(4)


def lookup(ids: Sequence[int] | np.ndarray, matrix: Packed) -> np.ndarray:
    """Rows (..., in) of a table, fp32.

    Raises:
        RuntimeError: there is no such row.
    """
    ids = integers(ids)
    x = np.empty((*ids.shape, shape(matrix)[1]), dtype=np.float32)
    calls.run("lookup", _lookup(address(x), address(ids), ids.size, address(matrix)))
    return x
