"""What each source word changes: leave it out and see (Li 2016, representation erasure).

Works for every model, those without attention included. It asks how the probability of the very
same translation falls, so it says what the model used, where attention says where it looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from seq2seq.text.encoding import Encoding
from seq2seq.translation import Translation

__all__ = ["Occlusion", "leave_out"]


@dataclass(frozen=True, eq=False)
class Occlusion:
    """Of one translation.

    Attributes:
        words: the source words that were left out, one at a time, as indices.
        probabilities: of every target word with the whole source, (target words,).
        drops: (target words, ``words``): how much is lost of a word's probability without a
            source word, from -1 (it becomes certain) to 1 (it was certain and becomes
            impossible).
    """

    words: tuple[int, ...]
    probabilities: np.ndarray
    drops: np.ndarray

    @classmethod
    def of(
        cls, translation: Translation, *, words: tuple[int, ...], scores: Sequence[Sequence[float]]
    ) -> Self:
        """From log-probabilities of all target pieces: of the whole source, then without each."""
        target = translation.target
        member = np.zeros((len(target.pieces), len(target.words)))
        for index, piece in enumerate(target.pieces):
            member[index, piece.word] = 1
        logs = np.asarray(scores, dtype=np.float64).reshape(len(words) + 1, len(target.pieces))
        of_words = np.exp(logs @ member)
        return cls(words, of_words[0], (of_words[0] - of_words[1:]).T)


def leave_out(source: Encoding) -> dict[int, list[int]]:
    """Ids of the source without each word in turn, by the word; special ones always stay."""
    shorter = {
        word: [piece.id for piece in source.pieces if piece.word != word]
        for word, span in enumerate(source.words)
        if not span.special
    }
    return {word: ids for word, ids in shorter.items() if ids}
