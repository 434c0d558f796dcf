"""Several processes on one training (started by ``torchrun``), or just this one."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from seq2seq.nn.model import AnyModel
from seq2seq.training.data import Batch
from seq2seq.training.loss import LossSums, output_loss

__all__ = ["LossModule", "Processes"]


class LossModule(nn.Module):
    """A model and its loss as one module, which is what gets distributed.

    Args:
        model: whose output layer is ``model.output``, an ``nn.Linear``.
        smoothing: of the labels.
        chunk: rows of the output layer at a time.
    """

    def __init__(self, model: AnyModel, *, smoothing: float, chunk: int) -> None:
        super().__init__()
        self.model = model
        self.smoothing = smoothing
        self.chunk = chunk

    def forward(self, batch: Batch) -> LossSums:
        """Loss sums over the pieces of ``batch`` that are not padding."""
        pad = self.model.config.pad_id
        memory = self.model.encode(batch.source, batch.source != pad)
        hidden = self.model.hidden(memory, batch.target_in)
        keep = (batch.target_out != pad).flatten().nonzero().squeeze(1)
        output = self.model.output
        assert isinstance(output, nn.Linear)  # noqa: S101  (for the type checker)
        return output_loss(
            hidden.flatten(0, 1).index_select(0, keep),
            output.weight,
            output.bias,
            batch.target_out.flatten().index_select(0, keep),
            smoothing=self.smoothing,
            chunk=self.chunk,
        )


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: 0 to ``count - 1``; rank 0 validates and writes.
        count: how many.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """Join the group that ``torchrun`` describes in the environment, if it does."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(rank=dist.get_rank(), count=dist.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this is the process that validates and writes."""
        return self.rank == 0

    def wrap(self, module: LossModule) -> nn.Module:
        """Let gradients be averaged over all processes."""
        return DistributedDataParallel(module) if self.count > 1 else module

    def sum(self, values: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def agree(self, value: float, device: torch.device) -> float:
        """The value of rank 0, in every process."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        dist.broadcast(shared, src=0)
        return float(shared)

    def leave(self) -> None:
        """End the group."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()
