"""Keeps the trace of one sentence while the search runs, and writes it when it is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, NamedTuple

import numpy as np

from seq2seq.config import SearchConfig
from seq2seq.decoding.beam import Beam, RowScores, Verdict
from seq2seq.decoding.hypotheses import Node
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


class _Record(NamedTuple):
    """What a step leaves behind, as the search had it."""

    live: Sequence[Node]
    scores: Sequence[RowScores]
    entropies: Sequence[float]
    barred: Sequence[Mapping[int, str]]
    verdicts: Sequence[Verdict]


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
        self._records: list[_Record] = []
        self._attention: list[np.ndarray] = []  # of each step (live hypotheses, source pieces)
        self._prefix = beam.request.prefix
        self._source_length = beam.request.source_length
        self._limit = beam.request.limit
        self._shown = config.trace_candidates
        self._length_penalty = LengthPenalty.of(config)
        self._eos = eos
        self._otherwise = "outside beam" if config.sampling is None else "not drawn"

    def record(
        self,
        live: Sequence[Node],
        *,
        scores: Sequence[RowScores],
        entropies: Sequence[float],
        barred: Sequence[Mapping[int, str]],
        verdicts: Sequence[Verdict],
    ) -> None:
        """Add a step.

        Args:
            live: the hypotheses before the step; the other arguments have one entry for each.
            scores: the model's most probable pieces.
            entropies: of the model's distributions, in nats.
            barred: pieces that may not follow.
            verdicts: of the proposals of this step, whichever hypothesis they belong to.
        """
        for _, child, _ in verdicts:
            if child is not None:
                child.number = self._nodes
                self._nodes += 1
        self._records.append(_Record(live, scores, entropies, barred, verdicts))

    def finish(self, beam: Beam, attention: Sequence[np.ndarray]) -> Trace:
        """The whole trace; nothing is recorded after it.

        Args:
            beam: the search, which is over.
            attention: for every step (rows, S), mean over layers and heads; empty for a model
                without attention.
        """
        finished = tuple(
            FinishedHypothesis(
                node=_number(entry.node),
                tokens=entry.node.tokens,
                cumulative=entry.node.cumulative,
                normalised=entry.score,
                ended=entry.ended,
            )
            for entry in beam.finished
        )
        for step, record in zip(attention, self._records, strict=False):
            first = record.scores[0].row
            own = step[first : first + len(record.scores), : self._source_length]
            self._attention.append(own.copy())  # which lets go the other sentences of a batch
        return Trace.of(self, finished=finished, forced=len(self._prefix))

    def tokens(self) -> frozenset[int]:
        """All pieces that the steps show."""
        found: set[int] = set()
        for record in self._records:
            found.update(node.token for node in record.live)
            found.update(verdict.node.token for verdict in record.verdicts if verdict.node)
            for scores in record.scores:
                found.update(self._possible(scores)[1])
        return frozenset(found)

    def steps(self) -> tuple[TraceStep, ...]:
        """Write them, with no line of Python for each candidate."""
        rows = [self._rows(record) for record in self._records]
        pruned = iter(_pruned([row for several in rows for row in several]))
        steps = []
        for position, several in enumerate(rows):
            looked: Iterable[list[float] | None] = repeat(None)
            if self._attention:
                looked = self._attention[position].tolist()
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
                for row, weights in zip(several, looked, strict=False)
            ]
            steps.append(TraceStep(position, tuple(expansions)))
        return tuple(steps)

    def _rows(self, record: _Record) -> list[_Row]:
        """What is shown of a step."""
        judged: dict[int, list[Verdict]] = {}
        position = record.live[0].length
        forced = position < len(self._prefix)
        at_limit = position >= self._limit and not forced
        default = "not the forced token" if forced else self._otherwise
        divisor = self._length_penalty.divisor(float(position + 1))
        for verdict in record.verdicts:
            # The others are what they would be if they had not been proposed.
            if verdict.node is not None or verdict.reason != default or at_limit:
                judged.setdefault(verdict.proposal.slot, []).append(verdict)
        rows = []
        for slot, (node, scores) in enumerate(zip(record.live, record.scores, strict=True)):
            values, tokens = self._possible(scores)
            barred = {} if forced else record.barred[slot]
            reasons = None
            if at_limit or not barred.keys().isdisjoint(tokens):
                limited = "length limit" if at_limit else default
                usual = {self._eos: default}
                reasons = [barred.get(token, usual.get(token, limited)) for token in tokens]
            rows.append(
                _Row(
                    node,
                    record.entropies[slot],
                    values,
                    tokens,
                    divisor,
                    scores.penalty,
                    default,
                    reasons,
                    judged.get(slot, ()),
                )
            )
        return rows

    def _possible(self, scores: RowScores) -> tuple[list[float], list[int]]:
        """Log-probabilities and pieces that are shown of a row."""
        values = np.asarray(scores.log_probabilities)[: self._shown].tolist()
        tokens = np.asarray(scores.tokens)[: self._shown].tolist()
        if values and values[-1] == -math.inf:
            possible = values.index(-math.inf)
            return values[:possible], tokens[:possible]
        return values, tokens

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
