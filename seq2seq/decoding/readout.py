"""From what a step of the decoder gives to the few numbers that a search decides by.

All of a step's numbers travel from the device in one transfer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seq2seq import kernels
from seq2seq.config import SamplingConfig
from seq2seq.decoding.beam import Continuation, Proposal, RowScores, best_proposals
from seq2seq.decoding.inputs import SearchError
from seq2seq.decoding.sampling import draw
from seq2seq.nn.model import Choices, Comparison, Largest, largest

__all__ = [
    "Demand",
    "Pick",
    "Reading",
    "Seen",
    "from_host",
    "pack",
    "read_choices",
    "read_logits",
    "to_host",
    "unpack",
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
    """What a trace shows of a step, or of one sentence's part of it.

    Attributes:
        values: (rows, at least what is shown) log-probabilities of the model, falling.
        tokens: the same shape, the pieces they belong to.
        entropies: one per row, in nats.
    """

    values: np.ndarray
    tokens: np.ndarray
    entropies: list[float]

    def of(self, rows: slice, count: int) -> Seen:
        """A copy of some rows and the first ``count`` pieces, which lets go of all others."""
        return Seen(
            self.values[rows, :count].copy(),
            self.tokens[rows, :count].copy(),
            self.entropies[rows],
        )


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


def read_logits(logits: Tensor, demand: Demand, *, penalties: Tensor | None = None) -> Reading:
    """Read what ``demand`` asks for from logits (rows, V), any floating type.

    Args:
        logits: of the model.
        demand: what to read.
        penalties: (rows,) coverage penalty, part of the scores; None counts as 0.

    Raises:
        SearchError: a row of logits is not finite (a -inf among finite ones is a probability of
            0), or a forced piece has probability 0.
    """
    best = largest(logits, demand.most(logits.shape[-1]), entropy=demand.trace)
    picked = []
    if demand.picks:
        picked = _pick(torch.log_softmax(logits, dim=-1, dtype=torch.float32), demand)
    return _read(best, demand, penalties, picked)


def read_choices(
    found: Choices[Any], demand: Demand, *, penalties: Tensor | None = None
) -> Reading:
    """:func:`read_logits` where nothing was picked, from :meth:`Demand.most` pieces per row."""
    if found.best is None:
        return _read(found.largest, demand, penalties, [])
    return _read_compared(found.largest, found.best, demand, penalties)


def _read(
    best: Largest, demand: Demand, penalties: Tensor | None, picked: Sequence[Tensor]
) -> Reading:
    if not picked and best.tokens.device.type == "cpu" and kernels.loaded():
        compared = torch.ops.seq2seq.propose(*best[:2], *demand.comparison())
        return _read_compared(best, compared, demand, penalties)
    tensors = [best.log_probabilities, best.tokens, *picked]
    if penalties is not None:
        tensors.append(penalties)
    if demand.trace and best.entropies is not None:
        tensors.append(best.entropies)
    host = iter(to_host(tensors))
    values, tokens = next(host), next(host)
    _check([row[0] for row in values])
    chosen = _proposals(demand.picks, next(host), next(host), next(host)) if picked else []
    by_row: list[float] | None = next(host) if penalties is not None else None
    scores = list(map(RowScores, values, tokens))
    seen = Seen(np.array(values), np.array(tokens), next(host)) if demand.trace else None
    return Reading(_compare(scores, demand, chosen), by_row, seen)


def _read_compared(
    best: Largest, compared: tuple[Tensor, Tensor], demand: Demand, penalties: Tensor | None
) -> Reading:
    """Where an operator has compared all pieces, before they become lists."""
    proposals = _by_sentence(*(tensor.numpy().tolist() for tensor in compared))
    if not proposals:
        raise SearchError(_NOT_FINITE)
    seen = None
    if demand.trace and best.entropies is not None:
        values, tokens = best.log_probabilities.numpy(), best.tokens.numpy()
        seen = Seen(values, tokens, best.entropies.tolist())
    return Reading(proposals, None if penalties is None else penalties.numpy().tolist(), seen)


def _check(best: Sequence[float]) -> None:
    """Where any score is NaN, softmax makes the whole row NaN."""
    if any(map(math.isnan, best)):
        raise SearchError(_NOT_FINITE)


def _by_sentence(
    found: list[list[list[int]]], scores: list[list[float]]
) -> list[Iterable[Continuation]]:
    """Columns of slots, pieces and ranks, and their log-probabilities, as continuations."""
    proposals: list[Iterable[Continuation]] = []
    for (slots, tokens, ranks), values in zip(found, scores, strict=True):
        if slots and slots[-1] < 0:  # there were not as many
            del slots[slots.index(-1) :]
        proposals.append(zip(slots, slots, tokens, values, ranks, strict=False))
    return proposals


def _compare(
    scores: Sequence[RowScores], demand: Demand, chosen: Sequence[Proposal | None]
) -> list[list[Proposal]]:
    """Proposals of every sentence: what was picked for it, or else the best."""
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


def from_host(numbers: Sequence[int] | Sequence[float], device: torch.device) -> Tensor:
    """A vector (int64 or float64), by way of numpy, which is faster for a few numbers."""
    vector = torch.from_numpy(np.array(numbers))
    return vector if device.type == "cpu" else vector.to(device)


def to_host(tensors: Sequence[Tensor]) -> list[list[Any]]:
    """Tensors as (nested) lists, with one transfer for all of them.

    Args:
        tensors: float32, or integers below 2**31.
    """
    if tensors[0].device.type == "cpu":
        return [tensor.tolist() for tensor in tensors]
    return unpack(pack(tensors).cpu(), tensors)


def pack(tensors: Sequence[Tensor]) -> Tensor:
    """All tensors in one of int32, the bits of floats unchanged."""
    bits = [
        (t.contiguous().view(torch.int32) if t.is_floating_point() else t.int()).flatten()
        for t in tensors
    ]
    return torch.cat(bits)


def unpack(packed: Tensor, tensors: Sequence[Tensor]) -> list[list[Any]]:
    """Lists from the ``packed`` copy, on the host, of ``tensors``."""
    arrived = packed.split([tensor.numel() for tensor in tensors])
    return [
        (part.view(torch.float32) if t.is_floating_point() else part).view(t.shape).tolist()
        for part, t in zip(arrived, tensors, strict=True)
    ]


def _pick(raw: Tensor, demand: Demand) -> list[Tensor]:
    """Pieces, their log-probabilities and ranks, each (picks,)."""
    parts = []
    forced = [(pick.row, pick.token) for pick in demand.picks if pick.token is not None]
    if forced:
        rows, tokens = torch.tensor(forced, device=raw.device).unbind(1)
        chosen = raw.index_select(0, rows)
        scores = chosen.gather(1, tokens[:, None])
        parts.append((tokens, scores[:, 0], (chosen > scores).sum(-1) + 1))
    drawn = [pick for pick in demand.picks if pick.token is None]
    if drawn and demand.sampling is not None:
        parts.append(
            draw(
                raw,
                rows=[pick.row for pick in drawn],
                numbers=[pick.number for pick in drawn],
                barred=demand.barred,
                config=demand.sampling,
            )
        )
    return [torch.cat(column) for column in zip(*parts, strict=True)]


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
