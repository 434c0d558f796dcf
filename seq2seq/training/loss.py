"""Cross-entropy with label smoothing that never holds all logits at once.

With a vocabulary of thousands, logits and their gradient are by far the largest tensors of a
training step. Here the output layer and its loss are computed a few hundred rows at a time and
the gradients are finished in the same pass, while the rows are still in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["LossSums", "output_loss"]


@dataclass(frozen=True)
class LossSums:
    """Sums over all target pieces of a batch.

    Attributes:
        loss: with label smoothing; a scalar tensor that can be differentiated.
        nll: negative log-likelihood without smoothing, in nats; detached.
        correct: how often the most probable piece was the right one; detached.
    """

    loss: Tensor
    nll: Tensor
    correct: Tensor


def output_loss(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    *,
    smoothing: float,
    chunk: int,
) -> LossSums:
    """Output layer and label-smoothed cross-entropy (Szegedy 2016, section 7), summed.

    ``loss = -sum_v q(v) log p(v)`` with ``q = (1 - smoothing) * onehot + smoothing / V``.

    Args:
        hidden: (N, width), one row per target piece, no padding.
        weight: (V, width) of the output layer.
        bias: (V,) or None.
        targets: (N,) int64.
        smoothing: in [0, 1).
        chunk: rows at a time.
    """
    zero = hidden.new_zeros(0) if bias is None else bias
    apply: Callable[..., tuple[Tensor, Tensor, Tensor]] = _OutputLoss.apply
    loss, nll, correct = apply(hidden, weight, zero, targets, smoothing, chunk)
    return LossSums(loss=loss, nll=nll, correct=correct)


class _OutputLoss(torch.autograd.Function):
    """Computes the loss and, in the same pass, the gradients that backward only scales."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        chunk: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        needs = any(ctx.needs_input_grad[:3])
        vocabulary = weight.shape[0]
        has_bias = bias.numel() > 0
        grad_hidden = torch.empty_like(hidden) if needs else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if needs else None
        grad_bias = torch.zeros_like(bias, dtype=torch.float32) if needs else None
        totals = torch.zeros(3, dtype=torch.float32, device=hidden.device)
        for start in range(0, hidden.shape[0], chunk):
            rows = hidden[start : start + chunk]
            wanted = targets[start : start + chunk, None]
            logits = rows @ weight.t()
            if has_bias:
                logits += bias
            logs = torch.log_softmax(logits.float(), dim=1)
            own = logs.gather(1, wanted)
            nll = -own.sum()
            spread = -logs.sum() / vocabulary
            totals[0] += (1 - smoothing) * nll + smoothing * spread
            totals[1] += nll
            totals[2] += (own >= logs.amax(dim=1, keepdim=True)).sum()
            if grad_hidden is None or grad_weight is None or grad_bias is None:
                continue
            # d loss / d logits = p - q
            grad = logs.exp_().sub_(smoothing / vocabulary)
            grad.scatter_add_(1, wanted, grad.new_full(wanted.shape, smoothing - 1))
            if has_bias:
                grad_bias += grad.sum(dim=0)
            grad_rows = grad.to(hidden.dtype)
            torch.mm(grad_rows, weight, out=grad_hidden[start : start + chunk])
            grad_weight += grad_rows.t() @ rows
        ctx.has_bias = has_bias
        if needs:
            ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        ctx.dtypes = (weight.dtype, bias.dtype)
        loss, nll_sum, correct = (total.clone() for total in totals)
        ctx.mark_non_differentiable(nll_sum, correct)
        return loss, nll_sum, correct

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight, grad_bias = ctx.saved_tensors
        scale = grads[0]
        return (
            grad_hidden * scale.to(grad_hidden.dtype),
            (grad_weight * scale).to(ctx.dtypes[0]),
            (grad_bias * scale).to(ctx.dtypes[1]) if ctx.has_bias else None,
            None,
            None,
            None,
        )
