"""Number formats that a model can run in on a CPU."""

from __future__ import annotations

from functools import cache
from typing import Literal

from seq2seq import kernels

__all__ = ["Precision", "available", "choose"]

Precision = Literal["int8", "fp32"]


def available() -> tuple[Precision, ...]:
    """The formats that this machine can run, the fastest first."""
    return ("int8", "fp32") if kernels.load() or _pytorch_multiplies() else ("fp32",)


def choose(wanted: Precision | None) -> Precision:
    """``wanted`` if this machine has it, else the fastest that it has."""
    return wanted if wanted in available() else available()[0]


@cache
def _pytorch_multiplies() -> bool:
    """Whether PyTorch has products of 8 bits here."""
    import torch  # noqa: PLC0415  (asked only where our own operators are not built)

    from seq2seq.inference.int8 import Int8Linear  # noqa: PLC0415

    ones = torch.ones(1, 4)
    try:
        return torch.allclose(Int8Linear(torch.eye(4), None)(ones), ones, atol=0.05)
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
