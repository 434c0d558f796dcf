"""Constraints, drawing, reading off logits, attention along a path."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.config import ModelConfig, SamplingConfig, SearchConfig
from seq2seq.decoding.beam import Proposal, RowScores, best_proposals
from seq2seq.decoding.constraints import Constraints, repeated
from seq2seq.decoding.hypotheses import AttentionLog, Node
from seq2seq.decoding.inputs import SearchError
from seq2seq.decoding.readout import Demand, Pick, read_logits
from seq2seq.decoding.sampling import Dice, draw, filtered

FEW = settings(deadline=None, max_examples=50)
rows_of_logits = st.integers(0, 10_000).map(
    lambda seed: 3 * torch.randn(3, 9, generator=torch.Generator().manual_seed(seed))
)


# --- Constraints ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "size", "expected"),
    [
        ([], 1, set()),
        ([4, 5], 1, {4, 5}),
        ([4, 5, 4], 2, {5}),
        ([4, 5, 4, 6, 4], 2, {5, 6}),
        ([4, 4], 2, {4}),
        ([4, 5, 6, 4, 5], 3, {6}),
        ([4, 5, 6, 5], 3, set()),
        ([4, 5], 3, set()),
        ([4, 5], 0, set()),
    ],
)
def test_repeated(tokens: list[int], size: int, expected: set[int]) -> None:
    assert repeated(tokens, size) == expected


def chain(*tokens: int) -> Node:
    node = Node(1)
    for token in tokens:
        node = Node(token, parent=node, log_probability=-0.5)
    return node


def test_barred_pieces_and_their_reasons() -> None:
    model = ModelConfig(architecture="toy", source_vocabulary=9, target_vocabulary=9)
    config = SearchConfig(min_length=3, no_repeat_ngram=2)
    constraints = Constraints(config, model)
    special = {0: "special piece", 1: "special piece"}
    assert constraints.barred([chain()]) == [special | {2: "minimum length"}]
    repeats = special | {5: "repeats a 2-gram"}
    assert constraints.barred([chain(4, 5, 4), chain(4, 5, 6)]) == [repeats, special]
    assert Constraints(SearchConfig(), model).barred([chain(4, 4, 4)] * 2) == [special] * 2


def test_end_of_sentence_may_share_its_id_with_the_start() -> None:
    model = ModelConfig(
        architecture="toy", source_vocabulary=9, target_vocabulary=9, bos_id=2, eos_id=2
    )
    assert Constraints(SearchConfig(), model).barred([chain()]) == [{0: "special piece"}]


def test_nodes_add_up() -> None:
    node = chain(4, 5, 6)
    assert node.tokens == (4, 5, 6)
    assert node.cumulative == -1.5
    assert node.length == 3
    assert chain().tokens == ()


# --- Choosing ---------------------------------------------------------------------------------


@FEW
@given(rows_of_logits, st.integers(1, 20), st.sets(st.integers(0, 8), max_size=3))
def test_best_proposals_are_the_best(logits: torch.Tensor, count: int, forbidden: set[int]) -> None:
    logs = logits.log_softmax(-1)
    live = [chain(), chain(4), chain(4, 5)]
    values, tokens = logs.sort(-1, descending=True)
    scores = [RowScores(values[n].tolist(), tokens[n].tolist()) for n in range(3)]
    barred = [dict.fromkeys(forbidden, "no")] * 3
    found = best_proposals([n.cumulative for n in live], scores, barred, count=count)
    every = [
        (live[slot].cumulative + float(logs[slot, token]), slot, token)
        for slot in range(3)
        for token in range(9)
        if token not in forbidden
    ]
    expected = sorted(every, reverse=True)[:count]
    assert [(p.slot, p.token) for p in found] == [(slot, token) for _, slot, token in expected]
    for proposal in found:
        assert proposal.rank == 1 + int((logs[proposal.slot] > proposal.log_probability).sum())


# --- Drawing ----------------------------------------------------------------------------------


def plain_filter(logs: list[float], config: SamplingConfig) -> dict[int, float]:
    """Temperature, top-k, top-p, one after the other, on a list."""
    heights = [math.exp(value / config.temperature) for value in logs]
    order = sorted(range(len(logs)), key=lambda token: -heights[token])
    order = order[: config.top_k or len(order)]
    total = sum(heights[token] for token in order)
    kept, mass = {}, 0.0
    for token in order:
        if mass >= config.top_p:
            break
        kept[token] = heights[token] / total
        mass += kept[token]
    return {token: share / mass for token, share in kept.items()}


@FEW
@given(
    rows_of_logits,
    st.sampled_from([0.3, 1.0, 2.0]),
    st.sampled_from([0, 1, 4, 9, 50]),
    st.sampled_from([0.05, 0.5, 0.95, 1.0]),
)
def test_filter_as_published(
    logits: torch.Tensor, temperature: float, top_k: int, top_p: float
) -> None:
    config = SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p)
    weights, pieces = filtered(logits.double().log_softmax(-1).numpy(), config)
    for row in range(3):
        found = np.zeros(9)
        found[pieces[row]] = weights[row] / weights[row].sum()
        expected = plain_filter(logits[row].double().log_softmax(-1).tolist(), config)
        # A piece below the precision may fall on either side of the edge.
        assert found.tolist() == pytest.approx([expected.get(n, 0.0) for n in range(9)], abs=1e-9)


@pytest.mark.parametrize(
    "config",
    [SamplingConfig(), SamplingConfig(top_k=4, temperature=1.5), SamplingConfig(top_p=0.7)],
    ids=["all", "top-k", "top-p"],
)
def test_draws_take_their_share(config: SamplingConfig) -> None:
    logs = torch.randn(2, 9, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    size = 5000
    numbers = [(n + 0.5) / size for n in range(size)]
    barred = [{0: "no"}, {}]
    tokens, scores, ranks = draw(
        logs.numpy(),
        rows=[0] * size + [1] * size,
        numbers=numbers * 2,
        barred=barred,
        config=config,
    )
    assert np.array_equal(scores, logs.numpy()[np.repeat([0, 1], size), tokens])
    for row in range(2):
        allowed = logs[row].clone()
        allowed[list(barred[row])] = -math.inf
        expected = plain_filter(allowed.double().tolist(), config)
        mine = tokens[row * size : (row + 1) * size]
        counts = np.bincount(mine, minlength=9) / size
        assert counts.tolist() == pytest.approx(
            [expected.get(token, 0.0) for token in range(9)], abs=2 / size + 1e-5
        )
        for token in np.unique(mine).tolist():
            first = row * size + mine.tolist().index(token)
            assert ranks[first] == 1 + (logs[row] > logs[row, token]).sum()


def test_the_largest_number_draws_something_possible() -> None:
    logs = torch.tensor([[0.3, 0.7, 0.0, 0.0]]).log()
    for config in (SamplingConfig(), SamplingConfig(top_k=3), SamplingConfig(top_p=0.6)):
        tokens, scores, _ = draw(
            logs.numpy(), rows=[0], numbers=[math.nextafter(1.0, 0.0)], barred=[{}], config=config
        )
        assert math.isfinite(scores.item())
        assert tokens.item() in (0, 1)


def test_every_piece_of_a_large_vocabulary_can_be_drawn() -> None:
    """Sums of so many small numbers must not lose the last ones in rounding."""
    size = 60_000
    logs = np.full((1, size), -math.log(size), dtype=np.float32)
    numbers = [0.0, 0.5, (size - 0.5) / size]
    tokens, _, _ = draw(logs, rows=[0] * 3, numbers=numbers, barred=[{}], config=SamplingConfig())
    assert tokens.tolist() == [0, size // 2, size - 1]


def test_nothing_to_draw_from() -> None:
    logs = np.full((1, 3), math.log(1 / 3), dtype=np.float32)
    _, scores, _ = draw(
        logs,
        rows=[0],
        numbers=[0.5],
        barred=[dict.fromkeys(range(3), "no")],
        config=SamplingConfig(),
    )
    assert scores.tolist() == [-math.inf]


def test_streams_of_random_numbers_do_not_depend_on_how_many_there_are() -> None:
    few, many = (Dice(SamplingConfig(seed=7), draws=n) for n in (2, 5))
    one = [[few.roll(n) for _ in range(4)] for n in range(2)]
    two = [[many.roll(n) for _ in range(4)] for n in range(5)]
    assert one == two[:2]
    assert len({tuple(stream) for stream in two}) == 5
    assert all(0 <= number < 1 for stream in two for number in stream)


# --- Reading ----------------------------------------------------------------------------------


def test_reading_is_the_models_own() -> None:
    logits = torch.randn(2, 9, generator=torch.Generator().manual_seed(2))
    logs = logits.log_softmax(-1)
    demand = Demand(
        wanted=3,
        shown=2,
        bounds=[0, 1, 2],
        bases=[-1.0, -2.0],
        barred=[{0: "no"}, {}],
        picks=[Pick(1, slot=0, lane=0, token=5)],
        trace=True,
    )
    reading = read_logits(logits.numpy(), demand, penalties=np.array([-0.5, -1.0]))
    assert reading.penalties == [-0.5, -1.0]
    assert reading.seen is not None
    for row, tokens in enumerate(reading.seen.tokens.tolist()):
        assert tokens == logs[row].argsort(descending=True)[:4].tolist()
        assert reading.seen.values[row].tolist() == pytest.approx(logs[row, tokens].tolist())
    entropies = torch.special.entr(logs.exp()).sum(-1).tolist()
    assert reading.seen.entropies == pytest.approx(entropies)
    compared, (forced,) = ([Proposal(*one) for one in some] for some in reading.proposals)
    allowed = [token for token in logs[0].argsort(descending=True).tolist() if token]
    assert [proposal.token for proposal in compared] == allowed[:3]
    assert forced.log_probability == pytest.approx(float(logs[1, 5]))
    assert forced.rank == 1 + int((logs[1] > logs[1, 5]).sum())


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_reading_refuses_rows_that_are_no_distribution(wrong: float) -> None:
    logits = np.zeros((2, 5), dtype=np.float32)
    logits[1] = wrong
    with pytest.raises(SearchError, match="not finite"):
        read_logits(
            logits, Demand(wanted=1, shown=1, bounds=[0, 2], bases=[0.0, 0.0], barred=[{}, {}])
        )


@FEW
@given(rows_of_logits, st.data())
def test_it_makes_no_difference_where_pieces_are_compared(
    logits: torch.Tensor, data: st.DataObject
) -> None:
    second = data.draw(st.integers(0, 3))
    logits[0, data.draw(st.integers(0, 8))] = -math.inf
    forbidden = st.sets(st.integers(0, 8), max_size=7)
    barred: list[dict[int, str]] = [dict.fromkeys(data.draw(forbidden), "no") for _ in range(3)]
    if data.draw(st.booleans()):
        barred = [barred[0]] * 3
    demand = Demand(
        wanted=data.draw(st.integers(1, 12)),
        shown=data.draw(st.integers(1, 12)),
        bounds=[0, second, 3] if 0 < second < 3 else [0, 3],
        bases=data.draw(st.lists(st.sampled_from([-9.5, -1.0, 0.0]), min_size=3, max_size=3)),
        barred=barred,
        trace=data.draw(st.booleans()),
    )
    penalties = np.array([0.0, -1.0, -2.0])
    here = read_logits(logits.numpy(), demand, penalties=penalties)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seq2seq.kernels.loaded", lambda: False)
        there = read_logits(logits.numpy(), demand, penalties=penalties)
    for pair in zip(here.proposals, there.proposals, strict=True):
        mine, others = ([Proposal(*one) for one in some] for some in pair)
        assert [p.log_probability for p in mine] == pytest.approx(
            [p.log_probability for p in others], abs=1e-5
        )
        if len({p.log_probability for p in others}) == len(others):  # no ties
            assert [p[:3] for p in mine] == [p[:3] for p in others]
            assert [p.rank for p in mine] == [p.rank for p in others]
    assert here.penalties == there.penalties == [0.0, -1.0, -2.0]
    assert (here.seen is not None) == (there.seen is not None) == demand.trace
    if here.seen and there.seen:
        for kept in (*here.seen[:2], *there.seen[:2]):  # a trace keeps these alone
            assert kept.base is None or kept.base.nbytes == kept.nbytes
        assert here.seen.entropies == pytest.approx(there.seen.entropies, abs=1e-5)
        assert np.allclose(here.seen.values, there.seen.values, atol=1e-5)


# --- Attention --------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 3), max_size=5), min_size=1, max_size=4))
def test_attention_along_paths(paths: list[list[int]]) -> None:
    generator = torch.Generator().manual_seed(3)
    steps = [torch.rand(4, 2, 3, 6, generator=generator) for _ in range(5)]
    log = AttentionLog()
    for step in steps:
        log.add(step.numpy())
    for path, found in zip(paths, log.gather(paths), strict=True):
        expected = [steps[place][row].numpy() for place, row in enumerate(path)]
        assert found.shape == (len(path), 2, 3, 6)
        assert found.dtype == np.float32
        assert np.array_equal(found, np.array(expected).reshape(found.shape))
    for step, mean in zip(steps, log.means(), strict=True):
        assert mean == pytest.approx(step.mean(dim=(1, 2)).numpy())
    assert AttentionLog().means() == []
