"""Threads are as many as there is work for at the same time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seq2seq.kernels import processors


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight processors, two of each core, and no container."""
    for number in range(8):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{number % 4},{number % 4 + 4}\n")
    monkeypatch.setattr(processors, "_CPUS", tmp_path)
    monkeypatch.setattr(processors, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path


def test_cores_count_not_threads(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert processors.own_processors() == 4
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 6}, raising=False)
    assert processors.own_processors() == 2


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 4), ("200000 100000", 2), ("50000 100000", 1), ("900000 100000", 4), ("?", 4)],
)
def test_a_container_may_have_less(machine: Path, quota: str, expected: int) -> None:
    (machine / "cpu.max").write_text(quota + "\n")
    assert processors.own_processors() == expected


@pytest.mark.parametrize(
    ("said", "expected"), [("3", 3), ("2,4", 2), ("0", 4), ("many", 4), ("", 4)]
)
def test_what_is_said_counts(
    machine: Path, monkeypatch: pytest.MonkeyPatch, said: str, expected: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert processors.own_processors() == expected


def test_a_machine_that_says_nothing(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_CPUS", machine / "none")
    assert processors.own_processors() == 8
