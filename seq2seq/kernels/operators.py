"""The operators, called with arrays.

Every function of the library takes one record of addresses and numbers, see
``source/operators.cpp``; it runs without Python's lock. What is passed by address must be
contiguous and of the type that is said, and must live until the function returns.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from seq2seq.kernels.library import opened

__all__ = [
    "NOTHING",
    "Arena",
    "Compared",
    "Comparing",
    "Comparison",
    "Largest",
    "Packed",
    "Side",
    "address",
    "encode_transformer",
    "integers",
    "largest",
    "linear",
    "lookup",
    "pack_rows",
    "packed",
    "propose",
    "read_layer",
    "step_recurrent",
    "step_transformer",
]

Packed = np.ndarray
"""A matrix of 8-bit weights with its scales and biases, in bytes."""

_LINE = 64  # bytes that the processor reads at once
_Start = ctypes.c_char * 0
_HEADER = 8  # bytes of the header that tell outputs and inputs


def address(array: np.ndarray) -> int:
    """Where an array's numbers are."""
    lent: Any = array  # a Buffer only from Python 3.12 on, for the type checker
    try:
        return ctypes.addressof(_Start.from_buffer(lent))
    except TypeError:  # may only be read, so that ctypes does not lend it; this takes longer
        where: int = array.__array_interface__["data"][0]
        return where


