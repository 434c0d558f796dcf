"""Models that run on PyTorch, as a search sees them: numbers come from the host and go there.

All that a step gives travels from the device in one transfer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from seq2seq import kernels
from seq2seq.config import AttentionLayout, ModelConfig
from seq2seq.decoding.model import Choices, Comparison, Largest, StepLogits
from seq2seq.decoding.readout import largest
from seq2seq.nn.model import StepOutput

__all__ = ["HostedModel", "HostedState", "to_host"]


class _Form(Protocol):
    """What runs; see :class:`seq2seq.nn.model.Seq2SeqModel`."""

    @property
    def config(self) -> ModelConfig: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def attention_layout(self) -> AttentionLayout | None: ...

    def encode(self, source: Tensor, source_mask: Tensor) -> Any: ...

    def start(self, memory: Any) -> Any: ...

    def step(self, tokens: Tensor, state: Any) -> StepOutput[Any]: ...


@dataclass(frozen=True)
class HostedState:
    """A decoder's state on the device."""

    inner: Any
    device: torch.device

    def select(self, rows: Sequence[int]) -> Self:
        """See :meth:`SearchState.select`."""
        with torch.inference_mode():
            return type(self)(self.inner.select(_vector(rows, self.device)), self.device)


class HostedModel:
    """A :class:`SearchModel` on PyTorch.

    Args:
        form: in evaluation mode, on its device and in its number format.
        forward: makes logits of known targets at once, see :meth:`Seq2SeqModel.forward`; None to
            make them step by step.
    """

    def __init__(
        self, form: _Form, *, forward: Callable[[Tensor, Tensor], Tensor] | None = None
    ) -> None:
        self._form = form
        self._forward = forward
        self.config = form.config
        self.attention_layout = form.attention_layout

    def encode(self, sources: Sequence[Sequence[int]]) -> Any:
        """See :meth:`SearchModel.encode`."""
        with torch.inference_mode():
            source = self._padded(sources)
            memory = self._form.encode(source, source != self.config.pad_id)
            if source.device.type == "cuda":  # so that its time is told apart
                torch.cuda.synchronize(source.device)
            return memory

    def start(self, memory: Any) -> HostedState:
        """See :meth:`SearchModel.start`."""
        with torch.inference_mode():
            return HostedState(self._form.start(memory), self._form.device)

    def step(
        self, tokens: Sequence[int], state: HostedState, *, attention: bool = True
    ) -> StepLogits:
        """See :meth:`SearchModel.step`."""
        with torch.inference_mode():
            output = self._form.step(_vector(tokens, state.device), state.inner)
            logits, shown = to_host([output.logits, output.attention if attention else None])
            assert logits is not None  # noqa: S101  (for the type checker)
        return StepLogits(logits, shown, HostedState(output.state, state.device))

    def choose(
        self,
        tokens: Sequence[int],
        state: HostedState,
        *,
        count: int,
        entropy: bool = False,
        attention: bool = True,
        comparison: Comparison | None = None,
    ) -> Choices:
        """See :meth:`SearchModel.choose`; on a device of its own it chooses there."""
        if state.device.type == "cpu" and kernels.loaded():
            logits, shown, after = self.step(tokens, state, attention=attention)
            return Choices(largest(logits, count, entropy=entropy), shown, after)
        with torch.inference_mode():
            output = self._form.step(_vector(tokens, state.device), state.inner)
            raw = torch.log_softmax(output.logits, dim=-1, dtype=torch.float32)
            best, pieces = raw.topk(count, dim=-1)
            # p log p of an impossible piece is 0, not 0 times infinity.
            spread = -(raw.exp() * raw.clamp_min(-1e30)).sum(-1) if entropy else None
            looks = output.attention if attention else None
            values, ids, entropies, shown = to_host([best, pieces, spread, looks])
            assert values is not None and ids is not None  # noqa: PT018, S101
        # Copies: a trace keeps them, and need not keep the attention that came along.
        found = Largest(values.copy(), ids.astype(np.int64), entropies)
        return Choices(found, shown, HostedState(output.state, state.device))

    def score(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Log-probability of every target piece, given the source and the pieces before it.

        Args:
            sources, targets: ids of one pair each; targets without bos.
        """
        with torch.inference_mode():
            wanted = self._padded(targets)
            start = torch.full_like(wanted[:, :1], self.config.bos_id)
            target_in = torch.cat([start, wanted[:, :-1]], dim=1)
            logits = (self._forward or self._by_steps)(self._padded(sources), target_in)
            logs = logits.float().log_softmax(dim=-1)
            found = logs.gather(-1, wanted.unsqueeze(-1)).squeeze(-1).tolist()
        return [row[: len(target)] for row, target in zip(found, targets, strict=True)]

    def _by_steps(self, source: Tensor, target_in: Tensor) -> Tensor:
        state = self._form.start(self._form.encode(source, source != self.config.pad_id))
        steps = []
        for tokens in target_in.unbind(1):
            output = self._form.step(tokens, state)
            steps.append(output.logits)
            state = output.state
        return torch.stack(steps, dim=1)

    def _padded(self, rows: Sequence[Sequence[int]]) -> Tensor:
        longest, pad = max(map(len, rows)), self.config.pad_id
        padded = [[*ids, *[pad] * (longest - len(ids))] for ids in rows]
        return torch.tensor(padded, dtype=torch.long, device=self._form.device)


def _vector(numbers: Sequence[int], device: torch.device) -> Tensor:
    """By way of NumPy, which is faster for a few numbers."""
    vector = torch.from_numpy(np.array(numbers, dtype=np.int64))
    return vector if device.type == "cpu" else vector.to(device)


def to_host(tensors: Sequence[Tensor | None]) -> list[np.ndarray | None]:
    """Tensors as arrays of fp32, or int32 from another device, with one transfer for all of them.

    Args:
        tensors: of any floating type, or integers below 2**31; None stays None.
    """
    there = [tensor for tensor in tensors if tensor is not None]
    if there[0].device.type == "cpu":
        arrays: Iterator[np.ndarray] = iter([_full(tensor).numpy() for tensor in there])
    else:
        arrays = _unpacked(_packed(there).cpu().numpy(), there)
    return [None if tensor is None else next(arrays) for tensor in tensors]


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _packed(tensors: Sequence[Tensor]) -> Tensor:
    """All in one tensor of int32, the bits of floats unchanged."""
    return torch.cat([
        (t.float().contiguous().view(torch.int32) if t.is_floating_point() else t.int()).flatten()
        for t in tensors
    ])  # fmt: skip


def _unpacked(bits: np.ndarray, tensors: Sequence[Tensor]) -> Iterator[np.ndarray]:
    """The arrays from a copy, on the host, of what was packed."""
    first = 0
    for tensor in tensors:
        part = bits[first : first + tensor.numel()]
        first += tensor.numel()
        kind = np.float32 if tensor.is_floating_point() else np.int32
        yield part.view(kind).reshape(tuple(tensor.shape))
