"""What a search is asked for, checked before the model runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2seq.config import ModelConfig, SearchConfig

__all__ = ["Request", "SearchError", "read_requests"]


class SearchError(ValueError):
    """A search that cannot be made or continued; the message names the reason in one line."""


@dataclass(frozen=True)
class Request:
    """One sentence of the batch.

    Attributes:
        source_length: source pieces, padding excluded.
        prefix: pieces that the target is forced to begin with.
        limit: target pieces before end-of-sentence.
    """

    source_length: int
    prefix: tuple[int, ...]
    limit: int


def read_requests(
    source: Tensor,
    prefixes: Sequence[Sequence[int]] | None,
    *,
    config: SearchConfig,
    model: ModelConfig,
) -> list[Request]:
    """Check the input of a search; one request per row of ``source``.

    Args:
        source: (rows, S) integer ids, padded on the right with ``model.pad_id``.
        prefixes: one per row, or None for no forced piece at all.
        config: for the length limit; see :class:`seq2seq.config.SearchConfig`. A forced prefix
            and ``min_length`` may exceed it.
        model: names the special ids and the vocabulary sizes.

    Raises:
        SearchError: wrong shape or type, an empty row, padding inside a row, ids out of range,
            or a prefix that holds special pieces.
    """
    if source.dim() != 2 or source.is_floating_point() or source.dtype == torch.bool:
        raise SearchError(
            "source must be a (rows, S) tensor of integer ids, not "
            f"{tuple(source.shape)} of {source.dtype}"
        )
    rows: list[list[int]] = source.tolist()
    if prefixes is None:
        prefixes = [()] * len(rows)
    if len(prefixes) != len(rows):
        raise SearchError(f"{len(rows)} sentences need as many prefixes, not {len(prefixes)}")
    requests = []
    for number, (row, prefix) in enumerate(zip(rows, prefixes, strict=True)):
        length = _source_length(row, number, model)
        forced = tuple(int(token) for token in prefix)
        _check_prefix(forced, number, model)
        content = len(forced) - forced.count(model.eos_id)
        limit = max(_limit(row[:length], config, model), config.min_length, content)
        requests.append(Request(source_length=length, prefix=forced, limit=limit))
    return requests


def _limit(row: Sequence[int], config: SearchConfig, model: ModelConfig) -> int:
    """Most target pieces before end-of-sentence, at least 1."""
    if config.max_length is not None:
        return config.max_length
    pieces = sum(token != model.eos_id for token in row)
    return max(math.ceil(config.length_factor * pieces + config.length_margin), 1)


def _source_length(row: Sequence[int], number: int, model: ModelConfig) -> int:
    length = len(row)
    while length and row[length - 1] == model.pad_id:
        length -= 1
    if not length:
        raise SearchError(f"source row {number} has no pieces")
    if model.pad_id in row[:length]:
        raise SearchError(f"source row {number} has padding between its pieces")
    wrong = [token for token in row if not 0 <= token < model.source_vocabulary]
    if wrong:
        raise SearchError(
            f"source row {number} holds id {wrong[0]}, "
            f"but the vocabulary ends at {model.source_vocabulary - 1}"
        )
    return length


def _check_prefix(prefix: Sequence[int], number: int, model: ModelConfig) -> None:
    for place, token in enumerate(prefix):
        if not 0 <= token < model.target_vocabulary:
            reason = f"but the vocabulary ends at {model.target_vocabulary - 1}"
        elif token == model.eos_id:
            if place == len(prefix) - 1:
                continue
            reason = "end-of-sentence, which may only stand at its end"
        elif token in (model.pad_id, model.bos_id):
            reason = "a special piece that is never produced"
        else:
            continue
        raise SearchError(f"the forced prefix of row {number} holds id {token}, {reason}")
