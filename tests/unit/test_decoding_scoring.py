from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import SearchConfig
from seq2seq.decoding.scoring import CoveragePenalty, LengthPenalty

alphas = st.floats(0, 10)
formulas = st.sampled_from(["power", "wu"])


def test_formulas_as_published() -> None:
    assert LengthPenalty(1.0, "power").divisor(7.0) == 7.0
    assert LengthPenalty(0.5, "power").divisor(9.0) == 3.0
    assert LengthPenalty(0.6, "wu").divisor(7.0) == pytest.approx(2.0**0.6)
    config = SearchConfig(length_penalty=0.6, length_formula="wu")
    assert LengthPenalty.of(config) == LengthPenalty(0.6, "wu")


@given(alphas, formulas, st.floats(-300, 0), st.integers(1, 50), st.integers(0, 50))
def test_bound_holds(alpha: float, formula: str, cumulative: float, length: int, more: int) -> None:
    penalty = LengthPenalty(alpha, formula)  # type: ignore[arg-type]
    bound = penalty.bound(cumulative, length + more)
    for lost in (0.0, -0.5, -20.0):
        for end in (length, length + more):
            assert penalty.normalise(cumulative + lost, end) <= bound


def test_no_length_penalty_changes_nothing() -> None:
    assert LengthPenalty(0.0, "power").normalise(-3.0, 17) == -3.0
    assert LengthPenalty(0.0, "wu").normalise(-3.0, 17) == -3.0
    assert LengthPenalty(1.0).normalise(0.0, 0) == 0.0


def test_coverage_as_published() -> None:
    coverage = np.array([[0.5, 1.0, 2.0], [0.25, 0.5, 1.0]])
    expected = [0.4 * math.log(0.5), 0.4 * (math.log(0.25) + math.log(0.5))]
    assert CoveragePenalty(0.4)(coverage).tolist() == pytest.approx(expected)


def test_padding_is_not_missed_and_nothing_is_infinite() -> None:
    penalty = CoveragePenalty(1.0)
    coverage = penalty.start([2, 4])
    assert coverage.tolist() == [[0.0, 0.0, 1.0, 1.0], [0.0] * 4]
    assert np.isfinite(penalty(coverage)).all()
    full = coverage + np.array([[1.0, 1.0, 0.0, 0.0], [1.0] * 4])
    assert penalty(full).tolist() == [0.0, 0.0]
