"""Encoders and steps of decoders, each made by one operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seq2seq.kernels import calls
from seq2seq.kernels.calls import address, integers, record
from seq2seq.kernels.packing import Packed
from seq2seq.kernels.reading import NOTHING, Compared, Comparing, Largest, memory_for

__all__ = [
    "Side",
    "Step",
    "encode_transformer",
    "read_layer",
    "step_recurrent",
    "step_transformer",
]


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
            self.largest, places = memory_for(rows, count)
            self.record = (*places, count)
        else:
            self.logits = np.empty((rows, size), dtype=np.float32)
            self.record = address(self.logits), 0, 0, 0


_encode = record(6)


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
    calls.run("encode_transformer", _encode(*places))
    return pairs


_step_transformer = record(15 + 4 + 10)


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
    calls.run(
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


_read_layer = record(11)


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
    calls.run(
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


_step_recurrent = record(14 + 4 + 10)


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
    calls.run(
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
