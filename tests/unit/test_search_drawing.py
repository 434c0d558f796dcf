"""Drawing is repeatable and follows the distribution."""

from __future__ import annotations

import dataclasses
import math

import pytest
from toys import EOS, ToyModel, score, search

from seq2seq.config import SamplingConfig, SearchConfig


def test_equal_seeds_give_equal_draws() -> None:
    model = ToyModel(vocabulary=8, sharpness=0.5)
    source = [[4, 5, 6, EOS]]

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
        for hypothesis in search(model, [row], config=config)[0].hypotheses:
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
            search(model, [[4, 5, 6, EOS]], config=c)[0].hypotheses[0] for c in (config, drawn)
        )
        assert one.tokens == two.tokens
        assert one.score == pytest.approx(two.score, abs=1e-6)
