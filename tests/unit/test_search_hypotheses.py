"""What a search says about its hypotheses is true, at its end and while it runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_support import FEW, MANY, anything, check_hypotheses, models, prefix, same, sources
from toys import EOS, ToyModel, score, search

from seq2seq.config import SearchConfig
from seq2seq.decoding.search import PartialHypothesis

# --- At its end -------------------------------------------------------------------------------


@MANY
@given(models, sources, anything, st.data())
def test_hypotheses_tell_the_truth(
    model: ToyModel, rows: list[list[int]], config: SearchConfig, data: st.DataObject
) -> None:
    prefixes = [data.draw(prefix) for _ in rows]
    results = search(model, rows, config=config, prefixes=prefixes)
    for row, forced, result in zip(rows, prefixes, results, strict=True):
        check_hypotheses(model, row, result, config)
        for hypothesis in result.hypotheses:
            assert list(hypothesis.tokens[: len(forced)]) == forced
            content = [token for token in hypothesis.tokens if token != EOS]
            limit = max(config.max_length or 0, len(forced))
            assert len(content) <= limit
            if hypothesis.ended and len(hypothesis.tokens) > len(forced):
                assert len(content) >= config.min_length


@MANY
@given(models, sources, anything)
def test_trace_and_attention_change_nothing(
    model: ToyModel, rows: list[list[int]], config: SearchConfig
) -> None:
    plain = search(model, rows, config=config)
    traced = search(model, rows, config=config, trace=True)
    bare = search(model, rows, config=config, attention=False)
    for one, two, three in zip(plain, traced, bare, strict=True):
        assert same(one, two)
        assert two.trace is not None
        assert one.trace is None
        for a, b in zip(one.hypotheses, three.hypotheses, strict=True):
            assert (a.tokens, a.score, b.attention) == (b.tokens, b.score, None)


def test_n_best_only_lengthens_the_list() -> None:
    for seed in range(10):
        model = ToyModel(vocabulary=8, seed=seed)
        source = [[4, 5, 6, EOS]]
        few, many = (
            search(model, source, config=SearchConfig(beam=5, n_best=n, max_length=12))[0]
            for n in (1, 5)
        )
        assert few.hypotheses[0].tokens == many.hypotheses[0].tokens
        assert len(many.hypotheses) == 5
        assert len({h.tokens for h in many.hypotheses}) == 5


# --- While it runs ----------------------------------------------------------------------------


@MANY
@given(models, sources, anything)
def test_every_step_is_reported(
    model: ToyModel, rows: list[list[int]], config: SearchConfig
) -> None:
    seen: list[list[PartialHypothesis]] = []
    results = search(model, rows, config=config, on_step=lambda partial: seen.append(list(partial)))
    assert all(len(partial) == len(rows) for partial in seen)
    for number, row in enumerate(rows):
        for step, partial in enumerate(seen):
            best = partial[number]
            assert 0 < len(best.tokens) <= step + 1
            expected = score(model, row, best.tokens)
            assert best.token_log_probabilities == pytest.approx(
                expected.log_probabilities, abs=2e-5
            )
            assert best.cumulative == pytest.approx(sum(expected.log_probabilities), abs=2e-5)
            if expected.attention is None:
                assert best.attention is None
            else:
                assert best.attention is not None
                assert np.allclose(best.attention, expected.attention.numpy(), atol=1e-5)
        assert seen[-1][number].tokens == results[number].hypotheses[0].tokens


@FEW
@given(models, sources, anything, st.lists(st.integers(1, 4), min_size=8, max_size=8))
def test_stopping_a_row_returns_its_best_so_far(
    model: ToyModel, rows: list[list[int]], config: SearchConfig, steps: list[int]
) -> None:
    asked = [0] * len(rows)

    def should_stop(row: int) -> bool:
        asked[row] += 1
        return asked[row] >= steps[row]

    config = dataclasses.replace(config, max_length=9, min_length=9, no_repeat_ngram=0)
    results = search(model, rows, config=config, should_stop=should_stop, trace=True)
    assert asked == steps[: len(rows)]
    for result, count in zip(results, steps, strict=False):
        assert all(len(h.tokens) == count and not h.ended for h in result.hypotheses)
        assert result.trace is not None
        assert len(result.trace.steps) == count
        assert {h.node for h in result.hypotheses} <= {f.node for f in result.trace.finished}
