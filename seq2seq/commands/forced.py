"""Attention of a model that is made to write a given translation (teacher forcing)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq.evaluation.alignment import AlignedPair, Reading, word_attention
from seq2seq.text.encoding import Encoding
from seq2seq.translator import Translator

__all__ = ["ForcedAttention", "forced_attention"]


@dataclass(frozen=True, eq=False)
class ForcedAttention:
    """What a model looked at while it wrote the target side of a pair.

    Attributes:
        pair: the words.
        source: encoding of the source words joined by spaces.
        target: of the target words; a special word in front of them has no row in ``weights``.
        weights: (target pieces and at least one more, layers, heads, source pieces).
    """

    pair: AlignedPair
    source: Encoding
    target: Encoding
    weights: np.ndarray

    def words(self, *, reading: Reading) -> np.ndarray:
        """(target words, layers, heads, source words)."""
        return word_attention(self.weights, self.source, self.target, self.pair, reading=reading)


def forced_attention(
    translator: Translator, pairs: Sequence[AlignedPair], *, source: str, target: str
) -> Iterator[ForcedAttention]:
    """Make the model write each target side; in order. Yields nothing without attention."""
    targets = [
        translator.encode(" ".join(pair.target), language=target, target=target) for pair in pairs
    ]
    documents = translator.translate(
        [" ".join(pair.source) for pair in pairs],
        source=source,
        target=target,
        prefix=[encoding.text for encoding in targets],
        beam=1,
        max_length=1 + max(len(encoding.pieces) for encoding in targets),
    )
    for pair, encoding, document in zip(pairs, targets, documents, strict=True):
        if document.attention is None:
            return
        yield ForcedAttention(pair, document.source, encoding, document.attention.weights)
