"""Greedy search, beam search and sampling over any model of ``decoding/model.py``.

All three are one loop: the decoder makes a step for every live hypothesis of every sentence,
proposals for the next piece are gathered, and each sentence's :class:`Beam` decides. Sampling
differs in where the proposals come from, greedy search is a beam of 1.

A search ends when no live hypothesis can enter the best ``n_best`` any more, which is exact
because log-probabilities are never positive: with a beam wide enough it finds what trying
everything would find. Hypotheses that reach the length limit without an end-of-sentence join
the finished ones as they are and are ranked by the same score, marked as not ended. An
end-of-sentence counts only among the best ``beam`` candidates of its sentence, at the limit too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, overload

import numpy as np

from seq2seq.config import SearchConfig
from seq2seq.decoding.beam import Beam, Finished
from seq2seq.decoding.constraints import Constraints
from seq2seq.decoding.hypotheses import AttentionLog, Node
from seq2seq.decoding.inputs import SearchError, read_requests
from seq2seq.decoding.model import SearchModel
from seq2seq.decoding.readout import Demand, Pick, Reading, read_choices, read_logits
from seq2seq.decoding.recorder import Recorder
from seq2seq.decoding.sampling import Dice
from seq2seq.decoding.scoring import CoveragePenalty
from seq2seq.decoding.trace import Trace

__all__ = [
    "Hypothesis",
    "OnStep",
    "PartialHypothesis",
    "SearchError",
    "SearchResult",
    "ShouldStop",
    "search",
]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A translation.

    Attributes:
        tokens: target ids without bos, with the final end-of-sentence if it ended.
        score: normalised by length and coverage penalty; what hypotheses are ranked by.
        cumulative: sum of ``token_log_probabilities``.
        token_log_probabilities: the model's own, natural logarithm, one per token.
        attention: (len(tokens), layers, heads, source length) float32; None for a model without
            attention or if it was not asked for.
        ended: False if the length limit or ``should_stop`` cut it off.
        node: number of its last piece in the trace; None without a trace.
    """

    tokens: tuple[int, ...]
    score: float
    cumulative: float
    token_log_probabilities: tuple[float, ...]
    attention: np.ndarray | None
    ended: bool
    node: int | None


