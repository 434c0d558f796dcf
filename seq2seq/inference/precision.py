"""Number formats that a model can run in on a CPU."""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch

from seq2seq.inference.int8 import Int8Linear

__all__ = ["Precision", "available", "choose"]

Precision = Literal["int8", "fp32"]


@cache
def available() -> tuple[Precision, ...]:
    """The formats that this machine and this PyTorch can run, the fastest first."""
    ones = torch.ones(1, 4)
    try:
        works = torch.allclose(Int8Linear(torch.eye(4), None)(ones), ones, atol=0.05)
    except (RuntimeError, AttributeError, NotImplementedError):
        works = False
    return ("int8", "fp32") if works else ("fp32",)


def choose(wanted: Precision | None) -> Precision:
    """``wanted`` if this machine has it, else the fastest that it has."""
    return wanted if wanted in available() else available()[0]
