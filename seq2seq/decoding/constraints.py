"""Which pieces may not follow a hypothesis, and why."""

from __future__ import annotations

from collections.abc import Sequence

from seq2seq.config import ModelConfig, SearchConfig
from seq2seq.decoding.hypotheses import Node

__all__ = ["Constraints", "repeated"]


def repeated(tokens: Sequence[int], size: int) -> set[int]:
    """Pieces that would complete an n-gram of ``size`` that ``tokens`` already holds."""
    if not 0 < size <= len(tokens):
        return set()
    start = len(tokens) - size + 1
    last = tuple(tokens[start:])
    return {
        tokens[end]
        for end in range(size - 1, len(tokens))
        if tuple(tokens[end - size + 1 : end]) == last
    }


class Constraints:
    """The search settings that forbid pieces.

    Padding and bos are never produced, end-of-sentence not before ``min_length`` pieces, and no
    n-gram of ``no_repeat_ngram`` pieces twice.
    """

    def __init__(self, config: SearchConfig, model: ModelConfig) -> None:
        self._min_length = config.min_length
        self._ngram = config.no_repeat_ngram
        specials = {model.pad_id, model.bos_id} - {model.eos_id}
        self._always = dict.fromkeys(specials, "special piece")
        self._early = self._always | {model.eos_id: "minimum length"}
        self._reason = f"repeats a {self._ngram}-gram"

    def barred(self, nodes: Sequence[Node]) -> list[dict[int, str]]:
        """Pieces that may not follow each of some hypotheses of one length, with the reason."""
        length = nodes[0].length
        known = self._early if length < self._min_length else self._always
        if not self._ngram or length < self._ngram:
            return [known] * len(nodes)
        return [
            dict.fromkeys(repeated(node.tokens, self._ngram), self._reason) | known
            for node in nodes
        ]