@dataclass(frozen=True, eq=False)
class PartialHypothesis:
    """The best hypothesis so far, while the search runs; fields as in :class:`Hypothesis`."""

    tokens: tuple[int, ...]
    token_log_probabilities: tuple[float, ...]
    attention: np.ndarray | None
    cumulative: float


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What the search for one sentence found.

    Attributes:
        hypotheses: best first, at least 1 and at most ``n_best``.
        trace: the record, if asked for.
    """

    hypotheses: tuple[Hypothesis, ...]
    trace: Trace | None


OnStep = Callable[[Sequence[PartialHypothesis]], None]
ShouldStop = Callable[[int], bool]


def search(
    model: SearchModel,
    sources: Sequence[Sequence[int]],
    *,
    config: SearchConfig,
    prefixes: Sequence[Sequence[int]] | None = None,
    trace: bool = False,
    attention: bool = True,
    on_step: OnStep | None = None,
    should_stop: ShouldStop | None = None,
) -> list[SearchResult]:
    """Translate a batch of sentences; each result is what the sentence would get alone.

    Args:
        model: ready to run.
        sources: ids of each sentence, of any lengths.
        config: how to search.
        prefixes: per sentence, pieces that the target must begin with; may differ in length. Their
            probabilities are the model's own and count; constraints do not apply to them.
        trace: record the whole search; changes no other output.
        attention: return the attention of the hypotheses.
        on_step: called after every step with the best hypothesis so far of every sentence, each
            made when it is looked at.
        should_stop: asked after every step about every sentence whose search goes on; when True,
            its live hypotheses join the finished ones as they are, not ended.

    Raises:
        SearchError: input that cannot be searched, or scores that are not numbers.
    """
    run = _Search(
        model, sources, config=config, prefixes=prefixes, trace=trace, attention=attention
    )
    run.run(on_step=on_step, should_stop=should_stop)
    return run.results()


class _Search:
    """One call of :func:`search`. Rows of the decoder are live hypotheses, sentence by sentence."""

    def __init__(
        self,
        model: SearchModel,
        sources: Sequence[Sequence[int]],
        *,
        config: SearchConfig,
        prefixes: Sequence[Sequence[int]] | None,
        trace: bool,
        attention: bool,
    ) -> None:
        ids = model.config
        requests = read_requests(sources, prefixes, config=config, model=ids)
        self._model = model
        self._config = config
        self._sources = sources
        self._bos, self._eos = ids.bos_id, ids.eos_id
        self._constraints = Constraints(config, ids)
        self._beams = [Beam(r, config=config, bos=self._bos, eos=self._eos) for r in requests]
        self._longest_prefix = max((len(request.prefix) for request in requests), default=0)
        self._dice = [
            Dice(config.sampling, draws=config.n_best) for _ in requests if config.sampling
        ]
        self._recorders = [
            Recorder(beam, config=config, eos=self._eos) for beam in self._beams if trace
        ]
        self._attention_wanted = attention
        looks = model.attention_layout is not None
        self._seen = AttentionLog() if looks and (attention or trace) else None
        self._coverage: np.ndarray | None = None
        self._penalty = CoveragePenalty(config.coverage_penalty)
        # Each of ``beam`` hypotheses can end in one way only, so twice as many proposals always
        # leave ``beam`` that go on. Greedy search looks at one: it ends when that one is the end.
        self._count = 2 * config.beam if config.beam > 1 else 1

    # --- The loop -----------------------------------------------------------------------------

    def run(self, *, on_step: OnStep | None = None, should_stop: ShouldStop | None = None) -> None:
        """Search until every sentence is done."""
        if not self._beams:
            return
        if self._penalty.beta and self._model.attention_layout:
            self._coverage = self._penalty.start([len(source) for source in self._sources])
        state = self._model.start(self._model.encode(self._sources))
        tokens = [self._bos] * len(self._beams)
        while True:
            state = self._advance(tokens, state)
            if on_step is not None:
                on_step(_Lazily(self._partial, self._beams))
            if should_stop is not None:
                for number, beam in enumerate(self._beams):
                    if not beam.done and should_stop(number):
                        beam.interrupt()
            # For every live hypothesis the decoder's row that it grew from, and its piece.
            live = [node for beam in self._beams for node in beam.live]
            if not live:
                return
            rows, before = [node.row for node in live], len(tokens)
            tokens = [node.token for node in live]
            if rows == list(range(before)):  # nothing moved: nothing to copy
                continue
            state = state.select(rows)
            if self._coverage is not None:
                self._coverage = self._coverage[rows]

    def _advance(self, tokens: Sequence[int], state: Any) -> Any:
        """Make a step and let every sentence decide; the state after it."""
        active = [number for number, beam in enumerate(self._beams) if not beam.done]
        live = [self._beams[number].live for number in active]
        bounds = list(accumulate(map(len, live), initial=0))
        nodes = [node for one in live for node in one]
        picks: list[Pick] = []
        if self._config.sampling or nodes[0].length < self._longest_prefix:
            for number, start in zip(active, bounds, strict=False):
                picks += self._picks(number, start)
        demand = Demand(
            wanted=self._count,
            shown=self._config.trace_candidates if self._recorders else 0,
            bounds=bounds,
            bases=[node.cumulative for node in nodes],
            barred=self._constraints.barred(nodes),
            picks=sorted(picks, key=lambda pick: pick.token is None),
            sampling=self._config.sampling,
            trace=bool(self._recorders),
        )
        after, reading = self._read(tokens, state, demand)
        penalties, seen = reading.penalties, reading.seen
        for place, number in enumerate(active):
            first, end = bounds[place], bounds[place + 1]
            verdicts = self._beams[number].advance(
                reading.proposals[place],
                row=first,
                penalties=penalties and penalties[first:end],
                explain=seen is not None,
            )
            if seen is not None:
                self._recorders[number].record(live[place], verdicts, seen=seen, row=first)
        return after

    def _read(self, tokens: Sequence[int], state: Any, demand: Demand) -> tuple[Any, Reading]:
        """Make a step: the state after it, and what was demanded."""
        looks = self._seen is not None or self._coverage is not None
        if demand.picks:
            output = self._model.step(tokens, state, attention=looks)
            penalties = self._attend(output.attention)
            return output.state, read_logits(output.logits, demand, penalties=penalties)
        count = demand.most(self._model.config.target_vocabulary)
        choices = self._model.choose(
            tokens,
            state,
            count=count,
            entropy=demand.trace,
            attention=looks,
            comparison=demand.comparison(),
        )
        penalties = self._attend(choices.attention)
        return choices.state, read_choices(choices, demand, penalties=penalties)

    def _picks(self, number: int, start: int) -> list[Pick]:
        """What sentence ``number``, whose rows begin at ``start``, does not choose by itself."""
        beam = self._beams[number]
        if beam.forced is not None:
            return [Pick(start, slot=0, lane=0, token=beam.forced)]
        if self._config.sampling is None:
            return []
        roll = self._dice[number].roll
        return [
            Pick(start + slot, slot=slot, lane=lane, number=roll(lane))
            for lane, slot in beam.lanes.items()
        ]

    def _attend(self, attention: np.ndarray | None) -> np.ndarray | None:
        """Keep a step's attention (rows, layers, heads, S); return the coverage penalty (rows,)."""
        if attention is None:
            return None
        if self._seen is not None:
            self._seen.add(attention)
        if self._coverage is None:
            return None
        self._coverage = self._coverage + attention.mean(axis=(1, 2), dtype=np.float32)
        return self._penalty(self._coverage)

    # --- What comes out -----------------------------------------------------------------------

    def results(self) -> list[SearchResult]:
        """One per sentence, when the search is over."""
        chosen = [beam.finished[: self._config.n_best] for beam in self._beams]
        attention = iter(
            self._attention(
                [
                    (beam, entry.node)
                    for beam, best in zip(self._beams, chosen, strict=True)
                    for entry in best
                ]
            )
        )
        means = self._seen.means() if self._recorders and self._seen is not None else []
        results = []
        for number, (beam, best) in enumerate(zip(self._beams, chosen, strict=True)):
            trace = self._recorders[number].finish(beam, means) if self._recorders else None
            hypotheses = tuple(_hypothesis(entry, next(attention)) for entry in best)
            results.append(SearchResult(hypotheses=hypotheses, trace=trace))
        return results

    def _partial(self, beam: Beam) -> PartialHypothesis:
        node = beam.leader
        return PartialHypothesis(
            tokens=node.tokens,
            token_log_probabilities=tuple(n.log_probability for n in node.chain()),
            attention=self._attention([(beam, node)])[0],
            cumulative=node.cumulative,
        )

    def _attention(self, nodes: Sequence[tuple[Beam, Node]]) -> list[np.ndarray | None]:
        """Attention (length, layers, heads, source length) of each hypothesis."""
        if self._seen is None or not self._attention_wanted:
            return [None] * len(nodes)
        maps = self._seen.gather([[n.row for n in node.chain()] for _, node in nodes])
        return [
            weights[..., : beam.request.source_length]
            for (beam, _), weights in zip(nodes, maps, strict=True)
        ]


class _Lazily(Sequence[PartialHypothesis]):
    """What ``make`` makes of every item, made when it is asked for."""

    def __init__(self, make: Callable[[Beam], PartialHypothesis], items: Sequence[Beam]) -> None:
        self._make, self._items = make, items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> PartialHypothesis: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[PartialHypothesis]: ...

    def __getitem__(self, index: int | slice) -> PartialHypothesis | Sequence[PartialHypothesis]:
        if isinstance(index, slice):
            return [self._make(item) for item in self._items[index]]
        return self._make(self._items[index])


def _hypothesis(entry: Finished, attention: np.ndarray | None) -> Hypothesis:
    node = entry.node
    return Hypothesis(
        tokens=node.tokens,
        score=entry.score,
        cumulative=node.cumulative,
        token_log_probabilities=tuple(n.log_probability for n in node.chain()),
        attention=attention,
        ended=entry.ended,
        node=node.number,
    )
