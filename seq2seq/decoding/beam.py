"""The search for one sentence: its live hypotheses, its finished ones, and when it is over.

Nothing here knows the model or holds a tensor: a step of the decoder arrives as lists of
numbers. Greedy search is a beam of 1; draws are hypotheses that do not compete.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from seq2seq.config import SearchConfig
from seq2seq.decoding.hypotheses import Node
from seq2seq.decoding.inputs import Request
from seq2seq.decoding.scoring import LengthPenalty

__all__ = [
    "Beam",
    "Continuation",
    "Finished",
    "Proposal",
    "RowScores",
    "Verdict",
    "Verdicts",
    "best_proposals",
]

_NEVER = float("-inf")


class RowScores(NamedTuple):
    """What the decoder says about the next piece of one live hypothesis.

    Attributes:
        log_probabilities: the model's own, the largest ones, in falling order.
        tokens: the pieces they belong to.
    """

    log_probabilities: Sequence[float]
    tokens: Sequence[int]


class Proposal(NamedTuple):
    """A continuation that may survive.

    Attributes:
        slot: index of the live hypothesis that it continues.
        lane: equals ``slot`` in a search, the number of the draw in sampling.
        token: the piece.
        log_probability: the model's own.
        rank: 1 for the piece that the model thinks most probable.
    """

    slot: int
    lane: int
    token: int
    log_probability: float
    rank: int


Continuation: TypeAlias = tuple[int, int, int, float, int]
"""What a :class:`Proposal` is without its names, which take long to give to thousands a second."""


class Verdict(NamedTuple):
    """What became of a proposal: the new hypothesis, or None if it was pruned; and why."""

    proposal: Continuation
    node: Node | None
    reason: str


class Verdicts(NamedTuple):
    """What became of the proposals of a step.

    Reasons are put into words when somebody asks: most traces are never opened.

    Attributes:
        proposals: as far as they were looked at.
        nodes: the hypotheses that were made of them; None for what was not.
        eos: the piece that ends a hypothesis.
        reasons: why a proposal lives on, or ends a hypothesis; why it does not, and why an end of
            sentence does not.
        hopeless: none lives on, though they could: they cannot beat the finished ones.
    """

    proposals: Sequence[Continuation] = ()
    nodes: Sequence[Node | None] = ()
    eos: int = -1
    reasons: tuple[str, str, str, str] = ("", "", "", "")
    hopeless: bool = False

    def born(self) -> list[Node]:
        """Hypotheses that live on or have ended."""
        nodes = [node for node in self.nodes if node is not None]
        return [node for node in nodes if node.token == self.eos] if self.hopeless else nodes

    def each(self) -> list[Verdict]:
        """In the order of the proposals."""
        return [*map(self._judge, self.proposals, self.nodes)]

    def _judge(self, proposal: Continuation, node: Node | None) -> Verdict:
        ends = proposal[2] == self.eos
        if self.hopeless and node is not None and not ends:
            return Verdict(proposal, None, "cannot beat the finished")
        return Verdict(proposal, node, self.reasons[2 * (node is None) + ends])


_NO_VERDICTS = Verdicts()
_FORCED = ("forced", "forced", "outside beam", "outside beam")
_DRAWN = ("drawn", "end of sentence", "outside beam", "outside beam")
_BEST = ("best in beam", "end of sentence", "outside beam", "outside beam")


@dataclass(frozen=True)
class Finished:
    """A hypothesis that left the search.

    Attributes:
        node: its last piece.
        score: normalised.
        ended: it ended with end-of-sentence; False if it was cut off.
    """

    node: Node
    score: float
    ended: bool


def best_proposals(
    bases: Sequence[float],
    scores: Sequence[RowScores],
    barred: Sequence[Mapping[int, str]],
    *,
    count: int,
) -> list[Proposal]:
    """The ``count`` continuations with the highest cumulative score, best first.

    Args:
        bases, scores, barred: one entry per live hypothesis; its cumulative score, and the pieces
            that may not follow it.
        count: how many; each entry of ``scores`` must hold that many pieces that are not barred,
            unless the vocabulary is too small. Pieces with probability 0 never survive.
    """

    def stream(slot: int) -> Iterator[tuple[float, Proposal]]:
        base, forbidden, row = bases[slot], barred[slot], scores[slot]
        pairs = zip(row.log_probabilities, row.tokens, strict=True)
        for rank, (value, token) in enumerate(pairs, start=1):
            if value == _NEVER:
                return
            if token not in forbidden:
                yield -(base + value), Proposal(slot, slot, token, value, rank)

    merged = heapq.merge(*map(stream, range(len(bases))))
    return [proposal for _, proposal in zip(range(count), (p for _, p in merged), strict=False)]


class Beam:
    """The state of the search for one sentence.

    Args:
        request: the sentence.
        config: how to search.
        bos: the piece that the root stands for.
        eos: the piece that ends a hypothesis.

    Attributes:
        live: hypotheses that the next step continues, best first; empty when the search is over.
        lanes: index into ``live`` for every draw, or for every live hypothesis in a search.
        pool: hypotheses that left the search, in the order of time.
    """

    def __init__(self, request: Request, *, config: SearchConfig, bos: int, eos: int) -> None:
        self.request = request
        self.live = [Node(bos)]
        self.pool: list[Finished] = []
        self._config = config
        self._sampling = config.sampling is not None
        self.lanes = dict.fromkeys(range(config.n_best if self._sampling else 1), 0)
        self._eos = eos
        self._length_penalty = LengthPenalty.of(config)
        self._best: list[float] = []  # heap of the highest scores in the pool
        self._enough = config.n_best if config.stopping == "exact" else config.beam

    @property
    def done(self) -> bool:
        """Nothing is left to continue."""
        return not self.live

    @property
    def position(self) -> int:
        """Number of pieces in every live hypothesis."""
        return self.live[0].length

    @property
    def forced(self) -> int | None:
        """The piece that the prefix demands next."""
        prefix, position = self.request.prefix, self.position
        return prefix[position] if position < len(prefix) else None

    @property
    def at_limit(self) -> bool:
        """Only end-of-sentence may still follow."""
        return self.position >= self.request.limit

    @property
    def finished(self) -> list[Finished]:
        """The pool, best first; equal scores in the order of time."""
        return sorted(self.pool, key=lambda finished: -finished.score)

    @property
    def leader(self) -> Node:
        """The hypothesis that would win if the search were stopped now."""
        scored = [(entry.score, entry.node) for entry in self.pool]
        scored += [(self._score(node), node) for node in self.live]
        return max(scored, key=lambda pair: pair[0])[1]

    def advance(
        self,
        proposals: Iterable[Continuation],
        *,
        row: int = 0,
        penalties: Sequence[float] | None = None,
        explain: bool = False,
    ) -> Verdicts:
        """One step.

        In a search the best ``beam`` proposals may end hypotheses, and the best ``beam`` others
        live on. At the length limit hypotheses that did not end join the pool as they are.

        Args:
            proposals: best first; as many as can survive are looked at.
            row: the decoder's row of the first live hypothesis; the others follow.
            penalties: coverage penalty of each live hypothesis, this step's attention included;
                None counts as 0.
            explain: return what became of the proposals.

        Returns:
            What became of the proposals, up to the last that could survive: all after it are
            outside the beam. Of none without ``explain``.
        """
        forced, at_limit = self.forced is not None, self.at_limit
        if at_limit and not forced and self._config.forced_end:
            return self._force_end(proposals if explain else ())
        room = len(self.lanes) if self._sampling else self._config.beam
        grown: list[Node] = []
        lanes: dict[int, int] = {}
        looked_at: list[Continuation] = []
        made: list[Node | None] = []
        hopeless = False
        ended: set[int] = set()
        live, eos, sampling = self.live, self._eos, self._sampling
        free = room  # hypotheses that may still live on
        for order, proposal in enumerate(proposals):
            if not free and order >= room:
                break
            slot, lane, token, value, _ = proposal
            ends = token == eos
            node = None
            if order < room if ends else free and not at_limit:
                penalty = 0.0 if penalties is None else penalties[slot]
                node = Node(token, live[slot], value, row + slot, penalty)
                if ends:
                    self._finish(node, ended=True)
                    ended.add(lane)
                else:
                    if sampling:
                        lanes[lane] = len(grown)
                    grown.append(node)
                    free -= 1
            if explain:
                looked_at.append(proposal)
                made.append(node)
        if not sampling:
            lanes = {slot: slot for slot in range(len(grown))}
        if forced:
            lanes = dict.fromkeys(self.lanes if grown else (), 0)
        elif at_limit or not (grown or self.pool):
            self._cut(self.lanes.keys() - ended)
        elif self._sampling:  # a draw that nothing may follow
            self._cut(self.lanes.keys() - ended - lanes.keys())
        elif grown and self._decided(grown[0]):
            hopeless, grown = True, []
        self.live, self.lanes = grown, lanes
        if not explain:
            return _NO_VERDICTS
        reasons = _FORCED if forced else _DRAWN if sampling else _BEST
        if at_limit:
            reasons = (*reasons[:2], "length limit", reasons[3])
        return Verdicts(looked_at, made, eos, reasons, hopeless)

    def interrupt(self) -> None:
        """End the search: the live hypotheses join the pool as they are."""
        self._cut(self.lanes.keys())
        self.live = []

    def _cut(self, lanes: Iterable[int], *, added: int = 0) -> None:
        for lane in sorted(lanes):
            self._finish(self.live[self.lanes[lane]], ended=False, added=added)

    def _force_end(self, proposals: Iterable[Continuation]) -> Verdicts:
        """Nothing may follow: every live hypothesis ends as if for free, none by itself."""
        self._cut(self.lanes.keys(), added=1)
        self.live, self.lanes = [], {}
        looked_at = list(proposals)
        return Verdicts(looked_at, [None] * len(looked_at), self._eos, ("length limit",) * 4)

    def _finish(self, node: Node, *, ended: bool, added: int = 0) -> None:
        score = self._score(node, added=added)
        self.pool.append(Finished(node, score, ended))
        push = heapq.heappush if len(self._best) < self._enough else heapq.heappushpop
        push(self._best, score)

    def _score(self, node: Node, *, added: int = 0) -> float:
        length = node.length + added
        return self._length_penalty.normalise(node.cumulative, length) + node.penalty

    def _decided(self, best: Node) -> bool:
        """The search is over, although ``best`` and worse ones could go on."""
        if len(self._best) < self._enough:
            return False
        if self._config.stopping == "first":
            return True
        exact = self._config.stopping == "exact"
        longest = self.request.limit + 1 if exact else best.length
        return self._best[0] >= self._length_penalty.bound(best.cumulative, longest)
