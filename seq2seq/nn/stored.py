"""Weights that are not in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

__all__ = ["Weights"]


class Weights(Protocol):
    """Gives the parameters of an outline, a model without memory for them."""

    def read(self, parameter: Tensor) -> Tensor:
        """A parameter in fp32."""

    def read_rows(self, parameter: Tensor, *, at_once: int) -> Iterator[Tensor]:
        """The same, a few rows after the other: some ``at_once`` numbers."""

    def read_int8(self, parameter: Tensor) -> tuple[Tensor, Tensor] | None:
        """A matrix in 8 bits with scales, if it is stored so."""
