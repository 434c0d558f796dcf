"""Models on PyTorch, as a search sees them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import EOS, ToyModel

from seq2seq import kernels
from seq2seq.inference.hosted import HostedModel, _packed, _unpacked, to_host


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=6),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=6),
)
def test_packing_keeps_every_bit(floats: list[float], integers: list[int]) -> None:
    tensors = [
        torch.tensor([floats, floats]),
        torch.tensor(integers),
        torch.tensor([floats]).T.expand(-1, 3),
    ]
    arrived = _unpacked(_packed(tensors).numpy(), tensors)
    for array, tensor in zip(arrived, tensors, strict=True):
        assert np.array_equal(array, tensor.numpy())


def test_what_is_not_there_stays_away_and_half_precision_becomes_single() -> None:
    half, nothing, whole = to_host([torch.ones(2, dtype=torch.bfloat16), None, torch.arange(3)])
    assert half is not None
    assert (half.dtype, half.tolist()) == (np.float32, [1.0, 1.0])
    assert nothing is None
    assert whole is not None
    assert whole.tolist() == [0, 1, 2]


def test_it_chooses_the_same_with_and_without_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    model = HostedModel(ToyModel(vocabulary=9))
    state = model.start(model.encode([[4, 5, EOS], [6, EOS]])).select([0, 1, 1])
    found = []
    for loaded in {False, kernels.loaded()}:
        monkeypatch.setattr("seq2seq.kernels.loaded", lambda loaded=loaded: loaded)
        found.append(model.choose([4, 5, 6], state, count=4, entropy=True).largest)
    for one in found:
        assert one.entropies is not None
        assert found[0].entropies is not None
        assert np.array_equal(one.tokens, found[0].tokens)
        assert np.allclose(one.log_probabilities, found[0].log_probabilities, atol=1e-5)
        assert np.allclose(one.entropies, found[0].entropies, atol=1e-5)
