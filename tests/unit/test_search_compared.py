"""Search against full enumeration, plain loops and itself in batches."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from search_support import (
    FEW,
    MANY,
    anything,
    check_hypotheses,
    models,
    prefix,
    same,
    searches,
    sources,
)
from support import ARCHITECTURES, tiny_model
from toys import EOS, UNK, ToyModel, allowed, everything, greedy, normalised, score, search

from seq2seq.config import SamplingConfig, SearchConfig


@FEW
@given(
    seed=st.integers(0, 10_000),
    sharpness=st.sampled_from([0.5, 2.0]),
    source=st.lists(st.integers(UNK, 4), min_size=1, max_size=4),
    config=searches(),
    prefix=st.lists(st.integers(UNK, 4), max_size=2),
)
def test_wide_beam_finds_what_enumeration_finds(
    seed: int, sharpness: float, source: list[int], config: SearchConfig, prefix: list[int]
) -> None:
    model = ToyModel(vocabulary=5, seed=seed, sharpness=sharpness)
    longest = min(max(config.max_length or 0, len(prefix)), 4)
    config = dataclasses.replace(
        config, beam=64, n_best=5, max_length=longest, min_length=min(config.min_length, longest)
    )
    expected = everything(model, source, config, prefix=prefix)[:5]
    (result,) = search(model, [source], config=config, prefixes=[prefix])
    ended = [h for h in result.hypotheses if h.ended]
    assert [h.score for h in ended] == pytest.approx([value for value, _ in expected], abs=1e-5)
    for hypothesis in ended:  # equal scores may stand in any order, so look at each by itself
        again = normalised(score(model, source, hypothesis.tokens), config)
        assert again == pytest.approx(hypothesis.score, abs=1e-5)
        assert allowed(hypothesis.tokens, config, prefix=len(prefix))


@pytest.mark.parametrize("formula", ["power", "wu"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("coverage", [0.0, 0.5])
def test_wide_beam_ranks_as_enumeration_does(formula: str, alpha: float, coverage: float) -> None:
    config = SearchConfig.from_dict(
        {
            "beam": 64,
            "n_best": 8,
            "length_penalty": alpha,
            "length_formula": formula,
            "coverage_penalty": coverage,
            "max_length": 4,
        }
    )
    for seed in range(6):
        model = ToyModel(vocabulary=5, seed=seed, sharpness=1.0)
        source = [3, 4, 4, EOS]
        (result,) = search(model, [source], config=config)
        expected = [scored.tokens for _, scored in everything(model, source, config)[:8]]
        assert [h.tokens for h in result.hypotheses] == expected


@MANY
@given(models, sources, searches(), prefix)
def test_beam_of_one_is_greedy(
    model: ToyModel, rows: list[list[int]], config: SearchConfig, prefix: list[int]
) -> None:
    config = dataclasses.replace(
        config, beam=1, n_best=1, max_length=max(config.max_length or 0, len(prefix))
    )
    results = search(model, rows, config=config, prefixes=[prefix] * len(rows))
    for row, result in zip(rows, results, strict=True):
        assert result.hypotheses[0].tokens == greedy(model, row, config, prefix=prefix)


@MANY
@given(models, sources, anything, st.data())
def test_batched_equals_single(
    model: ToyModel, rows: list[list[int]], config: SearchConfig, data: st.DataObject
) -> None:
    prefixes = [data.draw(prefix) for _ in rows]
    together = search(model, rows, config=config, prefixes=prefixes, trace=True)
    for row, forced, result in zip(rows, prefixes, together, strict=True):
        (alone,) = search(model, [row], config=config, prefixes=[forced])
        assert same(result, alone, close=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "config",
    [
        SearchConfig(beam=1, max_length=8),
        SearchConfig(beam=4, n_best=4, max_length=8, coverage_penalty=0.2, no_repeat_ngram=2),
        SearchConfig(beam=1, n_best=3, max_length=8, sampling=SamplingConfig(top_p=0.8, seed=3)),
    ],
    ids=["greedy", "beam", "sampling"],
)
def test_every_architecture(architecture: str, config: SearchConfig) -> None:
    model = tiny_model(architecture, vocabulary=30)
    rows = [[7, 8, 9, 10, EOS], [5, EOS], [11, 12, EOS]]
    prefixes = [[], [9, 10], [6]]
    with torch.inference_mode():
        together = search(model, rows, config=config, prefixes=prefixes, trace=True)
        for row, forced, result in zip(rows, prefixes, together, strict=True):
            (alone,) = search(model, [row], config=config, prefixes=[forced])
            assert same(result, alone, close=1e-5)
            check_hypotheses(model, row, result, config)
