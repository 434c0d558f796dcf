"""From what a step of the decoder gives to the few numbers that a search decides by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import NamedTuple

import numpy as np

from seq2seq import kernels
from seq2seq.config import SamplingConfig
from seq2seq.decoding.beam import Continuation, Proposal, RowScores, best_proposals
from seq2seq.decoding.inputs import SearchError
from seq2seq.decoding.model import Choices, Compared, Comparison, Largest
from seq2seq.decoding.sampling import draw
from seq2seq.kernels import reading

__all__ = [
    "Demand",
    "Pick",
    "Reading",
    "Seen",
    "largest",
    "log_softmax",
    "read_choices",
    "read_logits",
]


_NOT_FINITE = "the model produced scores that are not finite (NaN or infinity)"


@dataclass(frozen=True)
class Pick:
    """A piece that is not chosen by comparison: forced by the prefix, or drawn at random.

    Attributes:
        row: of the decoder.
        slot, lane: as in :class:`Proposal`.
        token: the forced piece; None to draw one.
        number: in [0, 1), decides a draw.
    """

    row: int
    slot: int
    lane: int
    token: int | None = None
    number: float = 0.0


class Demand(NamedTuple):
    """What a step has to read.

    Attributes:
        wanted: proposals for each sentence, at least 1.
        shown: pieces to read per row, barred or not.
        bounds: rows at which sentences begin, and the number of rows.
        bases: for every row the cumulative score that its pieces add to.
        barred: for every row, pieces that may not follow.
        picks: those with a forced piece before those to be drawn; sentences that have one get no
            proposals by comparison.
        sampling: how to draw.
        trace: read what a trace shows, too: all pieces read, and entropies.
    """

    wanted: int
    shown: int
    bounds: Sequence[int]
    bases: Sequence[float]
    barred: Sequence[Mapping[int, str]]
    picks: Sequence[Pick] = ()
    sampling: SamplingConfig | None = None
    trace: bool = False

    def most(self, vocabulary: int) -> int:
        """Pieces to read per row, so that those wanted are left when the barred ones are gone."""
        return min(max(self.wanted + max(map(len, self.barred)), self.shown), vocabulary)

    def comparison(self) -> Comparison:
        """What :func:`best_proposals` compares, for whoever does it where the numbers are."""
        barred, ends = list(self.barred[0]), []
        if any(one is not self.barred[0] for one in self.barred):  # which is seldom
            barred = list(chain.from_iterable(self.barred))
            ends = list(accumulate(map(len, self.barred)))
        return Comparison(self.bases, self.bounds, barred, ends, self.wanted)


class Seen(NamedTuple):
    """What a trace shows of a step.

    Attributes:
        values: (rows, at least what is shown) log-probabilities of the model, falling.
        tokens: the same shape, the pieces they belong to.
        entropies: one per row, in nats.
        barred: for every row, pieces that may not follow.
        penalties: of every row; None for none at all.
    """

    values: np.ndarray
    tokens: np.ndarray
    entropies: Sequence[float]
    barred: Sequence[Mapping[int, str]]
    penalties: Sequence[float] | None


class Reading(NamedTuple):
    """What a step says, on the host.

    Attributes:
        proposals: for every sentence, best first.
        penalties: of every row; None for none at all.
        seen: for the trace; None without one.
    """

    proposals: Sequence[Iterable[Continuation]]
    penalties: list[float] | None = None
    seen: Seen | None = None


def read_logits(
    logits: np.ndarray, demand: Demand, *, penalties: np.ndarray | None = None
) -> Reading:
    """Read what ``demand`` asks for from logits (rows, V).

    Args:
        logits: of the model.
        demand: what to read.
        penalties: (rows,) coverage penalty, part of the scores; None counts as 0.

    Raises:
        SearchError: a row of logits is not finite (a -inf among finite ones is a probability of
            0), or a forced piece has probability 0.
    """
    best = largest(logits, demand.most(logits.shape[-1]), entropy=demand.trace)
    if not demand.picks:
        return _read(best, None, demand, penalties)
    _check(best)
    chosen = _pick(log_softmax(logits), demand)
    return _reading(_with_picks(best, demand, chosen), best, demand, penalties)


def read_choices(found: Choices, demand: Demand, *, penalties: np.ndarray | None = None) -> Reading:
    """:func:`read_logits` where nothing was picked, from :meth:`Demand.most` pieces per row."""
    return _read(found.largest, found.compared, demand, penalties)


def largest(logits: np.ndarray, count: int, *, entropy: bool) -> Largest:
    """The ``count`` most probable pieces of every row of logits (rows, V)."""
    if kernels.loaded():
        return reading.largest(logits, count)
    logs = log_softmax(logits)
    tokens = np.argsort(-logs, axis=1, kind="stable")[:, :count].copy()  # without the others
    values = np.take_along_axis(logs, tokens, 1)
    if not entropy:
        return Largest(values, tokens, None)
    # p log p of an impossible piece is 0, not 0 times infinity.
    return Largest(values, tokens, -(np.exp(logs) * np.maximum(logs, -1e30)).sum(1))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities, fp32; where any logit is NaN, the whole row becomes so."""
    logits = logits.astype(np.float32, copy=False)
    with np.errstate(invalid="ignore"):
        below = logits - logits.max(1, keepdims=True)
        shifted: np.ndarray = below - np.log(np.exp(below).sum(1, keepdims=True))
    return shifted


