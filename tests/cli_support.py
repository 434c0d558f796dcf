"""What a command gives, and how one is started in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from seq2seq.catalogue import FOLDER_VARIABLE

ROOT = Path(__file__).resolve().parents[1]


class Result(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Result]


def environment(models: Path) -> dict[str, str]:
    return {
        **os.environ,
        FOLDER_VARIABLE: str(models),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def refused(result: Result, *, status: int = 2) -> str:
    """The error is one line, nothing went to stdout, and the status says whose fault it was."""
    assert result.status == status, result
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert result.err.startswith("seq2seq: error: ")
    assert "Traceback" not in result.err
    return result.err.removeprefix("seq2seq: error: ").rstrip("\n")
