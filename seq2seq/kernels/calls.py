"""How the operators are called: with one record of addresses and numbers each.

They run without Python's lock, see ``source/operators.cpp``. What is passed by address must be
contiguous and of the type that is said, and must live until the function returns.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seq2seq.kernels.library import opened

__all__ = ["address", "integers", "record", "run"]

_Start = ctypes.c_char * 0


def address(array: np.ndarray) -> int:
    """Where an array's numbers are.

    Raises:
        ValueError: not one after another.
    """
    lent: Any = array  # a Buffer only from Python 3.12 on, for the type checker
    try:
        return ctypes.addressof(_Start.from_buffer(lent))
    except TypeError:  # may only be read, so that ctypes does not lend it; this takes longer
        if not array.flags.c_contiguous:
            raise ValueError(f"an array {array.shape} with gaps cannot be passed on") from None
        where: int = array.__array_interface__["data"][0]
        return where


def integers(numbers: Sequence[int] | Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    """An array of int64."""
    return np.ascontiguousarray(numbers, dtype=np.int64)


def run(name: str, fields: bytes) -> None:
    """Call an operator.

    Raises:
        RuntimeError: what it says is wrong.
    """
    library = opened()
    if getattr(library, f"seq2seq_{name}")(fields):
        raise RuntimeError(library.seq2seq_error().decode(errors="replace"))


def record(count: int) -> Callable[..., bytes]:
    """Make a record of so many numbers and addresses."""
    return struct.Struct(f"={count}q").pack