def integers(numbers: Sequence[int] | Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    """An array of int64."""
    return np.ascontiguousarray(numbers, dtype=np.int64)


def _run(name: str, record: bytes) -> None:
    """Call an operator.

    Raises:
        RuntimeError: what it says is wrong.
    """
    library = opened()
    if getattr(library, f"seq2seq_{name}")(record):
        raise RuntimeError(library.seq2seq_error().decode(errors="replace"))


def _numbers(count: int) -> Callable[..., bytes]:
    """Make a record of so many numbers and addresses."""
    return struct.Struct(f"={count}q").pack


# --- Matrices ---------------------------------------------------------------------------------


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


_pack = _numbers(8)


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
    _run("pack", _pack(*places))


_linear = _numbers(4)


def linear(x: np.ndarray, matrix: Packed) -> np.ndarray:
    """Products (..., out) of (..., in), fp32."""
    out, width = shape(matrix)
    x = np.ascontiguousarray(x, dtype=np.float32)
    if x.shape[-1] != width:
        raise ValueError(f"{x.shape[-1]} numbers for a matrix of {width} inputs")
    y = np.empty((*x.shape[:-1], out), dtype=np.float32)
    _run("linear", _linear(address(y), address(x), x.size // width, address(matrix)))
    return y


_lookup = _numbers(4)


def lookup(ids: Sequence[int] | np.ndarray, matrix: Packed) -> np.ndarray:
    """Rows (..., in) of a table, fp32.

    Raises:
        RuntimeError: there is no such row.
    """
    ids = integers(ids)
    x = np.empty((*ids.shape, shape(matrix)[1]), dtype=np.float32)
    _run("lookup", _lookup(address(x), address(ids), ids.size, address(matrix)))
    return x


# --- What a search reads ----------------------------------------------------------------------


class Compared(NamedTuple):
    """The best continuations of every sentence, best first.

    Attributes:
        found: (sentences, 3, wanted) rows within the sentence (-1: none), pieces and ranks.
        scores: (sentences, wanted) log-probabilities.
        finite: whether all logits were numbers; if not, nothing was compared.
    """

    found: np.ndarray
    scores: np.ndarray
    finite: bool


class Comparison(NamedTuple):
    """Which continuations of several sentences' hypotheses are the best.

    Attributes:
        bases: for every row the cumulative score that its pieces add to.
        bounds: rows at which sentences begin, and the number of rows.
        barred: pieces that may not follow: of one row after the other, or the same for all.
        ends: where those of each row end in ``barred``; empty if they are the same for all.
        wanted: continuations per sentence.
    """

    bases: Sequence[float]
    bounds: Sequence[int]
    barred: Sequence[int]
    ends: Sequence[int]
    wanted: int


class Comparing:
    """A comparison as an operator reads it; holds what it points to.

    Args:
        comparison: what is to be compared.
    """

    def __init__(self, comparison: Comparison) -> None:
        bases, bounds, barred, ends, wanted = comparison
        sentences = len(bounds) - 1
        # Everything in one piece of memory each: a step makes this anew.
        self._bases = np.array(bases, dtype=np.float64)
        self._numbers = np.array([*bounds, *barred, *ends], dtype=np.int64)
        self._found = np.empty(sentences * 3 * wanted + 1, dtype=np.int64)
        self._scores = np.empty((sentences, wanted), dtype=np.float32)
        self._shape = sentences, 3, wanted
        start, size = address(self._numbers), 8
        behind = start + size * (len(bounds) + len(barred))
        found = address(self._found)
        self.record = (
            address(self._bases),
            start,
            sentences,
            start + size * len(bounds),
            len(barred),
            behind if ends else 0,
            wanted,
            found + size,
            found,
            address(self._scores),
        )

    def result(self) -> Compared:
        """After the operator has run."""
        finite = bool(self._found[0])
        return Compared(self._found[1:].reshape(self._shape), self._scores, finite)


NOTHING = (0,) * 10
"""The record where nothing is to be compared."""


class Largest(NamedTuple):
    """The most probable pieces.

    Attributes:
        log_probabilities: (rows, count) float32 in falling order, the first of equal ones first;
            of a row whose logits are not all numbers, none is one.
        tokens: (rows, count) int64.
        entropies: (rows,) of the whole distributions, in nats; the operators always tell, others
            may leave them out where nobody asked.
    """

    log_probabilities: np.ndarray
    tokens: np.ndarray
    entropies: np.ndarray | None


def _largest_of(rows: int, count: int) -> tuple[Largest, tuple[int, int, int]]:
    """Memory for them, and where it is."""
    values = np.empty((rows, count), dtype=np.float32)
    tokens = np.empty((rows, count), dtype=np.int64)
    entropies = np.empty(rows, dtype=np.float32)
    places = address(values), address(tokens), address(entropies)
    return Largest(values, tokens, entropies), places


_read = _numbers(7)


def largest(logits: np.ndarray, count: int) -> Largest:
    """The ``count`` most probable pieces of every row of logits (rows, V)."""
    logits = np.ascontiguousarray(logits, dtype=np.float32)
    rows, size = logits.shape
    found, places = _largest_of(rows, count)
    _run("largest", _read(address(logits), rows, size, *places, count))
    return found


_propose = _numbers(13)


def propose(values: np.ndarray, tokens: np.ndarray, comparing: Comparing) -> Compared:
    """The best continuations.

    Args:
        values: (rows, count) log-probabilities, falling.
        tokens: the pieces they belong to.
        comparing: what is to be compared.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    tokens = integers(tokens)
    width = values.shape[1]
    _run("propose", _propose(address(values), address(tokens), width, *comparing.record))
    return comparing.result()


# --- Models -----------------------------------------------------------------------------------


class Side:
    """One side of a model, as the operators read it.

    Args:
        plan: what holds for all layers, at most 8 numbers.
        weights: in the operator's order.
    """

    _PLAN = 8

    def __init__(self, plan: Sequence[int], weights: Sequence[np.ndarray]) -> None:
        self._weights = tuple(weights)  # they live as long as this
        size = sum(weight.nbytes for weight in weights)
        rest = [0] * (self._PLAN - len(plan))
        self._record = integers([size, *plan, *rest, *map(address, weights)])
        self.address = address(self._record)


class Step(NamedTuple):
    """What a step gives.

    Attributes:
        logits: (rows, V), if no number of pieces was said.
        largest: else the most probable pieces.
        compared: what came of a comparison, if there was one.
        attention: (rows, layers, heads, S).
    """

    logits: np.ndarray | None
    largest: Largest | None
    compared: Compared | None
    attention: np.ndarray


class _Readout:
    """Memory for what a step reads off its logits."""

    def __init__(self, rows: int, size: int, count: int) -> None:
        self.logits: np.ndarray | None = None
        self.largest: Largest | None = None
        if count:
            self.largest, places = _largest_of(rows, count)
            self.record = (*places, count)
        else:
            self.logits = np.empty((rows, size), dtype=np.float32)
            self.record = address(self.logits), 0, 0, 0


_encode = _numbers(6)


def encode_transformer(
    side: Side, pieces: np.ndarray, starts: np.ndarray, *, layers: int, width: int
) -> np.ndarray:
    """Keys and values (layers, pieces, 2 * width) of the source for every decoder layer.

    Args:
        side: the encoder, and after it the matrices of the memory.
        pieces: (pieces,) int64, all sentences one after another.
        starts: (sentences + 1,) int64, where each begins.
        layers: of the decoder.
        width: of the model.
    """
    pairs = np.empty((layers, len(pieces), 2 * width), dtype=np.float32)
    places = side.address, *map(address, (pairs, pieces, starts)), len(starts) - 1, layers
    _run("encode_transformer", _encode(*places))
    return pairs


_step_transformer = _numbers(15 + 4 + 10)


def step_transformer(
    side: Side,
    tokens: np.ndarray,
    *,
    cache: np.ndarray,
    used: int,
    paths: np.ndarray,
    order: np.ndarray | None,
    starts: np.ndarray,
    source: int,
    pairs: np.ndarray,
    layers: int,
    heads: int,
    size: int,
    count: int,
    comparing: Comparing | None,
) -> tuple[Step, np.ndarray]:
    """One step, and the next one's paths (rows, length + 2).

    Args:
        side: the decoder.
        tokens: (rows,) int64.
        cache: (entries, layers * 2 * width); entry ``used + n`` becomes that of row n.
        used: entries that are taken.
        paths: (rows before, length + 1) int32, a row's sentence and entries of its pieces.
        order: (rows,) int64, the row of ``paths`` that each row grew from; None if they are the
            same.
        starts: as in :func:`encode_transformer`.
        source: pieces of the longest sentence.
        pairs: from :func:`encode_transformer`.
        layers, heads, size: of the decoder and its vocabulary.
        count: pieces that are wanted per row; 0 for all logits.
        comparing: what is to be compared, or None.
    """
    rows = len(tokens)
    before, width = paths.shape
    if (order is None and before != rows) or (order is not None and len(order) != rows):
        raise RuntimeError(f"an order of other rows than the {rows} tokens'")
    longer = np.empty((rows, width + 1), dtype=np.int32)
    attention = np.empty((rows, layers, heads, source), dtype=np.float32)
    readout = _Readout(rows, size, count)
    _run(
        "step_transformer",
        _step_transformer(
            side.address,
            address(tokens),
            rows,
            address(cache),
            used,
            address(paths),
            before,
            width - 1,
            0 if order is None else address(order),
            address(longer),
            address(starts),
            source,
            address(pairs),
            pairs.shape[1],
            address(attention),
            *readout.record,
            *(NOTHING if comparing is None else comparing.record),
        ),
    )
    compared = None if comparing is None else comparing.result()
    return Step(readout.logits, readout.largest, compared, attention), longer


_read_layer = _numbers(11)


def read_layer(
    states: np.ndarray,
    hidden: np.ndarray,
    cell: np.ndarray | None,
    x: np.ndarray,
    lengths: np.ndarray,
    *,
    offset: int,
    backward: bool,
    matrices: tuple[Packed, Packed],
) -> None:
    """One layer of an encoder in one direction, over right-padded rows.

    Args:
        states: (rows, S, stride), of which it writes numbers from ``offset`` on.
        hidden, cell: (rows, size), become the state after the last piece.
        x: (rows, S, width).
        lengths: (rows,) int64.
        offset: see ``states``.
        backward: from right to left.
        matrices: the input's and the recurrent one.
    """
    rows, length, _ = x.shape
    _run(
        "read_layer",
        _read_layer(
            address(states) + offset * states.itemsize,
            states.shape[2],
            address(hidden),
            0 if cell is None else address(cell),
            address(x),
            rows,
            length,
            address(lengths),
            int(backward),
            *map(address, matrices),
        ),
    )


_step_recurrent = _numbers(14 + 4 + 10)


def step_recurrent(
    side: Side,
    tokens: np.ndarray,
    *,
    hidden: np.ndarray,
    cell: np.ndarray | None,
    feed: np.ndarray | None,
    sentence: np.ndarray,
    lengths: np.ndarray,
    keys: np.ndarray | None,
    values: np.ndarray | None,
    size: int,
    count: int,
    comparing: Comparing | None,
) -> Step:
    """One step.

    Args:
        side: the decoder.
        tokens: (rows,) int64.
        hidden, cell, feed: (rows, ...), become the next.
        sentence: (rows,) int64, the sentence of each row.
        lengths: (sentences,) int64.
        keys, values: (sentences, S, width); None without attention.
        size: of the vocabulary.
        count, comparing: as in :func:`step_transformer`.
    """

    def place(array: np.ndarray | None) -> int:
        return 0 if array is None else address(array)

    def last(array: np.ndarray | None, axis: int) -> int:
        return 0 if array is None else array.shape[axis]

    rows, source = len(tokens), last(keys, 1)
    if len(sentence) != rows or len(hidden) != rows:
        raise RuntimeError(f"a state of other rows than the {rows} tokens'")
    attention = np.empty((rows, 1, 1, source), dtype=np.float32)
    readout = _Readout(rows, size, count)
    _run(
        "step_recurrent",
        _step_recurrent(
            side.address,
            address(tokens),
            rows,
            address(hidden),
            place(cell),
            place(feed),
            address(sentence),
            address(lengths),
            source,
            place(keys),
            place(values),
            last(keys, 2),
            last(values, 2),
            address(attention),
            *readout.record,
            *(NOTHING if comparing is None else comparing.record),
        ),
    )
    compared = None if comparing is None else comparing.result()
    return Step(readout.logits, readout.largest, compared, attention)
