"""Between strings and ids: what every text pipeline returns and promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["Encoding", "Piece", "TextError", "TextPipeline", "Word"]


class TextError(ValueError):
    """Text or a text model that cannot be used; the message says why."""


# Words and pieces are made by the thousands. Through its dictionary a frozen object is made in half
# the time, with the same fields and as frozen; it takes half as much memory again.


@dataclass(frozen=True, init=False)
class Word:
    """A unit that a reader would call a word, or a special piece such as end-of-sentence.

    Attributes:
        text: as it stands in ``Encoding.text``; the piece's own name for a special one.
        start, end: character span in ``Encoding.text``, ``start == end`` for a special one.
        special: no text of the user stands behind it.
    """

    text: str
    start: int
    end: int
    special: bool = False

    def __init__(self, text: str, start: int, end: int, special: bool = False) -> None:
        own = self.__dict__
        own["text"] = text
        own["start"] = start
        own["end"] = end
        own["special"] = special


@dataclass(frozen=True, init=False)
class Piece:
    """One id of the model's vocabulary.

    Attributes:
        id: in the vocabulary.
        text: for display; a word's first piece carries no marker.
        word: index into ``Encoding.words``.
        start, end: character span in ``Encoding.text``.
    """

    id: int
    text: str
    word: int
    start: int
    end: int

    def __init__(self, id: int, text: str, word: int, start: int, end: int) -> None:
        own = self.__dict__
        own["id"] = id
        own["text"] = text
        own["word"] = word
        own["start"] = start
        own["end"] = end


@dataclass(frozen=True)
class Encoding:
    """A sentence as text, words and pieces, each with its place in the text.

    Attributes:
        text: the user's own text, untouched (source), or the detokenised one (target).
        language: its code.
        pieces: in the model's order; the last one is end-of-sentence where the model has it.
        words: in reading order; every piece belongs to exactly one.
    """

    text: str
    language: str
    pieces: tuple[Piece, ...]
    words: tuple[Word, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of all pieces."""
        return tuple(piece.id for piece in self.pieces)

    @property
    def word_of_piece(self) -> tuple[int, ...]:
        """For every piece, the index of its word."""
        return tuple(piece.word for piece in self.pieces)


class TextPipeline(Protocol):
    """Strings to ids and back, for the languages of one model."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that can be encoded and decoded."""

    @property
    def source_vocabulary_size(self) -> int:
        """Number of ids on the source side."""

    @property
    def vocabulary_size(self) -> int:
        """Number of ids on the target side."""

    @property
    def pad_id(self) -> int:
        """Id of padding."""

    @property
    def bos_id(self) -> int:
        """Id that starts the decoder."""

    @property
    def eos_id(self) -> int:
        """Id of end-of-sentence."""

    @property
    def unk_id(self) -> int:
        """Id of an unknown piece."""

    def normalise(self, text: str, *, language: str) -> str:
        """The text as the model sees it before it is cut; what a round trip gives back."""

    def encode(self, text: str, *, language: str, target_language: str | None = None) -> Encoding:
        """Encode a source sentence, end-of-sentence included.

        Any string is accepted: emoji and unknown scripts become pieces that :meth:`decode` turns
        back into the same characters; control characters and lone surrogates are left out. An
        empty or blank text gives an encoding whose only piece is end-of-sentence.
        """

    def encode_prefix(self, text: str, *, language: str, complete: bool = False) -> tuple[int, ...]:
        """Ids of a target prefix, without bos and eos, for forced decoding."""

    def decode(self, ids: Sequence[int], *, language: str) -> Encoding:
        """Decode target ids (with or without a final eos) into readable text with words.

        Never raises for any id sequence inside the vocabulary: invalid bytes become U+FFFD.
        """

    def piece_text(self, piece: int) -> str:
        """How one vocabulary entry is shown, ``"␣chat"`` with a visible word start."""

    def save(self, folder: Path) -> None:
        """Write the pipeline's files into a checkpoint folder."""
