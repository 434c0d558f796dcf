"""From the decoder's logits to the few numbers per row that a search decides by.

All of a step's numbers travel from the device in one transfer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seq2seq import kernels
from seq2seq.config import SamplingConfig
from seq2seq.decoding.beam import Proposal, RowScores
from seq2seq.decoding.inputs import SearchError
from seq2seq.decoding.sampling import draw

__all__ = ["Demand", "Pick", "Reading", "pack", "read_logits", "to_host", "unpack"]


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


@dataclass(frozen=True)
class Demand:
    """What a step has to read.

    Attributes:
        count: pieces to read per row that are not barred, at least 1.
        shown: pieces to read per row, barred or not.
        barred: for every row, pieces that may not follow.
        picks: those with a forced piece before those to be drawn.
        sampling: how to draw.
        entropy: read entropies too.
    """

    count: int
    shown: int
    barred: Sequence[Mapping[int, str]]
    picks: Sequence[Pick] = ()
    sampling: SamplingConfig | None = None
    entropy: bool = False


@dataclass(frozen=True)
class Reading:
    """A step in plain numbers.

    Attributes:
        scores: one per row.
        picked: one per pick; None for a draw from nothing.
        entropies: one per row, in nats; empty if not demanded.
    """

    scores: list[RowScores]
    picked: list[Proposal | None]
    entropies: list[float]


def read_logits(logits: Tensor, demand: Demand, *, penalties: Tensor | None = None) -> Reading:
    """Read what ``demand`` asks for.

    Args:
        logits: (rows, V) of the model, any floating type.
        demand: what to read.
        penalties: (rows,) coverage penalty, part of the scores; None counts as 0.

    Raises:
        SearchError: a row of logits is not finite (a -inf among finite ones is a probability of
            0), or a forced piece has probability 0.
    """
    count = max(demand.count + max(map(len, demand.barred)), demand.shown)
    best, pieces, entropies = _largest(logits, min(count, logits.shape[-1]), demand.entropy)
    tensors = [best, pieces]
    if demand.picks:
        tensors += _pick(torch.log_softmax(logits, dim=-1, dtype=torch.float32), demand)
    if penalties is not None:
        tensors.append(penalties)
    if entropies is not None:
        tensors.append(entropies)
    host = iter(to_host(tensors))
    values, tokens = next(host), next(host)
    # Where any score is NaN, softmax makes the whole row NaN.
    if any(row[0] != row[0] for row in values):
        raise SearchError("the model produced scores that are not finite (NaN or infinity)")
    picked = _proposals(demand.picks, next(host), next(host), next(host)) if demand.picks else []
    by_row = next(host) if penalties is not None else [0.0] * len(values)
    return Reading(
        scores=list(map(RowScores, range(len(values)), values, tokens, by_row)),
        picked=picked,
        entropies=next(host) if demand.entropy else [],
    )


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


def _largest(logits: Tensor, count: int, entropy: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """The largest log-probabilities (rows, count) in falling order, their pieces, entropies."""
    if kernels.loaded() and logits.device.type == "cpu":
        best, pieces, entropies = torch.ops.seq2seq.largest(logits.float().contiguous(), count)
        return best, pieces, entropies if entropy else None
    raw = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    best, pieces = raw.topk(count, dim=-1)
    if not entropy:
        return best, pieces, None
    # p log p of an impossible piece is 0, not 0 times infinity.
    return best, pieces, -(raw.exp() * raw.clamp_min(-1e30)).sum(-1)


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
