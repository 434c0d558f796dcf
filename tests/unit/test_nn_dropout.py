"""Dropout: zero share, kept mean, independence, off in evaluation."""

import pytest
import torch

from seq2seq.nn.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
def test_share_of_zeros_and_mean(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(400, 500)
    y = Dropout(p)(x)
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.005)
    assert y.mean().item() == pytest.approx(1.0, abs=0.005)
    assert y.unique().numel() == 2


def test_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(400_000)) == 0).float()
    for shift in (1, 2, 7, 8, 64):
        both = (dropped[:-shift] * dropped[shift:]).mean().item()
        assert both == pytest.approx(0.25, abs=0.005)


def test_gradient_passes_where_the_activation_did() -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 13, requires_grad=True)
    y = Dropout(0.3)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad == 0, y == 0)


def test_evaluation_and_zero_probability_change_nothing() -> None:
    x = torch.randn(5, 3)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_keeps_dtype_and_any_shape() -> None:
    for shape in ((), (1,), (3, 5, 7)):
        y = Dropout(0.5)(torch.ones(shape, dtype=torch.bfloat16))
        assert y.shape == torch.Size(shape)
        assert y.dtype == torch.bfloat16
