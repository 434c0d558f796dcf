"""Bad input and bad models are refused in one line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from toys import EOS, ToyModel, score, search

from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.decoding.search import SearchError


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([[4, 2], []], "source 1 has no pieces"),
        ([[4, 0, 2]], "source 0 holds padding"),
        ([[4, 2, 0]], "source 0 holds padding"),
        ([[4, 77]], "source 0 holds id 77, but the vocabulary ends at 5"),
        ([[4, -1]], "source 0 holds id -1"),
        ([[4.0, 2.0]], "source 0 holds 4.0, which is no id"),
        ([[4, True]], "source 0 holds True, which is no id"),
        (["ab"], "source 0 holds 'a', which is no id"),
    ],
)
def test_impossible_source_is_refused(source: Any, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        search(ToyModel(), source, config=SearchConfig())


def test_number_of_prefixes_must_fit() -> None:
    with pytest.raises(SearchError, match="2 sentences need as many prefixes, not 1"):
        search(ToyModel(), [[4], [4]], config=SearchConfig(), prefixes=[[4]])


def test_empty_batch_gives_nothing() -> None:
    assert search(ToyModel(), [], config=SearchConfig()) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    "config",
    [SearchConfig(beam=1), SearchConfig(beam=4), SearchConfig(beam=1, sampling=SamplingConfig())],
)
@pytest.mark.parametrize("forced", [[], [4]])
def test_scores_that_are_no_numbers_are_refused(
    value: float, config: SearchConfig, forced: list[int]
) -> None:
    model = ToyModel()
    model.bias[5] = value
    with pytest.raises(SearchError, match="not finite"):
        search(model, [[4, 5, EOS]], config=config, prefixes=[forced])


def test_impossible_piece_is_never_produced() -> None:
    model = ToyModel(vocabulary=6, ending=-3.0)
    model.bias[5] = -math.inf
    config = SearchConfig(beam=4, n_best=4, max_length=6)
    (result,) = search(model, [[4, 5, EOS]], config=config, trace=True)
    assert all(5 not in h.tokens for h in result.hypotheses)
    assert result.trace is not None
    assert all(math.isfinite(e.entropy) for step in result.trace.steps for e in step.expansions)
    with pytest.raises(SearchError, match="forced piece 5 a probability of 0"):
        search(model, [[4, EOS]], config=config, prefixes=[[4, 5]])


def test_half_precision_scores_are_read_as_single() -> None:
    model = ToyModel(vocabulary=8).to(torch.bfloat16)
    config = SearchConfig(beam=4, n_best=2, max_length=6)
    (result,) = search(model, [[4, 5, EOS]], config=config, trace=True)
    best = result.hypotheses[0]
    assert best.attention is not None
    assert best.attention.dtype == np.float32
    assert best.token_log_probabilities == pytest.approx(
        score(model, [4, 5, EOS], best.tokens).log_probabilities, abs=1e-5
    )
