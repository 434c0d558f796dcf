"""Ids back to the words they spell, before the words are put together into a sentence."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from seq2seq.text.tokenise import is_cjk
from seq2seq.text.vocabulary import MARK, Vocabulary

__all__ = ["Draft", "Part", "drafts_of"]

_REPLACEMENT = "\ufffd"


@dataclass(slots=True)
class Part:
    """A piece and the stretch of text that it stands for; empty for a lone word mark."""

    id: int
    start: int
    end: int


@dataclass(slots=True)
class Draft:
    """A word as the pieces spell it.

    Attributes:
        text: without spaces; empty for a special piece or a word mark with nothing behind it.
        name: of a special piece.
        special: whether it is one.
        parts: the pieces, with their places in ``text``; bytes of one character share its place.
    """

    text: str = ""
    name: str = ""
    special: bool = False
    parts: list[Part] = field(default_factory=list)


def drafts_of(ids: Sequence[int], *, vocabulary: Vocabulary, language: str) -> list[Draft]:
    """Group ids into words. In Chinese, pieces of Chinese characters are words of their own.

    Raises:
        TextError: an id outside the vocabulary.
    """
    drafts: list[Draft] = []
    for unit in _units(ids, vocabulary):
        last = drafts[-1] if drafts else None
        fresh = last is None or last.special or unit.special or unit.initial
        if not fresh and last is not None and language == "zh" and unit.text and last.text:
            fresh = is_cjk(unit.text[0]) or is_cjk(last.text[-1])
        if fresh or last is None:
            last = Draft(special=unit.special, name=unit.name)
            drafts.append(last)
        start = len(last.text)
        last.text += unit.text
        last.parts += [Part(piece, start, len(last.text)) for piece in unit.ids]
    return drafts


@dataclass(slots=True)
class _Unit:
    """One piece, or the bytes of one character."""

    ids: list[int]
    text: str
    initial: bool = False
    special: bool = False
    name: str = ""


def _units(ids: Sequence[int], vocabulary: Vocabulary) -> Iterator[_Unit]:
    index = 0
    while index < len(ids):
        piece = int(ids[index])
        name = vocabulary.name(piece)
        if vocabulary.is_special(piece):
            yield _Unit([piece], "", special=True, name=name)
        elif vocabulary.byte_of(piece) is not None:
            character, size = _character(ids, index, vocabulary)
            yield _Unit([int(i) for i in ids[index : index + size]], character)
            index += size - 1
        else:
            initial = name.startswith(MARK)
            yield _Unit([piece], name[initial:], initial=initial)
        index += 1


def _character(ids: Sequence[int], index: int, vocabulary: Vocabulary) -> tuple[str, int]:
    """The UTF-8 character that starts at ``index`` and its number of bytes."""
    values = bytearray()
    for piece in ids[index : index + 4]:
        value = vocabulary.byte_of(int(piece))
        if value is None:
            break
        values.append(value)
        try:
            character = values.decode("utf-8")
        except UnicodeDecodeError:
            continue
        return _readable(character), len(values)
    return _REPLACEMENT, 1


def _readable(character: str) -> str:
    """Bytes may spell what encoding never produces: spaces, controls, the word mark."""
    if character == MARK:
        return "_"
    bad = character.isspace() or unicodedata.category(character) in ("Cc", "Cs", "Zs", "Zl", "Zp")
    return _REPLACEMENT if bad else character
