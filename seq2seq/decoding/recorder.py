"""Writes the trace of one sentence while the search runs; it changes nothing in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

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


class _Draft(NamedTuple):
    """An :class:`Expansion` whose attention is still on the device, in row ``row``."""

    node: Node
    entropy: float
    row: int
    candidates: tuple[Candidate, ...]


class _Step(NamedTuple):
    """What holds for all candidates of one hypothesis."""

    parent: Node
    divisor: float
    penalty: float
    eos: int
    default: str
    barred: Mapping[int, str]
    at_limit: bool


class Recorder:
    """The trace of one sentence.

    Args:
        beam: the search; its root becomes node 0.
        config: of the search.
        eos: the piece that ends a hypothesis.
    """

    def __init__(self, beam: Beam, *, config: SearchConfig, eos: int) -> None:
        beam.live[0].number = 0
        self._nodes = 1
        self._steps: list[list[_Draft]] = []
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
        judged: dict[int, dict[int, list[Verdict]]] = {}
        for verdict in verdicts:
            proposal, child, _ = verdict
            judged.setdefault(proposal.slot, {}).setdefault(proposal.token, []).append(verdict)
            if child is not None:
                child.number = self._nodes
                self._nodes += 1
        position = live[0].length
        forced = position < len(self._prefix)
        divisor = self._length_penalty.divisor(float(position + 1))
        drafts = []
        for slot, node in enumerate(live):
            step = _Step(
                parent=node,
                divisor=divisor,
                penalty=scores[slot].penalty,
                eos=self._eos,
                default="not the forced token" if forced else self._otherwise,
                barred={} if forced else barred[slot],
                at_limit=position >= self._limit and not forced,
            )
            candidates = self._candidates(step, scores[slot], judged.get(slot, {}))
            drafts.append(_Draft(node, entropies[slot], scores[slot].row, candidates))
        self._steps.append(drafts)

    def finish(self, beam: Beam, attention: Sequence[np.ndarray]) -> Trace:
        """The whole trace.

        Args:
            beam: the search, which is over.
            attention: for every step (rows, S), mean over layers and heads; empty for a model
                without attention.
        """
        steps = tuple(
            TraceStep(
                position,
                tuple(
                    self._expansion(draft, attention[position] if len(attention) else None)
                    for draft in drafts
                ),
            )
            for position, drafts in enumerate(self._steps)
        )
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
        return Trace(steps=steps, finished=finished, forced=len(self._prefix))

    def _candidates(
        self, step: _Step, scores: RowScores, verdicts: dict[int, list[Verdict]]
    ) -> tuple[Candidate, ...]:
        """The most probable pieces and every survivor, best first."""
        found: list[Candidate] = []
        base, divisor, penalty = step.parent.cumulative, step.divisor, step.penalty
        special = step.at_limit or not step.barred.keys().isdisjoint(scores.tokens)
        reason = step.default
        pairs = zip(scores.log_probabilities, scores.tokens, strict=True)
        for rank, (value, token) in enumerate(islice(pairs, self._shown), start=1):
            if value == -math.inf:
                break
            if token in verdicts:
                found += [
                    _candidate(step, token, v.proposal.log_probability, rank, v.node, v.reason)
                    for v in verdicts.pop(token)
                ]
                continue
            if special:
                reason = _reason(step, token)
            total = base + value
            shown = total / divisor + penalty
            found.append(
                Candidate(
                    token, math.exp(min(value, 0.0)), rank, value, total, shown, "pruned", reason,
                    None,
                )
            )  # fmt: skip
        others = [v for judged in verdicts.values() for v in judged if v.node is not None]
        if others:
            found += [_candidate(step, *v.proposal[2:], v.node, v.reason) for v in others]
            found.sort(key=lambda candidate: -candidate.cumulative)
        return tuple(found)

    def _expansion(self, draft: _Draft, attention: np.ndarray | None) -> Expansion:
        node = draft.node
        weights = None
        if attention is not None:
            weights = tuple(attention[draft.row, : self._source_length].tolist())
        return Expansion(
            node=_number(node),
            parent=None if node.parent is None else _number(node.parent),
            token=node.token,
            cumulative=node.cumulative,
            entropy=draft.entropy,
            attention=weights,
            candidates=draft.candidates,
        )


def _candidate(
    step: _Step, token: int, value: float, rank: int, node: Node | None, reason: str
) -> Candidate:
    """One that was proposed."""
    cumulative = step.parent.cumulative + value
    fate: Fate = "pruned"
    if node is not None:
        fate = "finished" if token == step.eos else "kept"
    return Candidate(
        token,
        math.exp(min(value, 0.0)),
        rank,
        value,
        cumulative,
        cumulative / step.divisor + step.penalty,
        fate,
        reason,
        None if node is None else node.number,
    )


def _reason(step: _Step, token: int) -> str:
    """Why a piece that was not even proposed did not survive."""
    if token in step.barred:
        return step.barred[token]
    if step.at_limit and token != step.eos:
        return "length limit"
    return step.default


def _number(node: Node) -> int:
    if node.number is None:
        raise RuntimeError("a hypothesis of the trace was never recorded")
    return node.number
