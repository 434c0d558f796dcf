"""The chunked loss is PyTorch's cross-entropy, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from seq2seq.training.loss import output_loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [1, 4, 100])
@pytest.mark.parametrize("with_bias", [False, True])
def test_equals_cross_entropy(smoothing: float, chunk: int, with_bias: bool) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(11, 6, requires_grad=True)
    weight = torch.randn(17, 6, requires_grad=True)
    bias = torch.randn(17, requires_grad=True) if with_bias else None
    targets = torch.randint(0, 17, (11,))
    inputs = [hidden, weight] + ([bias] if bias is not None else [])
    logits = F.linear(hidden, weight, bias)
    wanted = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")
    found = output_loss(hidden, weight, bias, targets, smoothing=smoothing, chunk=chunk)
    torch.testing.assert_close(found.loss, wanted)
    torch.testing.assert_close(found.nll, F.cross_entropy(logits, targets, reduction="sum"))
    assert found.correct.item() == (logits.argmax(1) == targets).sum().item()
    for a, b in zip(
        torch.autograd.grad(found.loss * 3, inputs),
        torch.autograd.grad(wanted * 3, inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_bf16_is_near() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(64, 32), torch.randn(50, 32)
    targets = torch.randint(0, 50, (64,))
    exact = output_loss(hidden, weight, None, targets, smoothing=0.1, chunk=16)
    rough = output_loss(
        hidden.bfloat16(), weight.bfloat16(), None, targets, smoothing=0.1, chunk=16
    )
    assert rough.loss.item() == pytest.approx(exact.loss.item(), rel=1e-2)


def test_without_gradients() -> None:
    hidden, weight = torch.randn(5, 3), torch.randn(7, 3)
    with torch.inference_mode():
        sums = output_loss(hidden, weight, None, torch.arange(5), smoothing=0.0, chunk=2)
    assert sums.loss.item() == pytest.approx(sums.nll.item())
