"""Lengths, constraints and forced prefixes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from toys import BOS, EOS, PAD, ToyModel, search

from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.decoding.search import SearchError
from seq2seq.nn.model import StepOutput

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
    (result,) = search(model, [[4, EOS]], config=config, trace=True)
    assert result.hypotheses[0].tokens == (5, 6, 5)
    assert not result.hypotheses[0].ended
    assert result.trace is not None
    assert not result.trace.finished[0].ended


def test_limit_counts_pieces_before_end_of_sentence() -> None:
    (result,) = search(
        always([5, 6, 7, EOS]), [[4, EOS]], config=SearchConfig(beam=1, max_length=3)
    )
    assert result.hypotheses[0].tokens == (5, 6, 7, EOS)
    assert result.hypotheses[0].ended


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize(("row", "expected"), [([4, 5, 6, EOS], 6), ([4, EOS], 4), ([4, 5], 5)])
def test_default_limit_follows_the_source(beam: int, row: list[int], expected: int) -> None:
    config = SearchConfig(beam=beam, length_factor=1.3, length_margin=2, min_length=1)
    results = search(always([5]), [row, [4, 4, 4, 4, 4, EOS]], config=config)
    assert len(results[0].hypotheses[0].tokens) == expected
    assert len(results[1].hypotheses[0].tokens) == 9


def test_min_length_above_the_default_limit_is_reached() -> None:
    config = SearchConfig(beam=1, min_length=6, length_factor=0, length_margin=0)
    (result,) = search(always([EOS]), [[4, EOS]], config=config)
    assert len(result.hypotheses[0].tokens) == 7
    assert result.hypotheses[0].ended


def test_no_piece_left_ends_unfinished() -> None:
    config = SearchConfig(beam=2, min_length=8, max_length=8, no_repeat_ngram=1)
    model = ToyModel(vocabulary=5)
    (result,) = search(model, [[4, EOS]], config=config, trace=True)
    assert sorted(result.hypotheses[0].tokens) == [3, 4]
    assert not result.hypotheses[0].ended


def test_dead_draws_end_unfinished() -> None:
    config = SearchConfig(
        beam=1, n_best=4, min_length=8, max_length=8, no_repeat_ngram=1, sampling=SamplingConfig()
    )
    (result,) = search(ToyModel(vocabulary=5), [[4, EOS]], config=config, trace=True)
    assert [sorted(h.tokens) for h in result.hypotheses] == [[3, 4]] * 4
    assert not any(h.ended for h in result.hypotheses)


# --- Forced prefixes --------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", [None, SamplingConfig(seed=5)])
def test_prefix_of_its_own_for_every_row(sampling: SamplingConfig | None) -> None:
    config = SearchConfig(beam=1 if sampling else 4, max_length=6, sampling=sampling)
    rows = [[4, EOS], [5, 6, EOS], [7, EOS], [4, 4, EOS]]
    prefixes = [[], [4, 4, 4, 4, 4, 4, 4, 4], [6, EOS], [5]]
    results = search(ToyModel(vocabulary=8), rows, config=config, prefixes=prefixes, trace=True)
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
        search(ToyModel(), [[4, EOS]], config=SearchConfig(), prefixes=[forced])
    assert "row 0" in str(caught.value)
    assert "\n" not in str(caught.value)
