"""Master weights, clipping, schedules."""

import math

import pytest
import torch
from torch import nn

from seq2seq.config import TrainingConfig
from seq2seq.training.optim import MasterAdamW, learning_rate


def config(**options: object) -> TrainingConfig:
    return TrainingConfig.from_dict({"warmup_steps": 10, "max_steps": 110, **options})


def test_inverse_sqrt_schedule() -> None:
    settings = config(learning_rate=0.02)
    assert learning_rate(settings, 1) == pytest.approx(0.002)
    assert learning_rate(settings, 10) == pytest.approx(0.02)
    assert learning_rate(settings, 40) == pytest.approx(0.01)


def test_cosine_schedule_ends_at_a_tenth() -> None:
    settings = config(learning_rate=0.02, schedule="cosine")
    assert learning_rate(settings, 10) == pytest.approx(0.02)
    assert learning_rate(settings, 60) == pytest.approx(0.011)
    assert learning_rate(settings, 110) == pytest.approx(0.002)
    assert learning_rate(settings, 500) == pytest.approx(0.002)
    rates = [learning_rate(settings, step) for step in range(10, 111)]
    assert rates == sorted(rates, reverse=True)


def test_float32_is_plain_adamw() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    settings = config(weight_decay=0.1, clip_norm=0.0)
    optimizer = MasterAdamW(ours, settings)
    groups = [
        {"params": [theirs.weight], "weight_decay": 0.1},
        {"params": [theirs.bias], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=0.01, betas=settings.adam_betas, eps=1e-9)
    for _ in range(5):
        x = torch.randn(8, 4)
        ours(x).square().sum().backward()
        theirs(x).square().sum().backward()
        optimizer.collect()
        optimizer.step(rate=0.01, scale=1.0)
        reference.step()
        reference.zero_grad()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_small_updates_survive_in_bf16() -> None:
    model = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    nn.init.ones_(model.weight)
    optimizer = MasterAdamW(model, config(weight_decay=0.0))
    for _ in range(100):  # each far below bf16's resolution near 1
        model.weight.grad = torch.ones_like(model.weight)
        optimizer.collect()
        optimizer.step(rate=1e-4, scale=1.0)
    assert model.weight.item() == pytest.approx(0.99, abs=2e-3)
    assert optimizer.weights()["weight"].item() == pytest.approx(0.99, abs=1e-3)


def test_accumulated_batches_add_up() -> None:
    model = nn.Linear(2, 1, bias=False).to(torch.bfloat16)
    optimizer = MasterAdamW(model, config(clip_norm=0.0))
    for value in (1.0, 2.0):
        model.weight.grad = torch.full_like(model.weight, value)
        optimizer.collect()
    assert optimizer.step(rate=0.0, scale=0.5) == pytest.approx(1.5 * math.sqrt(2))


def test_clipping_reports_the_norm_before() -> None:
    model = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = MasterAdamW(model, config(clip_norm=1.0, weight_decay=0.0))
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    optimizer.collect()
    assert optimizer.step(rate=0.1, scale=2.0) == pytest.approx(10.0)
    moments = optimizer.adam.state[model.weight]["exp_avg"] / (1 - 0.9)
    torch.testing.assert_close(moments, torch.tensor([[0.6, 0.8]]))


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    model = nn.Linear(2, 1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = MasterAdamW(model, config())
    for p in model.parameters():
        p.grad = torch.full_like(p, float("nan"))
    assert not math.isfinite(optimizer.step(rate=0.1, scale=1.0))
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])
        assert p.grad is None


def test_state_goes_on_exactly() -> None:
    def run(model: nn.Module, optimizer: MasterAdamW, steps: range) -> None:
        for step in steps:
            torch.manual_seed(step)
            model(torch.randn(8, 4, dtype=torch.bfloat16)).square().sum().backward()
            optimizer.collect()
            optimizer.step(rate=0.01, scale=0.1)

    torch.manual_seed(5)
    unbroken = nn.Linear(4, 3).to(torch.bfloat16)
    first = nn.Linear(4, 3).to(torch.bfloat16)
    first.load_state_dict(unbroken.state_dict())
    whole, half = MasterAdamW(unbroken, config()), MasterAdamW(first, config())
    run(unbroken, whole, range(6))
    run(first, half, range(3))
    second = nn.Linear(4, 3).to(torch.bfloat16)
    resumed = MasterAdamW(second, config())
    resumed.restore({name: tensor.clone() for name, tensor in half.state().items()})
    run(second, resumed, range(3, 6))
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, resumed.weights()[name])
