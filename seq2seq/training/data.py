"""Sentence pairs as memory-mapped ids, and batches of similar lengths.

A dataset folder, written by ``prepare``, holds flat arrays of 16-bit ids with offsets, so
that training needs no text library and starts at once whatever the size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from seq2seq.config import ConfigError

__all__ = [
    "Batch",
    "ParallelIds",
    "dev_split",
    "make_batch",
    "plan_batches",
    "train_split",
    "write_ids",
]


def dev_split(direction: tuple[str, str]) -> str:
    """Name of the arrays that hold the dev pairs of a direction."""
    return "dev.{}-{}".format(*direction)


def train_split(variant: int) -> str:
    """Name of the arrays that hold the training pairs, cut in one of several ways."""
    return f"train.{variant}"


def write_ids(folder: Path, name: str, sequences: Sequence[Sequence[int]]) -> None:
    """Write ``NAME.ids.npy`` (uint16, all sequences end to end) and ``NAME.offsets.npy``."""
    offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
    offsets[1:] = np.cumsum([len(sequence) for sequence in sequences])
    flat = np.empty(int(offsets[-1]), dtype=np.uint16)
    for sequence, start in zip(sequences, offsets, strict=False):
        flat[start : start + len(sequence)] = sequence
    np.save(folder / f"{name}.ids.npy", flat, allow_pickle=False)
    np.save(folder / f"{name}.offsets.npy", offsets, allow_pickle=False)


@dataclass(frozen=True)
class ParallelIds:
    """Pairs of id sequences, both ending with end-of-sentence, read from disk as needed.

    Attributes:
        source, target: flat ids (uint16), memory-mapped.
        source_offsets, target_offsets: where each sequence starts, one more than pairs.
    """

    source: np.ndarray
    target: np.ndarray
    source_offsets: np.ndarray
    target_offsets: np.ndarray

    @classmethod
    def open(cls, folder: Path, name: str) -> Self:
        """Open the arrays ``NAME.source.*`` and ``NAME.target.*`` of a dataset folder.

        Raises:
            ConfigError: a file is missing or damaged, or the sides differ in length.
        """
        arrays = []
        for side in ("source", "target"):
            for kind in ("ids", "offsets"):
                path = folder / f"{name}.{side}.{kind}.npy"
                try:
                    large = kind == "ids" and path.stat().st_size > 4096
                    arrays.append(
                        np.load(path, mmap_mode="r" if large else None, allow_pickle=False)
                    )
                except (OSError, ValueError, EOFError) as error:
                    raise ConfigError(
                        f"{path}: cannot be read ({error}); run prepare again"
                    ) from error
        source, source_offsets, target, target_offsets = arrays
        good = len(source_offsets) == len(target_offsets) and len(source_offsets) > 0
        if not good or source_offsets[-1] != len(source) or target_offsets[-1] != len(target):
            raise ConfigError(f"{folder}: the arrays of {name!r} do not fit; run prepare again")
        return cls(source, target, source_offsets, target_offsets)

    def __len__(self) -> int:
        return len(self.source_offsets) - 1

    @property
    def source_lengths(self) -> np.ndarray:
        """Pieces per source sentence."""
        return np.diff(self.source_offsets)

    @property
    def target_lengths(self) -> np.ndarray:
        """Pieces per target sentence."""
        return np.diff(self.target_offsets)

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Source and target ids of one pair."""
        s, t = self.source_offsets, self.target_offsets
        return self.source[s[index] : s[index + 1]], self.target[t[index] : t[index + 1]]


@dataclass(frozen=True)
class Batch:
    """Padded tensors of one batch, int64.

    Attributes:
        source: (rows, S).
        target_in: (rows, T), begins with bos.
        target_out: (rows, T), ends with eos: what ``target_in`` shall predict.
        tokens: target pieces that are not padding.
    """

    source: Tensor
    target_in: Tensor
    target_out: Tensor
    tokens: int

    def to(self, device: torch.device) -> Batch:
        """Move all tensors."""
        if device.type == "cpu":
            return self

        def move(x: Tensor) -> Tensor:
            return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x

        return Batch(
            source=move(self.source).to(device),
            target_in=move(self.target_in).to(device),
            target_out=move(self.target_out).to(device),
            tokens=self.tokens,
        )


def make_batch(data: ParallelIds, rows: Sequence[int], *, pad: int, bos: int) -> Batch:
    """Gather pairs ``rows`` into padded tensors."""
    pairs = [data.pair(row) for row in rows]
    longest_source = max(len(source) for source, _ in pairs)
    longest_target = max(len(target) for _, target in pairs)
    source = np.full((len(pairs), longest_source), pad, dtype=np.int64)
    target_out = np.full((len(pairs), longest_target), pad, dtype=np.int64)
    target_in = np.full((len(pairs), longest_target), pad, dtype=np.int64)
    target_in[:, 0] = bos
    for row, (source_ids, target_ids) in enumerate(pairs):
        source[row, : len(source_ids)] = source_ids
        target_out[row, : len(target_ids)] = target_ids
        target_in[row, 1 : len(target_ids)] = target_ids[:-1]
    return Batch(
        source=torch.from_numpy(source),
        target_in=torch.from_numpy(target_in),
        target_out=torch.from_numpy(target_out),
        tokens=sum(len(target) for _, target in pairs),
    )


def plan_batches(
    source_lengths: np.ndarray, target_lengths: np.ndarray, *, tokens: int, seed: int, epoch: int
) -> list[np.ndarray]:
    """Cut one epoch into batches of pairs of similar length, in a random order.

    Pairs are shuffled, then sorted by length within a coarse grid, so that batches differ from
    epoch to epoch; a batch holds at most ``tokens`` positions on its longer side, padding
    included (one pair at least). The plan depends on nothing but the arguments: a resumed
    training finds the same batches.
    """
    random = np.random.default_rng((seed, epoch))
    shuffled = random.permutation(len(target_lengths))
    # A little noise on the lengths mixes neighbours without adding much padding.
    noise = random.uniform(0, 1.5, size=len(shuffled))
    longer = np.maximum(source_lengths, target_lengths)
    key = target_lengths[shuffled] + noise
    order = shuffled[np.lexsort((source_lengths[shuffled], np.floor(key)))]
    batches = list(_cut(order, longer, tokens))
    return [batches[i] for i in random.permutation(len(batches))]


def _cut(order: np.ndarray, lengths: np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    start, longest = 0, 0
    for position, row in enumerate(order):
        longest_with = max(longest, int(lengths[row]))
        if position > start and longest_with * (position - start + 1) > tokens:
            yield order[start:position]
            start, longest_with = position, int(lengths[row])
        longest = longest_with
    if start < len(order):
        yield order[start:]
