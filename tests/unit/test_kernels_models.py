"""Models on the operators do what their modules on PyTorch do."""

from __future__ import annotations

import dataclasses
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from seq2seq import kernels
from seq2seq.config import ModelConfig
from seq2seq.inference.compiled_transformer import CompiledTransformer
from seq2seq.inference.hosted import HostedModel
from seq2seq.inference.pack import ModuleWeights, pack
from seq2seq.nn import build_model
from tests.operators_support import (
    needs_operators,
    operated,
    recurrents,
    sentences,
    transformers,
    walk,
)


@needs_operators
@pytest.mark.parametrize("index", [[0, 4], [-5]])
def test_rows_that_are_not_there_cannot_be_selected(index: list[int]) -> None:
    model = operated(next(transformers()))
    state = model.start(model.encode(sentences(model, count=4, length=9)))
    with pytest.raises(RuntimeError, match="row"):
        model.step([1] * len(index), state.select(index))


@needs_operators
@pytest.mark.parametrize("config", [next(transformers()), next(recurrents())])
def test_a_step_takes_as_many_pieces_as_there_are_rows(config: ModelConfig) -> None:
    model = operated(config)
    state = model.start(model.encode([[5, 6], [7]]))
    for tokens in ([4], [4, 4, 4]):
        with pytest.raises(RuntimeError, match="other rows"):
            model.step(tokens, state)


@needs_operators
@pytest.mark.parametrize("config", [*transformers(), *recurrents()])
def test_every_model_does_what_its_modules_do(config: ModelConfig) -> None:
    torch.manual_seed(1)
    plain = HostedModel(pack(build_model(config).eval()))
    for (logits, attention), (found, weights) in zip(
        walk(plain), walk(operated(config)), strict=True
    ):
        # An input that rounds to the neighbouring one of 127 levels, here and there.
        assert np.abs(found - logits).max() < 0.1 * logits.std()
        if attention is None:
            assert weights is None
            continue
        assert weights is not None
        assert weights.shape == attention.shape
        assert np.abs(weights - attention).max() < 0.02
        assert np.array_equal(weights == 0, attention == 0)
        assert np.allclose(weights.sum(-1), 1)


@needs_operators
@pytest.mark.parametrize(
    ("config", "vocabulary", "threads"),
    [
        *((config, 3001, 1) for config in (*itertools.islice(transformers(), 2), *recurrents())),
        # So large that threads share the work.
        (next(transformers()), 800_001, 3),
        (next(recurrents()), 900_001, 3),
    ],
)
def test_choosing_is_reading_the_logits(config: ModelConfig, vocabulary: int, threads: int) -> None:
    config = dataclasses.replace(
        config,
        source_vocabulary=vocabulary,
        target_vocabulary=vocabulary,
        share_embeddings=True,
    )
    session = operated(config)
    before = kernels.threads()
    kernels.set_threads(threads)
    try:
        chance = np.random.default_rng(1)
        state = session.start(session.encode(chance.integers(4, 90, (12, 5)).tolist()))
        tokens = chance.integers(4, 90, 12).tolist()
        logits = torch.from_numpy(session.step(tokens, state).logits)
        found = session.choose(tokens, state, count=7).largest
    finally:
        kernels.set_threads(before)
    logs = logits.log_softmax(-1)
    largest = torch.from_numpy(found.log_probabilities)
    assert torch.allclose(largest, logs.topk(7)[0], atol=1e-4)
    assert torch.allclose(largest, logs.gather(1, torch.from_numpy(found.tokens)), atol=1e-4)
    assert found.entropies is not None
    entropies = torch.special.entr(logs.exp()).sum(-1)
    assert torch.allclose(torch.from_numpy(found.entropies), entropies, atol=1e-3)


@needs_operators
def test_threads_change_nothing_whoever_else_is_at_work() -> None:
    config = dataclasses.replace(
        next(transformers()), source_vocabulary=300_001, target_vocabulary=300_001
    )
    session = operated(config)

    def translate(_: int) -> np.ndarray:
        state = session.start(session.encode([[5, 6, 7]] * 3))
        steps = []
        for _ in range(5):
            found = session.choose([7, 8, 9], state, count=4)
            steps.append(found.largest.log_probabilities)
            state = found.state
        return np.array(steps)

    before = kernels.threads()
    try:
        kernels.set_threads(1)
        expected = translate(0)
        kernels.set_threads(3)
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(translate, range(12)):
                assert np.allclose(found, expected, atol=1e-5)
    finally:
        kernels.set_threads(before)


def seconds_by_thread() -> dict[str, float]:
    """Processor time of every thread of this process so far."""
    return {
        task.name: int((task / "schedstat").read_text().split()[0]) / 1e9
        for task in Path("/proc/self/task").iterdir()
    }


@needs_operators
@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell")
@pytest.mark.parametrize("fewer", [2, 1])
def test_helpers_who_are_not_wanted_any_more_sleep(fewer: int) -> None:
    session = operated(
        dataclasses.replace(
            next(transformers()), source_vocabulary=300_001, target_vocabulary=300_001
        )
    )
    state = session.start(session.encode([[5, 6, 7]]))
    before = kernels.threads()
    try:
        for threads in (4, fewer):  # the first makes the helpers
            kernels.set_threads(threads)
            begun = seconds_by_thread()
            for _ in range(60):
                session.choose([7], state, count=4)
            ended = seconds_by_thread()
    finally:
        kernels.set_threads(before)
    spent = [ended[name] - begun.get(name, 0) for name in ended]
    assert sum(one > max(spent) / 4 for one in spent) <= fewer


@needs_operators
def test_positions_grow_whoever_else_needs_some() -> None:
    config = next(transformers())
    model = CompiledTransformer(config, ModuleWeights(build_model(config)))
    assert model._placed(1, 3000) is model._placed(1, 2000)
    assert len(model._positions[1]) >= 3000
    with ThreadPoolExecutor(8) as pool:
        lengths = [4000 + 1000 * (n % 8) for n in range(64)]
        sides = list(pool.map(lambda length: model._placed(0, length), lengths))
    for length, side in zip(lengths, sides, strict=True):
        assert len(side._weights[1]) >= length


@needs_operators
def test_states_that_share_a_cache_do_not_disturb_each_other() -> None:
    session = operated(next(transformers()))
    first = session.step([5, 6], session.start(session.encode([[5, 6, 7], [8, 9]])))
    again = [session.step(t, first.state) for t in ([7, 8], [9, 9], [7, 8])]
    later = [session.step([4, 4], step.state).logits for step in again]
    assert np.array_equal(again[0].logits, again[2].logits)
    assert np.array_equal(later[0], later[2])
    assert not np.array_equal(later[0], later[1])


@needs_operators
def test_a_cache_keeps_what_hypotheses_need_and_no_more() -> None:
    session = operated(next(transformers()))
    chance = np.random.default_rng(1)
    written = np.empty((4, 0), dtype=np.int64)
    memory = session.encode([[5, 6, 7, 8, 9]])
    state = session.start(memory).select([0] * 4)
    for _ in range(70):
        rows, tokens = chance.integers(0, 4, 4), chance.integers(4, 90, 4)
        written = np.concatenate([written[rows], tokens[:, None]], axis=1)
        output = session.step(tokens.tolist(), state.select(rows.tolist()))
        state = output.state
    again = session.start(memory).select([0] * 4)
    for tokens in written.T:
        alone = session.step(tokens.tolist(), again)
        again = alone.state
    assert np.array_equal(output.logits, alone.logits)
    assert state.cache.used < 0.7 * 4 * 70