def _read(
    best: Largest, compared: Compared | None, demand: Demand, penalties: np.ndarray | None
) -> Reading:
    """Where the pieces are compared: by an operator, if there is one."""
    if compared is None and kernels.loaded():
        compared = reading.propose(*best[:2], reading.Comparing(demand.comparison()))
    if compared is not None:
        if not compared.finite:
            raise SearchError(_NOT_FINITE)
        return _reading(_by_sentence(compared), best, demand, penalties)
    _check(best)
    return _reading(_with_picks(best, demand, ()), best, demand, penalties)


def _reading(
    proposals: Sequence[Iterable[Continuation]],
    best: Largest,
    demand: Demand,
    penalties: np.ndarray | None,
) -> Reading:
    seen, numbers = None, None if penalties is None else penalties.tolist()
    if demand.trace and best.entropies is not None:
        entropies = best.entropies.tolist()
        seen = Seen(best.log_probabilities, best.tokens, entropies, demand.barred, numbers)
    return Reading(proposals, numbers, seen)


def _check(best: Largest) -> None:
    """Where any score is NaN, softmax makes the whole row NaN."""
    if np.isnan(best.log_probabilities[:, 0]).any():
        raise SearchError(_NOT_FINITE)


def _by_sentence(compared: Compared) -> list[Iterable[Continuation]]:
    """Columns of slots, pieces and ranks, and their log-probabilities, as continuations."""
    proposals: list[Iterable[Continuation]] = []
    columns = zip(compared.found.tolist(), compared.scores.tolist(), strict=True)
    for (slots, tokens, ranks), values in columns:
        if slots and slots[-1] < 0:  # there were not as many
            del slots[slots.index(-1) :]
        proposals.append(zip(slots, slots, tokens, values, ranks, strict=False))
    return proposals


def _with_picks(
    best: Largest, demand: Demand, chosen: Sequence[Proposal | None]
) -> list[list[Proposal]]:
    """Proposals of every sentence: what was picked for it, or else the best."""
    scores = list(map(RowScores, best.log_probabilities.tolist(), best.tokens.tolist()))
    picked: dict[int, list[Proposal]] = {}
    for pick, proposal in zip(demand.picks, chosen, strict=True):
        if proposal is not None:
            picked.setdefault(pick.row, []).append(proposal)
    rows_with_picks = {pick.row for pick in demand.picks}
    found = []
    for start, end in pairwise(demand.bounds):
        if start in rows_with_picks:
            found.append([p for row in range(start, end) for p in picked.get(row, ())])
            continue
        found.append(
            best_proposals(
                demand.bases[start:end],
                scores[start:end],
                demand.barred[start:end],
                count=demand.wanted,
            )
        )
    return found


def _pick(logs: np.ndarray, demand: Demand) -> list[Proposal | None]:
    """What became of every pick: None where a row leaves nothing to draw."""
    forced = [(pick.row, pick.token) for pick in demand.picks if pick.token is not None]
    rows, tokens = [row for row, _ in forced], [token for _, token in forced]
    scores = logs[rows, tokens].tolist()
    ranks = ((logs[rows] > logs[rows, tokens][:, None]).sum(1) + 1).tolist() if rows else []
    drawn = [pick for pick in demand.picks if pick.token is None]
    if drawn and demand.sampling is not None:
        columns = draw(
            logs,
            rows=[pick.row for pick in drawn],
            numbers=[pick.number for pick in drawn],
            barred=demand.barred,
            config=demand.sampling,
        )
        for known, more in zip((tokens, scores, ranks), columns, strict=True):
            known.extend(more.tolist())
    return _proposals(demand.picks, tokens, scores, ranks)


def _proposals(
    picks: Sequence[Pick], tokens: list[int], scores: list[float], ranks: list[int]
) -> list[Proposal | None]:
    found: list[Proposal | None] = []
    for pick, token, score, rank in zip(picks, tokens, scores, ranks, strict=True):
        if score != float("-inf"):
            found.append(Proposal(pick.slot, pick.lane, token, score, rank))
        elif pick.token is None:
            found.append(None)
        else:
            raise SearchError(f"the model gives the forced piece {token} a probability of 0")
    return found
