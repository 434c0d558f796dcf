"""AdamW on full-precision master weights, gradient clipping, learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from seq2seq.config import TrainingConfig

__all__ = ["MasterAdamW", "learning_rate"]


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Rate of update ``step`` (the first is 1).

    Linear warm-up to ``config.learning_rate``, then ``inverse_sqrt`` (Vaswani 2017, eq. 3,
    scaled so that its peak is the configured rate) or ``cosine`` down to a tenth of it.
    """
    warmup = config.warmup_steps
    if step < warmup:
        return config.learning_rate * step / warmup
    if config.schedule == "inverse_sqrt":
        return config.learning_rate * math.sqrt(warmup / step)
    progress = min(1.0, (step - warmup) / max(1, config.max_steps - warmup))
    return config.learning_rate * (0.55 + 0.45 * math.cos(math.pi * progress))


class MasterAdamW:
    """AdamW (Loshchilov and Hutter 2019) that keeps weights and moments in float32.

    The model may hold its parameters in bfloat16, which is several times faster; each update is
    computed on the float32 copy here and then rounded into the model, so that small updates
    are not lost. For a float32 model the master copy is the model's own parameters.

    Args:
        model: its trainable parameters, in a stable order.
        config: betas and weight decay; decay applies to matrices only.
    """

    def __init__(self, model: nn.Module, config: TrainingConfig) -> None:
        self.names = [name for name, _ in model.named_parameters()]
        self.parameters = [p for _, p in model.named_parameters()]
        self.masters = [
            p if p.dtype == torch.float32 else nn.Parameter(p.detach().float())
            for p in self.parameters
        ]
        self.clip_norm = config.clip_norm
        matrices = [p for p in self.masters if p.dim() > 1]
        others = [p for p in self.masters if p.dim() <= 1]
        groups = [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(
            groups, lr=config.learning_rate, betas=config.adam_betas, eps=1e-9, fused=True
        )

    def collect(self) -> None:
        """Add the model's gradients to the masters' and clear them (once per batch)."""
        for parameter, master in zip(self.parameters, self.masters, strict=True):
            if parameter is master or parameter.grad is None:
                continue
            grad = parameter.grad.float()
            master.grad = grad if master.grad is None else master.grad.add_(grad)
            parameter.grad = None

    def step(self, *, rate: float, scale: float) -> float:
        """Update all weights.

        Args:
            rate: learning rate of this update.
            scale: gradients are multiplied by it first (one over the number of tokens).

        Returns:
            The norm of the scaled gradient before clipping. If it is not finite, nothing is
            updated.
        """
        grads = [p.grad for p in self.masters if p.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(grads)) * scale
        if math.isfinite(norm):
            if self.clip_norm > 0 and norm > self.clip_norm:
                scale *= self.clip_norm / norm
            torch._foreach_mul_(grads, scale)
            for group in self.adam.param_groups:
                group["lr"] = rate
            self.adam.step()
            self.publish()
        self.adam.zero_grad(set_to_none=True)
        return norm

    @torch.no_grad()
    def publish(self) -> None:
        """Round the master weights into the model."""
        for parameter, master in zip(self.parameters, self.masters, strict=True):
            if parameter is not master:
                parameter.copy_(master)

    def state(self) -> dict[str, Tensor]:
        """Everything that a resumed training needs, as named tensors."""
        tensors: dict[str, Tensor] = {}
        for name, master in zip(self.names, self.masters, strict=True):
            tensors[f"weight.{name}"] = master.detach()
            for key, value in self.adam.state.get(master, {}).items():
                tensors[f"{key}.{name}"] = value
        return tensors

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` gave; raises KeyError if a tensor is missing."""
        for name, master in zip(self.names, self.masters, strict=True):
            master.copy_(tensors[f"weight.{name}"])
            if f"step.{name}" in tensors:
                self.adam.state[master] = {
                    "step": tensors[f"step.{name}"].clone(),
                    "exp_avg": tensors[f"exp_avg.{name}"].to(master.device),
                    "exp_avg_sq": tensors[f"exp_avg_sq.{name}"].to(master.device),
                }
        self.publish()

    def weights(self) -> dict[str, Tensor]:
        """A float32 copy of the weights by parameter name."""
        return {
            name: master.detach().float().cpu().clone()
            for name, master in zip(self.names, self.masters, strict=True)
        }

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Replace the weights, keeping the moments.

        Raises:
            KeyError: one is missing.
            RuntimeError: one has another shape, or is not of floating point.
        """
        for name, master in zip(self.names, self.masters, strict=True):
            value = weights[name]
            if value.shape != master.shape or not value.is_floating_point():
                raise RuntimeError(f"{name}: {tuple(value.shape)} of {value.dtype} does not fit")
            master.copy_(value)
        self.publish()
