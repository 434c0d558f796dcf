"""Ids on disk and the plan of batches."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.config import ConfigError
from seq2seq.training.data import ParallelIds, make_batch, plan_batches, write_ids

LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=80)


def write(folder: Path, sources: list[list[int]], targets: list[list[int]]) -> ParallelIds:
    write_ids(folder, "train.source", sources)
    write_ids(folder, "train.target", targets)
    return ParallelIds.open(folder, "train")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    sources = [[5, 6, 2], [7, 2], [60000, 8, 9, 2]]
    targets = [[10, 2], [11, 12, 13, 2], [2]]
    data = write(tmp_path, sources, targets)
    assert len(data) == 3
    for row in range(3):
        source, target = data.pair(row)
        assert source.tolist() == sources[row]
        assert target.tolist() == targets[row]
    assert data.source_lengths.tolist() == [3, 2, 4]
    assert data.target_lengths.tolist() == [2, 4, 1]


def test_batch_is_padded_and_shifted(tmp_path: Path) -> None:
    data = write(tmp_path, [[5, 6, 2], [7, 2]], [[10, 2], [11, 12, 13, 2]])
    batch = make_batch(data, [1, 0], pad=0, bos=1)
    assert batch.source.tolist() == [[7, 2, 0], [5, 6, 2]]
    assert batch.target_in.tolist() == [[1, 11, 12, 13], [1, 10, 0, 0]]
    assert batch.target_out.tolist() == [[11, 12, 13, 2], [10, 2, 0, 0]]
    assert batch.tokens == 6


@settings(deadline=None, max_examples=60)
@given(lengths=LENGTHS, tokens=st.integers(1, 300), epoch=st.integers(0, 5))
def test_plan_covers_every_pair_once_within_the_limit(
    lengths: list[tuple[int, int]], tokens: int, epoch: int
) -> None:
    source, target = (np.array(side) for side in zip(*lengths, strict=True))
    plan = plan_batches(source, target, tokens=tokens, seed=1, epoch=epoch)
    assert sorted(int(row) for rows in plan for row in rows) == list(range(len(lengths)))
    longer = np.maximum(source, target)
    for rows in plan:
        assert len(rows) == 1 or len(rows) * longer[rows].max() <= tokens
    again = plan_batches(source, target, tokens=tokens, seed=1, epoch=epoch)
    assert all(np.array_equal(a, b) for a, b in zip(plan, again, strict=True))


def test_epochs_differ_and_padding_is_small() -> None:
    random = np.random.default_rng(0)
    source = random.integers(3, 30, size=4000)
    target = np.maximum(1, source + random.integers(-2, 3, size=4000))
    first = plan_batches(source, target, tokens=1000, seed=1, epoch=0)
    second = plan_batches(source, target, tokens=1000, seed=1, epoch=1)
    assert [r.tolist() for r in first] != [r.tolist() for r in second]
    padded = sum(len(rows) * target[rows].max() for rows in first)
    assert target.sum() / padded > 0.9


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run prepare"):
        ParallelIds.open(tmp_path, "train")
    write(tmp_path, [[5, 2]], [[6, 2]])
    write_ids(tmp_path, "train.target", [[6, 2], [7, 2]])
    with pytest.raises(ConfigError, match="do not fit"):
        ParallelIds.open(tmp_path, "train")
    (tmp_path / "train.source.ids.npy").write_bytes(b"not an array")
    with pytest.raises(ConfigError, match=r"train\.source\.ids"):
        ParallelIds.open(tmp_path, "train")
