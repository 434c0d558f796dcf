"""Models, sources and settings to search with, and when results count as equal and true."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from toys import BOS, EOS, PAD, UNK, ToyModel, normalised, score

from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.decoding.search import SearchResult
from seq2seq.nn.model import AnyModel

FEW = settings(deadline=None, max_examples=30)
MANY = settings(deadline=None, max_examples=80)
models = st.builds(
    ToyModel,
    vocabulary=st.integers(5, 8),
    seed=st.integers(0, 10_000),
    sharpness=st.sampled_from([0.5, 2.0, 4.0]),
    ending=st.sampled_from([-2.0, 0.0, 2.0]),
    attends=st.booleans(),
)
sources = st.lists(
    st.lists(st.integers(UNK, 4), min_size=0, max_size=5).map(lambda row: [*row, EOS]),
    min_size=1,
    max_size=4,
)


@st.composite
def searches(draw: st.DrawFn) -> SearchConfig:
    beam = draw(st.integers(1, 6))
    longest = draw(st.integers(1, 7))
    return SearchConfig(
        beam=beam,
        n_best=draw(st.integers(1, beam)),
        length_penalty=draw(st.sampled_from([0.0, 0.6, 1.0, 2.0])),
        length_formula=draw(st.sampled_from(["power", "wu"])),
        coverage_penalty=draw(st.sampled_from([0.0, 0.0, 0.4])),
        no_repeat_ngram=draw(st.sampled_from([0, 0, 1, 2, 3])),
        min_length=draw(st.integers(0, longest)),
        max_length=longest,
        trace_candidates=draw(st.integers(1, 10)),
    )


@st.composite
def samplings(draw: st.DrawFn) -> SearchConfig:
    return dataclasses.replace(
        draw(searches()),
        beam=1,
        n_best=draw(st.integers(1, 5)),
        sampling=SamplingConfig(
            temperature=draw(st.sampled_from([0.5, 1.0, 1.5])),
            top_k=draw(st.sampled_from([0, 1, 3])),
            top_p=draw(st.sampled_from([0.3, 0.9, 1.0])),
            seed=draw(st.integers(0, 1000)),
        ),
    )


anything = st.one_of(searches(), samplings())
prefix = st.lists(st.integers(UNK, 4), max_size=3)


def same(one: SearchResult, other: SearchResult, *, close: float = 0.0) -> bool:
    """Equal hypotheses, numbers within ``close``."""
    if len(one.hypotheses) != len(other.hypotheses):
        return False
    for a, b in zip(one.hypotheses, other.hypotheses, strict=True):
        numbers = [
            (a.score, b.score),
            (a.cumulative, b.cumulative),
            *zip(a.token_log_probabilities, b.token_log_probabilities, strict=False),
        ]
        if a.tokens != b.tokens or a.ended != b.ended:
            return False
        if any(abs(x - y) > close for x, y in numbers):
            return False
        if (a.attention is None) != (b.attention is None):
            return False
        if a.attention is not None and not np.allclose(a.attention, b.attention, atol=close):
            return False
    return True


def check_hypotheses(
    model: AnyModel, source: Sequence[int], result: SearchResult, config: SearchConfig
) -> None:
    """Every number agrees with the model fed with the hypothesis."""
    scores = [h.score for h in result.hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert 1 <= len(scores) <= config.n_best
    for hypothesis in result.hypotheses:
        expected = score(model, source, hypothesis.tokens)
        assert hypothesis.token_log_probabilities == pytest.approx(
            expected.log_probabilities, abs=2e-5
        )
        assert sum(hypothesis.token_log_probabilities) == pytest.approx(
            hypothesis.cumulative, abs=1e-9
        )
        assert hypothesis.score == pytest.approx(normalised(expected, config), abs=1e-4)
        assert hypothesis.ended == (hypothesis.tokens[-1:] == (EOS,))
        assert EOS not in hypothesis.tokens[:-1]
        assert not {PAD, BOS} & set(hypothesis.tokens)
        if expected.attention is None:
            assert hypothesis.attention is None
        else:
            assert hypothesis.attention is not None
            assert hypothesis.attention.dtype == np.float32
            assert hypothesis.attention.shape == tuple(expected.attention.shape)
            assert np.allclose(hypothesis.attention, expected.attention.numpy(), atol=1e-5)
