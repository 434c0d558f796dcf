"""The contract that every architecture keeps, and the registry that builds them.

Training is written against this file alone, and so is what stands between a search and a model
that runs on PyTorch: nobody asks which architecture it holds.

Shapes: ``rows`` is the batch (or batch times beam), ``S`` source pieces, ``T`` target pieces,
``V`` the target vocabulary. Masks are True where a token stands.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import torch
from torch import Tensor, nn

from seq2seq.config import AttentionLayout, ConfigError, ModelConfig

__all__ = [
    "DecoderState",
    "Memory",
    "Seq2SeqModel",
    "StepOutput",
    "build_model",
    "register",
]


def _select(value: Any, rows: Tensor) -> Any:
    """Pick rows from a tensor, or from every tensor inside a tuple or dataclass."""
    if isinstance(value, Tensor):
        return value.index_select(0, rows)
    if isinstance(value, tuple):
        return tuple(_select(item, rows) for item in value)
    if isinstance(value, _Rows):
        return value.select(rows)
    return value


class _Rows:
    """A frozen dataclass of batch-first tensors whose rows can be picked."""

    def select(self, rows: Tensor) -> Self:
        """Return the same object with ``rows`` (int64, any order, repeats allowed)."""
        changed = {
            f.name: _select(getattr(self, f.name), rows)
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
        }
        return dataclasses.replace(self, **changed)  # type: ignore[type-var]


@dataclass(frozen=True)
class Memory(_Rows):
    """Everything the decoder reads from the source, projected once per sentence.

    Attributes:
        mask: (rows, S) bool, True where a source piece stands. Architectures subclass this
            and add their own tensors, rows first.
        sentence: (rows,) int64, the encoded sentence that each row holds; None straight after
            encoding, when row n holds sentence n.
    """

    mask: Tensor
    sentence: Tensor | None = dataclasses.field(default=None, kw_only=True)

    def select(self, rows: Tensor) -> Self:
        """Return the memory with ``rows``.

        Rows of one sentence are equal, so nothing is copied when every row keeps its sentence,
        as in most steps of a beam search.
        """
        if self.sentence is None:
            return dataclasses.replace(super().select(rows), sentence=rows)
        if torch.equal(self.sentence.index_select(0, rows), self.sentence):
            return self
        return super().select(rows)


@dataclass(frozen=True)
class DecoderState(_Rows):
    """What one decoding step hands to the next; subclasses add tensors, rows first."""


StateT = TypeVar("StateT", bound=DecoderState)
MemoryT = TypeVar("MemoryT", bound=Memory)


class StepOutput(NamedTuple, Generic[StateT]):
    """What one step of the decoder gives.

    Attributes:
        logits: (rows, V), unnormalised scores of the next piece.
        attention: (rows, layers, heads, S): each head's row sums to 1 and is exactly 0 on
            padding; None for a model without attention.
        state: input of the next step.
    """

    logits: Tensor
    attention: Tensor | None
    state: StateT


class Seq2SeqModel(nn.Module, ABC, Generic[MemoryT, StateT]):
    """A conditional language model of the target given the source.

    Subclasses implement :meth:`encode`, :meth:`start`, :meth:`step`, :meth:`hidden` and
    :meth:`project`; ``step`` repeated and ``forward`` at once give the same logits.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def attention_layout(self) -> AttentionLayout | None:
        """Layers and heads of the attention, or None for a model without attention."""
        return self.config.attention_layout

    def settle(self) -> None:
        """Compute what is not stored, after weights were exchanged."""

    @abstractmethod
    def encode(self, source: Tensor, source_mask: Tensor) -> MemoryT:
        """Read the source once.

        Args:
            source: (rows, S) int64, padded on the right.
            source_mask: (rows, S) bool, True where a piece stands; no row may be empty.
        """

    @abstractmethod
    def start(self, memory: MemoryT) -> StateT:
        """State before the first step, one row per row of ``memory``."""

    @abstractmethod
    def step(self, tokens: Tensor, state: StateT) -> StepOutput[StateT]:
        """Advance every row by one piece; never recomputes earlier steps.

        Args:
            tokens: (rows,) int64, the previous piece of each row (bos at first).
            state: of the same rows.
        """

    @abstractmethod
    def hidden(self, memory: MemoryT, target_in: Tensor) -> Tensor:
        """Teacher forcing up to the output layer: (rows, T, width) for :meth:`project`."""

    @abstractmethod
    def project(self, hidden: Tensor) -> Tensor:
        """Output layer: (..., width) to logits (..., V)."""

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        """Teacher forcing.

        Args:
            source: (rows, S) int64, padded with ``config.pad_id``.
            target_in: (rows, T) int64, begins with bos, padded likewise.

        Returns:
            Logits (rows, T, V) of the piece that follows each position.
        """
        memory = self.encode(source, source != self.config.pad_id)
        return self.project(self.hidden(memory, target_in))

    @property
    def parameter_count(self) -> int:
        """Number of trainable parameters, tied ones counted once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return next(chain(self.parameters(), self.buffers())).device


AnyModel = Seq2SeqModel[Any, Any]
_Builder = Callable[[Any], AnyModel]


class _Registry:
    builders: ClassVar[dict[str, _Builder]] = {}


def register(architecture: str) -> Callable[[_Builder], _Builder]:
    """Class decorator: make an architecture known to :func:`build_model` by its name."""

    def add(builder: _Builder) -> _Builder:
        _Registry.builders[architecture] = builder
        return builder

    return add


def build_model(config: ModelConfig) -> AnyModel:
    """Build a freshly initialised model of the architecture that ``config`` names."""
    try:
        builder = _Registry.builders[config.architecture]
    except KeyError:
        known = ", ".join(sorted(_Registry.builders))
        raise ConfigError(f"architecture {config.architecture!r} is not one of {known}") from None
    return builder(config)
