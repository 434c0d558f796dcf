"""The most probable pieces, read off logits."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.kernels import reading
from tests.operators_support import needs_operators


@needs_operators
@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from([-1e30, -50.0, -1.5, 0.0, 0.25, 3.0, 80.0]), min_size=1, max_size=300),
    st.integers(1, 20),
    st.integers(0, 299),
)
def test_the_largest(numbers: list[float], count: int, impossible: int) -> None:
    logits = torch.tensor([numbers, numbers[::-1]])
    if len(numbers) > 1:
        logits[0, impossible % len(numbers)] = float("-inf")
    count = min(count, len(numbers))
    found = reading.largest(logits.numpy(), count)
    values, tokens = torch.from_numpy(found.log_probabilities), torch.from_numpy(found.tokens)
    assert found.entropies is not None
    entropies = torch.from_numpy(found.entropies)
    logs = logits.double().log_softmax(-1)
    assert torch.allclose(values.double(), logs.sort(descending=True)[0][:, :count], atol=1e-5)
    assert torch.allclose(logs.gather(1, tokens), values.double(), atol=1e-5)
    for row in tokens.tolist():
        assert len(set(row)) == count
    expected = -(logs.exp() * logs.clamp_min(-1e30)).sum(-1)
    assert torch.allclose(entropies.double(), expected, atol=1e-4)
    # Of equal ones the first comes first.
    for row, ids in zip(logits, tokens.tolist(), strict=True):
        for first, second in itertools.pairwise(ids):
            assert row[first] > row[second] or first < second


@needs_operators
def test_one_that_is_not_a_number_spoils_the_row() -> None:
    logits = torch.randn(5, 100)
    logits[0, 70] = logits[4, 1] = float("nan")
    logits[1] = float("-inf")
    logits[2, 5] = float("inf")
    values, tokens, _ = reading.largest(logits.numpy(), 3)
    assert np.isnan(values[[0, 1, 2, 4]]).all()
    assert np.isfinite(values[3]).all()
    assert ((tokens >= 0) & (tokens < 100)).all()


@needs_operators
def test_no_more_than_there_are() -> None:
    found = reading.largest(np.array([[1.0, 3.0, 2.0]], dtype=np.float32), 7)
    assert found.tokens.tolist() == [[1, 2, 0]]
