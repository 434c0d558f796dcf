"""What a search is asked for, checked before the model runs."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass

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
    sources: Sequence[Sequence[int]],
    prefixes: Sequence[Sequence[int]] | None,
    *,
    config: SearchConfig,
    model: ModelConfig,
) -> list[Request]:
    """Check the input of a search; one request per sentence.

    Args:
        sources: ids of each sentence.
        prefixes: one per sentence, or None for no forced piece at all.
        config: for the length limit; see :class:`seq2seq.config.SearchConfig`. A forced prefix
            and ``min_length`` may exceed it.
        model: names the special ids and the vocabulary sizes.

    Raises:
        SearchError: an empty sentence, padding inside one, what is no id, ids out of range, or a
            prefix that holds special pieces.
    """
    if prefixes is None:
        prefixes = [()] * len(sources)
    if len(prefixes) != len(sources):
        raise SearchError(f"{len(sources)} sentences need as many prefixes, not {len(prefixes)}")
    requests = []
    for number, (source, prefix) in enumerate(zip(sources, prefixes, strict=True)):
        _check_source(source, number, model)
        forced = tuple(int(token) for token in prefix)
        _check_prefix(forced, number, model)
        content = len(forced) - forced.count(model.eos_id)
        limit = max(_limit(source, config, model), config.min_length, content)
        requests.append(Request(source_length=len(source), prefix=forced, limit=limit))
    return requests


def _limit(row: Sequence[int], config: SearchConfig, model: ModelConfig) -> int:
    """Most target pieces before end-of-sentence, at least 1."""
    if config.max_length is not None:
        return config.max_length
    pieces = sum(token != model.eos_id for token in row)
    return max(math.ceil(config.length_factor * pieces + config.length_margin), 1)


def _check_source(source: Sequence[int], number: int, model: ModelConfig) -> None:
    if not len(source):
        raise SearchError(f"source {number} has no pieces")
    for token in source:
        if not isinstance(token, int) or isinstance(token, bool):
            raise SearchError(f"source {number} holds {reprlib.repr(token)}, which is no id")
        if token == model.pad_id:
            raise SearchError(f"source {number} holds padding")
        if not 0 <= token < model.source_vocabulary:
            raise SearchError(
                f"source {number} holds id {token}, "
                f"but the vocabulary ends at {model.source_vocabulary - 1}"
            )


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
