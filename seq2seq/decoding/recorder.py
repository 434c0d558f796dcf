"""Keeps the trace of one sentence while the search runs, and writes it when it is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, NamedTuple

import numpy as np

from seq2seq.config import SearchConfig
from seq2seq.decoding.beam import Beam, Finished, Verdict, Verdicts
from seq2seq.decoding.hypotheses import Node
from seq2seq.decoding.readout import Seen
from seq2seq.decoding.scoring import LengthPenalty
from seq2seq.decoding.trace import (
    Candidate,
    Expansion,
    Fate,
    FinishedHypothesis,
    Trace,
    TraceStep,
)

__all__ = ["Recorder"]


_new_candidate = partial(tuple.__new__, Candidate)


class _Step(NamedTuple):
    """What a step leaves behind, as the search had it: an entry for each live hypothesis."""

    live: Sequence[Node]
    entropies: Sequence[float]
    penalties: Sequence[float]
    barred: Sequence[Mapping[int, str]]
    verdicts: Verdicts  # of the proposals, whichever hypothesis they belong to


class _Own(NamedTuple):
    """What is one sentence's own.

    Attributes:
        steps: one after another.
        values, tokens: (rows, shown), log-probabilities and pieces.
        attention: (rows, source pieces).
    """

    steps: Sequence[_Step]
    values: np.ndarray
    tokens: np.ndarray
    attention: np.ndarray | None


class _Row(NamedTuple):
    """A hypothesis and the pieces of it that are shown."""

    parent: Node
    entropy: float
    values: Sequence[float]
    tokens: Sequence[int]
    divisor: float
    penalty: float
    default: str
    reasons: Sequence[str] | None
    verdicts: Sequence[Verdict]


class Recorder:
    """The trace of one sentence; changes nothing in the search.

    While the search runs it only keeps what there is, and so does the trace until its steps are
    looked at: a sentence has hundreds of candidates, nearly all pruned.

    Args:
        beam: the search; its root becomes node 0.
        config: of the search.
        eos: the piece that ends a hypothesis.
    """

    def __init__(self, beam: Beam, *, config: SearchConfig, eos: int) -> None:
        beam.live[0].number = 0
        self._nodes = 1
        self._finished: Sequence[Finished] = ()
        # Until it is looked at: the hypotheses before each step and what became of them, what the
        # step saw of all sentences' rows, the first that is this one's; and the attention of all.
        self._kept: list[tuple[Sequence[Node], Verdicts, Seen, int]] = []
        self._looks: Sequence[np.ndarray] = ()
        self._own: _Own | None = None
        self._shown = config.trace_candidates
        self._prefix = beam.request.prefix
        self._source_length = beam.request.source_length
        self._limit = beam.request.limit
        self._length_penalty = LengthPenalty.of(config)
        self._eos = eos
        self._otherwise = "outside beam" if config.sampling is None else "not drawn"

    def record(self, live: Sequence[Node], verdicts: Verdicts, *, seen: Seen, row: int) -> None:
        """Add a step.

        Args:
            live: the hypotheses before the step.
            verdicts: of its proposals, whichever hypothesis they belong to.
            seen: of all the decoder's rows at least as many pieces as are shown.
            row: the decoder's row of the first hypothesis; the others follow.
        """
        for child in verdicts.born():
            child.number = self._nodes
            self._nodes += 1
        self._kept.append((live, verdicts, seen, row))

    def finish(self, beam: Beam, attention: Sequence[np.ndarray]) -> Trace:
        """The whole trace; nothing is recorded after it.

        Args:
            beam: the search, which is over.
            attention: for every step (rows, S), mean over layers and heads; empty for a model
                without attention.
        """
        self._finished = beam.finished
        self._looks = attention
        return Trace.of(self, forced=len(self._prefix))

    def tokens(self) -> frozenset[int]:
        """All pieces that occur in the trace."""
        own = self._let_go()
        found = set(own.tokens[own.values > -math.inf].tolist())
        found.update([node.token for step in own.steps for node in step.live])
        found.update([entry.node.token for entry in self._finished])
        return frozenset(found)

    def _let_go(self) -> _Own:
        """Copies of what is this sentence's own, without the others of its batch."""
        kept, looks = self._kept, self._looks  # another thread empties them, once it has made it
        if self._own is None:
            shown, length = self._shown, self._source_length
            steps, values, tokens = [], [], []
            for live, verdicts, seen, row in kept:
                rows = slice(row, row + len(live))
                penalties = [0.0] * len(live) if seen.penalties is None else seen.penalties[rows]
                entropies, barred = seen.entropies[rows], seen.barred[rows]
                steps.append(_Step(live, entropies, penalties, barred, verdicts))
                values.append(seen.values[rows, :shown])
                tokens.append(seen.tokens[rows, :shown])
            own_looks = [
                look[row : row + len(live), :length]
                for look, (live, _, _, row) in zip(looks, kept, strict=False)
            ]
            attention = np.concatenate(own_looks) if own_looks else None
            self._own = _Own(steps, np.concatenate(values), np.concatenate(tokens), attention)
            self._kept, self._looks = [], ()
        return self._own

    def finished(self) -> tuple[FinishedHypothesis, ...]:
        """Write them, best first."""
        return tuple(
            FinishedHypothesis(
                node=_number(entry.node),
                tokens=entry.node.tokens,
                cumulative=entry.node.cumulative,
                normalised=entry.score,
                ended=entry.ended,
            )
            for entry in self._finished
        )

    def steps(self) -> tuple[TraceStep, ...]:
        """Write them, with no line of Python for each candidate."""
        own = self._let_go()
        numbers = zip(own.values.tolist(), own.tokens.tolist(), strict=True)
        rows = [self._rows(step, islice(numbers, len(step.live))) for step in own.steps]
        pruned = iter(_pruned([row for several in rows for row in several]))
        looks: Iterator[list[float] | None] = repeat(None)
        if own.attention is not None:
            looks = iter(own.attention.tolist())
        steps = []
        for position, several in enumerate(rows):
            expansions = [
                Expansion(
                    node=_number(row.parent),
                    parent=None if row.parent.parent is None else _number(row.parent.parent),
                    token=row.parent.token,
                    cumulative=row.parent.cumulative,
                    entropy=row.entropy,
                    attention=None if weights is None else tuple(weights),
                    candidates=tuple(self._judged(row, next(pruned))),
                )
                for row, weights in zip(several, looks, strict=False)
            ]
            steps.append(TraceStep(position, tuple(expansions)))
        return tuple(steps)

    def _rows(self, step: _Step, shown: Iterable[tuple[list[float], list[int]]]) -> list[_Row]:
        """What is shown of a step: of every row log-probabilities and pieces."""
        judged: dict[int, list[Verdict]] = {}
        position = step.live[0].length
        forced = position < len(self._prefix)
        at_limit = position >= self._limit and not forced
        default = "not the forced token" if forced else self._otherwise
        divisor = self._length_penalty.divisor(float(position + 1))
        for verdict in step.verdicts.each():
            # The others are what they would be if they had not been proposed.
            if verdict.node is not None or verdict.reason != default or at_limit:
                judged.setdefault(verdict.proposal[0], []).append(verdict)
        rows = []
        columns = step.live, step.penalties, step.entropies, step.barred, shown
        for slot, (node, penalty, entropy, forbidden, (values, tokens)) in enumerate(
            zip(*columns, strict=True)
        ):
            count = values.index(-math.inf) if values[-1] == -math.inf else len(values)
            barred = {} if forced else forbidden
            reasons = None
            if at_limit or not barred.keys().isdisjoint(tokens[:count]):
                limited = "length limit" if at_limit else default
                usual = {self._eos: default}
                reasons = [barred.get(token, usual.get(token, limited)) for token in tokens[:count]]
            rows.append(
                _Row(
                    node,
                    entropy,
                    values[:count],
                    tokens[:count],
                    divisor,
                    penalty,
                    default,
                    reasons,
                    judged.get(slot, ()),
                )
            )
        return rows

    def _judged(self, row: _Row, candidates: list[Candidate]) -> list[Candidate]:
        """The same with those in their places that were proposed, best first."""
        if row.reasons is not None:
            candidates = [
                one._replace(reason=reason)
                for one, reason in zip(candidates, row.reasons, strict=True)
            ]
        places: dict[int, list[Candidate]] = {}
        others = []
        for proposal, node, reason in row.verdicts:
            _, _, token, value, rank = proposal
            place = rank - 1
            shown = place < len(candidates) and candidates[place].token == token
            if node is None and not shown:
                continue
            fate: Fate = "pruned"
            if node is not None:
                fate = "finished" if token == self._eos else "kept"
            number = None if node is None else node.number
            numbers: Sequence[Any] = candidates[place][:6] if shown else ()
            if not numbers or numbers[3] != value:  # a draw has read it in another way
                total = row.parent.cumulative + value
                chance = math.exp(min(value, 0.0))
                numbers = token, chance, rank, value, total, total / row.divisor + row.penalty
            found = _new_candidate((*numbers, fate, reason, number))
            if shown:
                places.setdefault(place, []).append(found)
            else:
                others.append(found)
        for place in sorted(places, reverse=True):
            candidates[place : place + 1] = places[place]
        if others:
            candidates += others
            candidates.sort(key=lambda candidate: -candidate.cumulative)
        return candidates


def _pruned(rows: Sequence[_Row]) -> list[list[Candidate]]:
    """Of every row the pieces that are shown, as if none had been proposed."""
    sizes = [len(row.values) for row in rows]
    values = np.array(list(chain.from_iterable(row.values for row in rows)), dtype=np.float64)
    parents, divisors, penalties = (
        np.repeat(numbers, sizes)
        for numbers in (
            [row.parent.cumulative for row in rows],
            [row.divisor for row in rows],
            [row.penalty for row in rows],
        )
    )
    totals = parents + values
    made = map(
        _new_candidate,
        zip(
            chain.from_iterable(row.tokens for row in rows),
            np.exp(np.minimum(values, 0.0)).tolist(),
            chain.from_iterable(range(1, size + 1) for size in sizes),
            values.tolist(),
            totals.tolist(),
            (totals / divisors + penalties).tolist(),
            repeat("pruned"),
            chain.from_iterable(repeat(row.default, len(row.values)) for row in rows),
            repeat(None),
        ),
    )
    return [list(islice(made, size)) for size in sizes]


def _number(node: Node) -> int:
    if node.number is None:
        raise RuntimeError("a hypothesis of the trace was never recorded")
    return node.number
