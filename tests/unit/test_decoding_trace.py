"""The trace is the complete and honest record of a search."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ARCHITECTURES, tiny_model
from toys import BOS, EOS, UNK, ToyModel, normalised, score, search

from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.decoding.recorder import Recorder
from seq2seq.decoding.search import SearchResult
from seq2seq.decoding.trace import Candidate, Expansion, Trace
from seq2seq.nn.model import AnyModel

models = st.builds(
    ToyModel,
    vocabulary=st.integers(5, 9),
    seed=st.integers(0, 10_000),
    sharpness=st.sampled_from([0.5, 2.0, 4.0]),
    ending=st.sampled_from([-2.0, 0.0, 2.0]),
    attends=st.booleans(),
)
sources = st.lists(
    st.lists(st.integers(UNK, 4), max_size=4).map(lambda row: [*row, EOS]), min_size=1, max_size=3
)


@st.composite
def configs(draw: st.DrawFn) -> SearchConfig:
    sampling = draw(st.booleans())
    beam = 1 if sampling else draw(st.integers(1, 5))
    longest = draw(st.integers(3, 7))
    return SearchConfig(
        beam=beam,
        n_best=draw(st.integers(1, 5 if sampling else beam)),
        length_penalty=draw(st.sampled_from([0.0, 1.0])),
        length_formula=draw(st.sampled_from(["power", "wu"])),
        coverage_penalty=draw(st.sampled_from([0.0, 0.4])),
        no_repeat_ngram=draw(st.sampled_from([0, 1, 2])),
        min_length=draw(st.integers(0, 3)),
        max_length=longest,
        sampling=SamplingConfig(seed=draw(st.integers(0, 99)), top_k=3) if sampling else None,
        trace_candidates=draw(st.integers(1, 10)),
    )


def expansions(trace: Trace) -> list[Expansion]:
    return [expansion for step in trace.steps for expansion in step.expansions]


def survivors(trace: Trace) -> dict[int, tuple[Expansion, Candidate]]:
    """Every candidate that became a hypothesis, by its node; no node twice."""
    found: dict[int, tuple[Expansion, Candidate]] = {}
    for expansion in expansions(trace):
        for candidate in expansion.candidates:
            if candidate.node is not None:
                assert candidate.node not in found
                found[candidate.node] = (expansion, candidate)
    return found


def path(trace: Trace, node: int) -> list[Candidate]:
    """The candidates from the root to ``node``."""
    grown = survivors(trace)
    steps: list[Candidate] = []
    while node != 0:
        expansion, candidate = grown[node]
        steps.append(candidate)
        node = expansion.node
    return steps[::-1]


def check_trace(
    model: AnyModel,
    source: Sequence[int],
    result: SearchResult,
    config: SearchConfig,
    prefix: Sequence[int],
) -> None:
    trace = result.trace
    assert trace is not None
    pieces = trace.tokens()
    check_tree(trace, prefix)
    assert pieces == trace.tokens()
    grown = survivors(trace)
    for expansion in expansions(trace):
        before = [candidate.token for candidate in path(trace, expansion.node)]
        check_expansion(model, source, expansion, before, config)
    for finished in trace.finished:
        steps = path(trace, finished.node)
        assert tuple(step.token for step in steps) == finished.tokens
        assert sum(step.step_score for step in steps) == pytest.approx(
            finished.cumulative, abs=1e-5
        )
        assert finished.ended == (finished.tokens[-1:] == (EOS,))
        _, last = grown[finished.node]
        assert last.normalised == pytest.approx(finished.normalised, abs=1e-6)
    ranked = [finished.normalised for finished in trace.finished]
    assert ranked == sorted(ranked, reverse=True)
    best = trace.finished[: config.n_best]
    assert [(h.node, h.tokens, h.score) for h in result.hypotheses] == [
        (f.node, f.tokens, f.normalised) for f in best
    ]
    json.dumps(dataclasses.asdict(trace), allow_nan=False)


def check_tree(trace: Trace, prefix: Sequence[int]) -> None:
    """Numbers are unique, parents exist, kept hypotheses go on, finished ones do not."""
    grown = survivors(trace)
    assert trace.forced == len(prefix)
    assert [step.position for step in trace.steps] == list(range(len(trace.steps)))
    (root,) = trace.steps[0].expansions
    assert (root.node, root.parent, root.token, root.cumulative) == (0, None, BOS, 0.0)
    assert sorted(grown) == list(range(1, len(grown) + 1))
    finished = {entry.node: entry.ended for entry in trace.finished}
    for position, step in enumerate(trace.steps):
        following = trace.steps[position + 1 : position + 2]
        later = {e.node for after in following for e in after.expansions}
        assert len({expansion.node for expansion in step.expansions}) == len(step.expansions)
        for expansion in step.expansions:
            if expansion.node:
                parent, itself = grown[expansion.node]
                assert expansion.parent == parent.node
                assert expansion.token == itself.token
                assert expansion.cumulative == itself.cumulative
                assert itself.fate == "kept"
                assert parent.node in {e.node for e in trace.steps[position - 1].expansions}
            for candidate in expansion.candidates:
                assert (candidate.node is None) == (candidate.fate == "pruned")
                assert candidate.reason
                if candidate.fate == "kept":
                    assert candidate.node in later
                elif candidate.fate == "finished":
                    assert candidate.token == EOS
                    assert finished[candidate.node]
                if position < len(prefix):
                    assert (candidate.fate != "pruned") == (candidate.token == prefix[position])
                    forced = candidate.reason == "forced"
                    assert forced == (candidate.token == prefix[position])


def check_expansion(
    model: AnyModel,
    source: Sequence[int],
    expansion: Expansion,
    before: Sequence[int],
    config: SearchConfig,
) -> None:
    """Every number is the model's own."""
    target = torch.tensor([[BOS, *before]])
    logs = model(torch.tensor([list(source)]), target)[0, -1].double().log_softmax(-1)
    assert expansion.entropy == pytest.approx(float(-(logs.exp() * logs).sum()), abs=1e-4)
    order = logs.argsort(descending=True).tolist()
    listed = [candidate.token for candidate in expansion.candidates]
    assert set(order[: config.trace_candidates]) <= set(listed)
    values = [candidate.cumulative for candidate in expansion.candidates]
    assert values == sorted(values, reverse=True)
    for candidate in expansion.candidates:
        assert 0 <= candidate.probability <= 1
        assert candidate.probability == pytest.approx(math.exp(logs[candidate.token]), abs=1e-5)
        assert candidate.step_score == pytest.approx(float(logs[candidate.token]), abs=2e-5)
        assert order.index(candidate.token) == candidate.rank - 1
        assert candidate.cumulative == pytest.approx(
            expansion.cumulative + candidate.step_score, abs=1e-9
        )
        scored = score(model, source, [*before, candidate.token])
        assert candidate.normalised == pytest.approx(normalised(scored, config), abs=1e-4)
        if candidate.fate == "pruned":
            assert candidate.rank <= config.trace_candidates
    if model.attention_layout is None:
        assert expansion.attention is None
    else:
        assert scored.attention is not None
        expected = scored.attention[-1].mean((0, 1)).tolist()
        assert expansion.attention == pytest.approx(expected, abs=1e-5)
        assert sum(expansion.attention) == pytest.approx(1.0, abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(models, sources, configs(), st.data())
def test_trace_is_complete_and_true(
    model: ToyModel, rows: list[list[int]], config: SearchConfig, data: st.DataObject
) -> None:
    forced = st.lists(st.integers(UNK, 4), max_size=2)
    ended = st.builds(lambda head, end: [*head, EOS] if end else head, forced, st.booleans())
    prefixes = [data.draw(ended) for _ in rows]
    results = search(model, rows, config=config, prefixes=prefixes, trace=True)
    for row, prefix, result in zip(rows, prefixes, results, strict=True):
        check_trace(model, row, result, config, prefix)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_trace_of_every_architecture(architecture: str) -> None:
    model = tiny_model(architecture, vocabulary=40)
    rows = [[7, 8, 9, EOS], [5, 30, 31, 32, 33, EOS]]
    config = SearchConfig(beam=4, n_best=2, max_length=7)
    with torch.inference_mode():
        results = search(model, rows, config=config, prefixes=[[], [8]], trace=True)
        for row, prefix, result in zip(rows, [[], [8]], results, strict=True):
            check_trace(model, row, result, config, prefix)


def beam_trace() -> Trace:
    config = SearchConfig(beam=3, max_length=6, trace_candidates=2)
    (result,) = search(ToyModel(seed=3, vocabulary=9), [[4, 5, EOS]], config=config, trace=True)
    assert result.trace is not None
    return result.trace


def test_steps_are_written_when_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(
        Recorder, "steps", lambda self, write=Recorder.steps: written.append(self) or write(self)
    )
    trace = beam_trace()
    assert trace.finished
    assert not written
    assert trace.steps[0] is trace.steps[0]
    assert len(written) == 1


def test_a_trace_not_yet_written_is_like_any_other() -> None:
    written = beam_trace()
    assert written.steps
    assert beam_trace() == written
    assert hash(beam_trace()) == hash(written)
    assert repr(beam_trace()) == repr(written)
    assert copy.deepcopy(beam_trace()) == written
    assert pickle.loads(pickle.dumps(beam_trace())) == written
    assert dataclasses.replace(beam_trace(), forced=1).steps == written.steps
    assert dataclasses.asdict(beam_trace()) == dataclasses.asdict(written)
    assert not hasattr(beam_trace(), "stage")


def test_many_readers_of_one_trace() -> None:
    expected = beam_trace()
    known = expected.tokens()
    for _ in range(20):
        trace = beam_trace()
        with ThreadPoolExecutor(8) as pool:
            tokens = [pool.submit(trace.tokens) for _ in range(8)]
            steps = list(pool.map(lambda _, trace=trace: trace.steps, range(8)))
        assert all(each == expected.steps for each in steps)
        assert all(each.result() == known for each in tokens)


def test_a_trace_that_was_looked_at_lets_go_of_the_others_of_its_batch() -> None:
    rows = [[4, 5, EOS], [6, EOS], [7, 4, 5, EOS]]
    config = SearchConfig(beam=3, max_length=6)
    results = search(ToyModel(seed=3, vocabulary=9), rows, config=config, trace=True)
    traces = [result.trace for result in results if result.trace is not None]
    recorders = [vars(trace)["_record"] for trace in traces]
    batch = [weakref.ref(seen.values) for *_, seen, _ in recorders[0]._kept]
    batch += [weakref.ref(look) for look in recorders[0]._looks]
    assert len(batch) > 6
    del results
    for trace in traces:
        assert batch[0]() is not None  # of the first step, in which all took part
        assert trace.tokens()
    assert all(array() is None for array in batch)
    for recorder in recorders:
        assert all(len(step.barred) == len(step.live) for step in recorder._own.steps)
        count = sum(len(step.live) for step in recorder._own.steps)
        assert all(len(array) == count for array in recorder._own[1:])


def test_trace_without_attention_output_keeps_attention() -> None:
    (result,) = search(
        ToyModel(), [[4, 5, EOS]], config=SearchConfig(), trace=True, attention=False
    )
    assert result.hypotheses[0].attention is None
    assert result.trace is not None
    assert all(len(e.attention or ()) == 3 for e in expansions(result.trace))


def test_beam_is_kept_full() -> None:
    config = SearchConfig(beam=3, max_length=8)
    (result,) = search(ToyModel(vocabulary=8, seed=4), [[4, 5, 6, EOS]], config=config, trace=True)
    assert result.trace is not None
    first, *others = result.trace.steps
    assert len(first.expansions) == 1
    assert [len(step.expansions) for step in others] == [3] * len(others)
    assert any(f.ended for f in result.trace.finished)


# --- Reasons ----------------------------------------------------------------------------------


def reasons(
    config: SearchConfig, *, prefix: Sequence[int] = (), **options: float
) -> dict[str, list[Candidate]]:
    """Every candidate of one search by its reason."""
    model = ToyModel(vocabulary=8, seed=4, **options)  # type: ignore[arg-type]
    (result,) = search(model, [[4, 5, 6, EOS]], config=config, prefixes=[prefix], trace=True)
    assert result.trace is not None
    found: dict[str, list[Candidate]] = {}
    for expansion in expansions(result.trace):
        for candidate in expansion.candidates:
            found.setdefault(candidate.reason, []).append(candidate)
    return found


def test_reasons_of_a_beam() -> None:
    found = reasons(SearchConfig(beam=3, max_length=6))
    assert set(found) == {
        "best in beam",
        "end of sentence",
        "outside beam",
        "special piece",
        "length limit",
    }
    assert {c.fate for c in found["best in beam"]} == {"kept"}
    assert {c.fate for c in found["end of sentence"]} == {"finished"}
    assert {c.token for c in found["special piece"]} == {0, 1}


def test_reasons_of_constraints() -> None:
    config = SearchConfig(beam=3, max_length=6, min_length=4, no_repeat_ngram=2)
    found = reasons(config, ending=3.0)
    assert {c.token for c in found["minimum length"]} == {EOS}
    assert {c.fate for c in found["repeats a 2-gram"]} == {"pruned"}
    assert EOS not in {c.token for c in found["repeats a 2-gram"]}


def test_reasons_of_a_prefix() -> None:
    found = reasons(SearchConfig(beam=3, max_length=4), prefix=[5, 7])
    assert [c.token for c in found["forced"]] == [5, 7]
    assert {c.fate for c in found["not the forced token"]} == {"pruned"}
    assert len(found["not the forced token"]) == 14


def test_reasons_of_drawing() -> None:
    config = SearchConfig(beam=1, n_best=3, max_length=6, sampling=SamplingConfig(seed=2))
    found = reasons(config)
    assert {c.fate for c in found["drawn"]} == {"kept"}
    assert {c.fate for c in found["not drawn"]} == {"pruned"}
    assert "outside beam" not in found


def test_search_that_stops_early_says_so() -> None:
    found = reasons(SearchConfig(beam=3, length_penalty=0.0), ending=4.0)
    hopeless = found["cannot beat the finished"]
    assert hopeless
    assert {c.fate for c in hopeless} == {"pruned"}
    assert max(c.cumulative for c in hopeless) <= max(
        c.normalised for c in found["end of sentence"]
    )
