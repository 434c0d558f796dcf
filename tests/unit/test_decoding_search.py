"""Search against plain loops and full enumeration, and what holds for every search."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ARCHITECTURES, tiny_model
from toys import (
    BOS,
    EOS,
    PAD,
    UNK,
    ToyModel,
    allowed,
    everything,
    greedy,
    normalised,
    padded,
    score,
)

from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.decoding.search import PartialHypothesis, SearchError, SearchResult, search
from seq2seq.nn.model import AnyModel, StepOutput

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


# --- Against other ways to search -------------------------------------------------------------


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
    (result,) = search(model, padded([source]), config=config, prefixes=[prefix])
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
        (result,) = search(model, padded([source]), config=config)
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
    results = search(model, padded(rows), config=config, prefixes=[prefix] * len(rows))
    for row, result in zip(rows, results, strict=True):
        assert result.hypotheses[0].tokens == greedy(model, row, config, prefix=prefix)


@MANY
@given(models, sources, anything, st.data())
def test_batched_equals_single(
    model: ToyModel, rows: list[list[int]], config: SearchConfig, data: st.DataObject
) -> None:
    prefixes = [data.draw(prefix) for _ in rows]
    together = search(model, padded(rows), config=config, prefixes=prefixes, trace=True)
    for row, forced, result in zip(rows, prefixes, together, strict=True):
        (alone,) = search(model, padded([row]), config=config, prefixes=[forced])
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
        together = search(model, padded(rows), config=config, prefixes=prefixes, trace=True)
        for row, forced, result in zip(rows, prefixes, together, strict=True):
            (alone,) = search(model, padded([row]), config=config, prefixes=[forced])
            assert same(result, alone, close=1e-5)
            check_hypotheses(model, row, result, config)


# --- What a hypothesis says about itself ------------------------------------------------------


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


@MANY
@given(models, sources, anything, st.data())
def test_hypotheses_tell_the_truth(
    model: ToyModel, rows: list[list[int]], config: SearchConfig, data: st.DataObject
) -> None:
    prefixes = [data.draw(prefix) for _ in rows]
    results = search(model, padded(rows), config=config, prefixes=prefixes)
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
    plain = search(model, padded(rows), config=config)
    traced = search(model, padded(rows), config=config, trace=True)
    bare = search(model, padded(rows), config=config, attention=False)
    for one, two, three in zip(plain, traced, bare, strict=True):
        assert same(one, two)
        assert two.trace is not None
        assert one.trace is None
        for a, b in zip(one.hypotheses, three.hypotheses, strict=True):
            assert (a.tokens, a.score, b.attention) == (b.tokens, b.score, None)


def test_n_best_only_lengthens_the_list() -> None:
    for seed in range(10):
        model = ToyModel(vocabulary=8, seed=seed)
        source = padded([[4, 5, 6, EOS]])
        few, many = (
            search(model, source, config=SearchConfig(beam=5, n_best=n, max_length=12))[0]
            for n in (1, 5)
        )
        assert few.hypotheses[0].tokens == many.hypotheses[0].tokens
        assert len(many.hypotheses) == 5
        assert len({h.tokens for h in many.hypotheses}) == 5


# --- Lengths and constraints ------------------------------------------------------------------


def always(tokens: Sequence[int], *, vocabulary: int = 8) -> ToyModel:
    """A model that wants ``tokens`` in this order, whatever it has read, by huge margins."""

    class Always(ToyModel):
        def start(self, memory: Any) -> Any:
            state = super().start(memory)
            return dataclasses.replace(state, hidden=torch.zeros_like(state.hidden))

        def step(self, last: torch.Tensor, state: Any) -> StepOutput[Any]:
            output = super().step(last, state)
            position = int(state.hidden[0, 0])
            logits = torch.zeros_like(output.logits)
            logits[:, EOS] = -1.0  # what it does not want it wants least
            logits[:, tokens[min(position, len(tokens) - 1)]] = 20.0
            moved = dataclasses.replace(state, hidden=state.hidden + 1)
            return StepOutput(logits, output.attention, moved)

    return Always(vocabulary=vocabulary)


def test_limit_cuts_a_hypothesis_that_does_not_end() -> None:
    model = always([5, 6, 5, 6, 5, 6, EOS])
    config = SearchConfig(beam=1, max_length=3)
    (result,) = search(model, padded([[4, EOS]]), config=config, trace=True)
    assert result.hypotheses[0].tokens == (5, 6, 5)
    assert not result.hypotheses[0].ended
    assert result.trace is not None
    assert not result.trace.finished[0].ended


def test_limit_counts_pieces_before_end_of_sentence() -> None:
    (result,) = search(
        always([5, 6, 7, EOS]), padded([[4, EOS]]), config=SearchConfig(beam=1, max_length=3)
    )
    assert result.hypotheses[0].tokens == (5, 6, 7, EOS)
    assert result.hypotheses[0].ended


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize(("row", "expected"), [([4, 5, 6, EOS], 6), ([4, EOS], 4), ([4, 5], 5)])
def test_default_limit_follows_the_source(beam: int, row: list[int], expected: int) -> None:
    config = SearchConfig(beam=beam, length_factor=1.3, length_margin=2, min_length=1)
    results = search(always([5]), padded([row, [4, 4, 4, 4, 4, EOS]]), config=config)
    assert len(results[0].hypotheses[0].tokens) == expected
    assert len(results[1].hypotheses[0].tokens) == 9


def test_min_length_above_the_default_limit_is_reached() -> None:
    config = SearchConfig(beam=1, min_length=6, length_factor=0, length_margin=0)
    (result,) = search(always([EOS]), padded([[4, EOS]]), config=config)
    assert len(result.hypotheses[0].tokens) == 7
    assert result.hypotheses[0].ended


def test_no_piece_left_ends_unfinished() -> None:
    config = SearchConfig(beam=2, min_length=8, max_length=8, no_repeat_ngram=1)
    model = ToyModel(vocabulary=5)
    (result,) = search(model, padded([[4, EOS]]), config=config, trace=True)
    assert sorted(result.hypotheses[0].tokens) == [3, 4]
    assert not result.hypotheses[0].ended


def test_dead_draws_end_unfinished() -> None:
    config = SearchConfig(
        beam=1, n_best=4, min_length=8, max_length=8, no_repeat_ngram=1, sampling=SamplingConfig()
    )
    (result,) = search(ToyModel(vocabulary=5), padded([[4, EOS]]), config=config, trace=True)
    assert [sorted(h.tokens) for h in result.hypotheses] == [[3, 4]] * 4
    assert not any(h.ended for h in result.hypotheses)


# --- Forced prefixes --------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", [None, SamplingConfig(seed=5)])
def test_prefix_of_its_own_for_every_row(sampling: SamplingConfig | None) -> None:
    config = SearchConfig(beam=1 if sampling else 4, max_length=6, sampling=sampling)
    rows = [[4, EOS], [5, 6, EOS], [7, EOS], [4, 4, EOS]]
    prefixes = [[], [4, 4, 4, 4, 4, 4, 4, 4], [6, EOS], [5]]
    results = search(
        ToyModel(vocabulary=8), padded(rows), config=config, prefixes=prefixes, trace=True
    )
    assert list(results[1].hypotheses[0].tokens[:8]) == prefixes[1]
    assert results[2].hypotheses[0].tokens == (6, EOS)
    assert results[2].hypotheses[0].ended
    assert results[3].hypotheses[0].tokens[0] == 5
    for forced, result in zip(prefixes, results, strict=True):
        assert result.trace is not None
        assert result.trace.forced == len(forced)


@pytest.mark.parametrize(
    ("forced", "message"),
    [
        ([EOS, 4], "end-of-sentence"),
        ([PAD], "never produced"),
        ([4, BOS], "never produced"),
        ([4, 99], "vocabulary ends at 5"),
        ([-1], "vocabulary ends at 5"),
    ],
)
def test_impossible_prefix_is_refused(forced: list[int], message: str) -> None:
    with pytest.raises(SearchError, match=message) as caught:
        search(ToyModel(), padded([[4, EOS]]), config=SearchConfig(), prefixes=[forced])
    assert "row 0" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- Bad input and bad models -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (torch.tensor([[4, 2], [0, 0]]), "row 1 has no pieces"),
        (torch.tensor([[4, 0, 2]]), "padding between"),
        (torch.tensor([[4, 77]]), "id 77"),
        (torch.tensor([4, 2]), r"\(rows, S\)"),
        (torch.tensor([[4.0, 2.0]]), "integer"),
        (torch.zeros(1, 0, dtype=torch.long), "row 0 has no pieces"),
    ],
)
def test_impossible_source_is_refused(source: torch.Tensor, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        search(ToyModel(), source, config=SearchConfig())


def test_number_of_prefixes_must_fit() -> None:
    with pytest.raises(SearchError, match="2 sentences need as many prefixes, not 1"):
        search(ToyModel(), padded([[4], [4]]), config=SearchConfig(), prefixes=[[4]])


def test_empty_batch_gives_nothing() -> None:
    assert search(ToyModel(), torch.zeros(0, 3, dtype=torch.long), config=SearchConfig()) == []


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
        search(model, padded([[4, 5, EOS]]), config=config, prefixes=[forced])


def test_impossible_piece_is_never_produced() -> None:
    model = ToyModel(vocabulary=6, ending=-3.0)
    model.bias[5] = -math.inf
    config = SearchConfig(beam=4, n_best=4, max_length=6)
    (result,) = search(model, padded([[4, 5, EOS]]), config=config, trace=True)
    assert all(5 not in h.tokens for h in result.hypotheses)
    assert result.trace is not None
    assert all(math.isfinite(e.entropy) for step in result.trace.steps for e in step.expansions)
    with pytest.raises(SearchError, match="forced piece 5 a probability of 0"):
        search(model, padded([[4, EOS]]), config=config, prefixes=[[4, 5]])


def test_half_precision_scores_are_read_as_single() -> None:
    model = ToyModel(vocabulary=8).to(torch.bfloat16)
    config = SearchConfig(beam=4, n_best=2, max_length=6)
    (result,) = search(model, padded([[4, 5, EOS]]), config=config, trace=True)
    best = result.hypotheses[0]
    assert best.attention is not None
    assert best.attention.dtype == np.float32
    assert best.token_log_probabilities == pytest.approx(
        score(model, [4, 5, EOS], best.tokens).log_probabilities, abs=1e-5
    )


# --- While it runs ----------------------------------------------------------------------------


@MANY
@given(models, sources, anything)
def test_every_step_is_reported(
    model: ToyModel, rows: list[list[int]], config: SearchConfig
) -> None:
    seen: list[list[PartialHypothesis]] = []
    results = search(
        model, padded(rows), config=config, on_step=lambda partial: seen.append(list(partial))
    )
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
    results = search(model, padded(rows), config=config, should_stop=should_stop, trace=True)
    assert asked == steps[: len(rows)]
    for result, count in zip(results, steps, strict=False):
        assert all(len(h.tokens) == count and not h.ended for h in result.hypotheses)
        assert result.trace is not None
        assert len(result.trace.steps) == count
        assert {h.node for h in result.hypotheses} <= {f.node for f in result.trace.finished}


# --- Drawing ----------------------------------------------------------------------------------


def test_equal_seeds_give_equal_draws() -> None:
    model = ToyModel(vocabulary=8, sharpness=0.5)
    source = padded([[4, 5, 6, EOS]])

    def run(seed: int, draws: int) -> list[tuple[int, ...]]:
        config = SearchConfig(
            beam=1,
            n_best=draws,
            length_penalty=0,
            max_length=8,
            sampling=SamplingConfig(seed=seed),
        )
        return [h.tokens for h in search(model, source, config=config)[0].hypotheses]

    assert run(1, 8) == run(1, 8)
    assert run(1, 8) != run(2, 8)
    assert set(run(1, 3)) <= set(run(1, 8))
    assert len(set(run(1, 8))) > 1


def test_draws_follow_the_distribution() -> None:
    model = ToyModel(vocabulary=7, sharpness=1.0)
    row = [4, 5, EOS]
    counts: dict[int, int] = {}
    for seed in range(40):
        config = SearchConfig(beam=1, n_best=64, max_length=1, sampling=SamplingConfig(seed=seed))
        for hypothesis in search(model, padded([row]), config=config)[0].hypotheses:
            counts[hypothesis.tokens[0]] = counts.get(hypothesis.tokens[0], 0) + 1
    expected = {t: math.exp(score(model, row, [t]).log_probabilities[0]) for t in range(EOS, 7)}
    mass = sum(expected.values())
    total = sum(counts.values())
    for token, probability in expected.items():
        share = probability / mass
        error = math.sqrt(share * (1 - share) / total)
        assert abs(counts.get(token, 0) / total - share) < 5 * error + 1e-9


def test_top_k_of_one_is_greedy() -> None:
    for seed in range(10):
        model = ToyModel(vocabulary=8, seed=seed)
        config = SearchConfig(beam=1, max_length=8)
        drawn = dataclasses.replace(config, sampling=SamplingConfig(top_k=1, seed=seed))
        one, two = (
            search(model, padded([[4, 5, 6, EOS]]), config=c)[0].hypotheses[0]
            for c in (config, drawn)
        )
        assert (one.tokens, one.score) == (two.tokens, two.score)
