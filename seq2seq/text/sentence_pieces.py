"""The text pipeline of Marian models: one SentencePiece model per side, ids from ``vocab.json``.

Ids are those of ``transformers.MarianTokenizer``, with two exceptions that keep a user's text
from ever turning into something else: ``</s>`` and ``>>fra<<`` in a text are text.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sentencepiece import SentencePieceProcessor

from seq2seq.text.encoding import Encoding, Piece, TextError, Word
from seq2seq.text.surrogates import whole_characters

__all__ = ["MarianText", "Side", "TextIds", "read_vocabulary"]

MARK = "\u2581"
_VISIBLE_MARK = "␣"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_LARGEST_FILE = 50 * 2**20
_MOST_PIECES = 10**6
_LONGEST_PIECE = 1000


@dataclass(frozen=True, kw_only=True)
class TextIds:
    """Ids that are not text, the same on both sides."""

    pad: int
    bos: int
    eos: int
    unk: int


class Side:
    """How one side's text is cut, and which id each piece has.

    Args:
        model: the SentencePiece model as its file holds it.
        ids: of the pieces; names of pieces that the SentencePiece model lacks are allowed. Kept
            as they are: two sides may have the same.
        size: number of ids that the model has; ids without a piece are possible.

    Raises:
        TextError: no SentencePiece model, or an id outside.
    """

    def __init__(self, model: bytes, ids: Mapping[str, int], *, size: int) -> None:
        try:
            self.processor = SentencePieceProcessor(model_proto=model)
        except (RuntimeError, TypeError, ValueError) as error:
            raise TextError("is no SentencePiece model, or a damaged one") from error
        if not self.processor.get_piece_size():
            raise TextError("is no SentencePiece model, or a damaged one")
        self.ids = ids
        self.names: list[str | None] = [None] * size
        for piece, number in self.ids.items():
            if not 0 <= number < size:
                raise TextError(
                    f"has no place for piece {piece[:40]!r} of the vocabulary with id {number}: "
                    f"the model ends at {size}"
                )
            self.names[number] = whole_characters(piece)

    @classmethod
    def load(cls, model: Path, ids: Mapping[str, int], *, size: int) -> Self:
        """Read a ``.spm`` file; raises :class:`TextError`, names the file."""
        content = _read(model)
        try:
            return cls(content, ids, size=size)
        except TextError as error:
            raise TextError(f"{model}: {error}") from error

    def name(self, number: int) -> str:
        """The piece with an id, ``<unused 7>`` if there is none."""
        return self.names[number] or f"<unused {number}>"


class MarianText:
    """SentencePiece on each side. Implements :class:`~seq2seq.text.encoding.TextPipeline`.

    Safe to share between threads.

    Args:
        source, target: the two sides; the same object where they share everything.
        ids: of what is not text.
        languages: codes that it can encode and decode.
        tags: for models of several target languages the piece that each begins the source with,
            by language code, ``{"fr": ">>fra<<"}``.
    """

    def __init__(
        self,
        source: Side,
        target: Side,
        *,
        ids: TextIds,
        languages: Sequence[str],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._source, self._target, self._special = source, target, ids
        self._languages = tuple(languages)
        self._tags = dict(tags or {})
        self._names = {ids.pad, ids.bos, ids.eos, ids.unk}
        for tag in self._tags.values():
            if tag not in source.ids:
                raise TextError(f"the vocabulary has no piece {tag!r}")

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that can be encoded and decoded."""
        return self._languages

    @property
    def source_vocabulary_size(self) -> int:
        """Number of ids on the source side."""
        return len(self._source.names)

    @property
    def vocabulary_size(self) -> int:
        """Number of ids on the target side."""
        return len(self._target.names)

    @property
    def pad_id(self) -> int:
        """Id of padding."""
        return self._special.pad

    @property
    def bos_id(self) -> int:
        """Id that starts the decoder."""
        return self._special.bos

    @property
    def eos_id(self) -> int:
        """Id of end-of-sentence."""
        return self._special.eos

    @property
    def unk_id(self) -> int:
        """Id of an unknown piece."""
        return self._special.unk

    def normalise(self, text: str, *, language: str) -> str:
        """The text as SentencePiece sees it before it is cut."""
        self._check(language)
        side = self._source.processor
        return str(side.normalize(whole_characters(text))).replace(MARK, " ").strip()

    def encode(self, text: str, *, language: str, target_language: str | None = None) -> Encoding:
        """Encode a source sentence, end-of-sentence included.

        With target tags, ``>>fra<<`` of the target language comes first, as a special word.

        Raises:
            TextError: a language that the model does not know.
        """
        self._check(language)
        pieces: list[Piece] = []
        words: list[Word] = []

        def special(number: int, position: int) -> None:
            name = self._source.name(number)
            pieces.append(Piece(number, name, len(words), position, position))
            words.append(Word(name, position, position, special=True))

        if tag := self._tag(target_language):
            special(self._source.ids[tag], 0)
        for group in _grouped(self._cut(text)):
            start, end = _extent(group)
            for part in group:
                pieces.append(Piece(part.id, _shown(part.name), len(words), part.start, part.end))
            words.append(Word(text[start:end], start, end))
        special(self.eos_id, len(text))
        return Encoding(text, language, tuple(pieces), tuple(words))

    def encode_prefix(self, text: str, *, language: str, complete: bool = False) -> tuple[int, ...]:
        """Ids of a target prefix, without bos and eos, for forced decoding.

        ``complete`` makes no difference: the pieces are those of the text as it stands.
        """
        del complete
        self._check(language)
        unknown, known = self.unk_id, self._target.ids
        cut = self._target.processor.encode(whole_characters(text), out_type=str)
        return tuple(known.get(piece, unknown) for piece in cut)

    def decode(self, ids: Sequence[int], *, language: str) -> Encoding:
        """Decode target ids (with or without a final eos) into readable text with words.

        Raises:
            TextError: an id outside the vocabulary, or an unknown language.
        """
        self._check(language)
        parts, text = self._joined(ids)
        lead = len(text) - len(text.lstrip())
        text = text.strip()
        pieces: list[Piece] = []
        words: list[Word] = []
        for group in _grouped(part.moved(-lead, len(text)) for part in parts):
            start, end = _extent(_trimmed(text, group))
            for part in group:
                shown = part.name if part.special else _shown(part.name)
                a, b = max(part.start, start), max(min(part.end, end), part.start, start)
                pieces.append(Piece(part.id, shown, len(words), a, b))
            if group[0].special:
                words.append(Word(group[0].name, start, end, special=True))
            else:
                words.append(Word(text[start:end], start, end))
        return Encoding(text, language, tuple(pieces), tuple(words))

    def piece_text(self, piece: int) -> str:
        """How one target piece is shown, ``"␣chat"`` with a visible word start."""
        if not 0 <= piece < self.vocabulary_size:
            raise TextError(f"id {piece} is outside the vocabulary of {self.vocabulary_size}")
        name = self._target.name(piece)
        return _VISIBLE_MARK + name[1:] if name.startswith(MARK) else name

    def save(self, folder: Path) -> None:
        """Write ``source.spm``, ``target.spm`` and the vocabularies."""
        for name, side in (("source.spm", self._source), ("target.spm", self._target)):
            (Path(folder) / name).write_bytes(side.processor.serialized_model_proto())
        vocabularies = {"vocab.json": self._source.ids}
        if self._target.ids != self._source.ids:
            vocabularies["target_vocab.json"] = self._target.ids
        for name, ids in vocabularies.items():
            text = json.dumps(ids, ensure_ascii=False, indent=0)
            (Path(folder) / name).write_text(text, encoding="utf-8")

    def _check(self, language: str) -> None:
        if language not in self._languages:
            known = ", ".join(self._languages[:20]) + (", …" if len(self._languages) > 20 else "")
            raise TextError(f"language {language!r} is not one of {known}")

    def _tag(self, language: str | None) -> str | None:
        if not self._tags:
            return None
        if language is None or language not in self._tags:
            raise TextError("this model needs one of its target languages")
        return self._tags[language]

    def _cut(self, text: str) -> list[_Part]:
        whole = whole_characters(text)
        cut: dict[str, Any] = self._source.processor.encode_as_offset_mapping(whole)
        parts: list[_Part] = []
        for name, (start, end) in zip(cut["pieces"], cut["offsets"], strict=True):
            number = self._source.ids.get(name, self.unk_id)
            parts.append(_Part(number, name, start, end))
        return _trimmed(whole, parts)

    def _joined(self, ids: Sequence[int]) -> tuple[list[_Part], str]:
        """Pieces with their places in the text that they make together."""
        parts: list[_Part] = []
        text = ""
        run: list[tuple[int, str, int]] = []  # bytes of characters that are not complete yet

        def spell() -> None:
            nonlocal text
            for number, name, start, end in _spelt(run):
                parts.append(_Part(number, name, len(text) + start, len(text) + end))
            text += bytes(value for *_, value in run).decode("utf-8", "replace")
            run.clear()

        for number in ids:
            if not 0 <= number < self.vocabulary_size:
                raise TextError(f"id {number} is outside the vocabulary of {self.vocabulary_size}")
            name = self._target.name(number)
            if byte := _BYTE.fullmatch(name):
                run.append((number, name, int(byte[1], 16)))
                continue
            spell()
            if number in self._names or self._target.names[number] is None:
                parts.append(_Part(number, name, len(text), len(text), special=True))
                continue
            start = len(text)
            text += name.replace(MARK, " ")
            parts.append(_Part(number, name, start, len(text)))
        spell()
        return parts, text


@dataclass(frozen=True)
class _Part:
    """A piece and the characters that it stands for."""

    id: int
    name: str
    start: int
    end: int
    special: bool = False

    def moved(self, by: int, limit: int) -> _Part:
        start, end = (min(max(place + by, 0), limit) for place in (self.start, self.end))
        return _Part(self.id, self.name, start, end, self.special)


def _spelt(run: Sequence[tuple[int, str, int]]) -> list[tuple[int, str, int, int]]:
    """Byte pieces with character spans: a character belongs to the byte that completes it."""
    spans = []
    done = 0
    for count, (number, name, _) in enumerate(run, start=1):
        bytes_so_far = bytes(value for *_, value in run[:count])
        whole = len(bytes_so_far.decode("utf-8", "ignore"))
        spans.append((number, name, done, whole))
        done = max(done, whole)
    if spans:  # what never becomes a character shows as U+FFFD, under the last byte
        total = len(bytes(value for *_, value in run).decode("utf-8", "replace"))
        number, name, start, _ = spans[-1]
        spans[-1] = (number, name, min(start, total), total)
    return spans


def _grouped(parts: Any) -> list[list[_Part]]:
    """Pieces grouped into words: at spaces, between letters and other signs, per CJK piece."""
    groups: list[list[_Part]] = []
    for part in parts:
        if groups and _continues(groups[-1][-1], part):
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _continues(last: _Part, part: _Part) -> bool:
    if last.special or part.special:
        return False
    before = last.name.replace(MARK, "")
    if not before:  # a space alone belongs to what follows
        return not part.name.startswith(MARK)
    if part.name.startswith(MARK):
        return False
    if _BYTE.fullmatch(last.name) or _BYTE.fullmatch(part.name):
        return True
    return _kind(before[-1]) == _kind(part.name[:1]) != "ideograph"


def _kind(character: str) -> str:
    if any(first <= character <= last for first, last in _IDEOGRAPHS):
        return "ideograph"
    return "word" if unicodedata.category(character)[:1] in "LMN" else "sign"


_IDEOGRAPHS = (("\u3040", "\u30ff"), ("\u3400", "\u9fff"), ("\uf900", "\ufaff"),
               ("\U00020000", "\U0003ffff"))  # fmt: skip


def _trimmed(text: str, group: Sequence[_Part]) -> list[_Part]:
    """The group without the space before its word."""
    trimmed = []
    for part in group:
        start = part.start
        while start < part.end and text[start].isspace():
            start += 1
        trimmed.append(_Part(part.id, part.name, start, part.end, part.special))
    return trimmed


def _extent(group: Sequence[_Part]) -> tuple[int, int]:
    """From the first to the last character of a group."""
    solid = [part for part in group if part.start < part.end] or [group[-1]]
    return solid[0].start, solid[-1].end


def _shown(name: str) -> str:
    return name[1:] or _VISIBLE_MARK if name.startswith(MARK) else name


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise TextError(f"{path}: is missing or no file; get the model again")
        if path.stat().st_size > _LARGEST_FILE:
            raise TextError(f"{path}: is larger than any text model")
        return path.read_bytes()
    except OSError as error:
        raise TextError(f"{path}: cannot be read ({error.strerror})") from error


def read_vocabulary(path: Path) -> dict[str, int]:
    """Pieces and their ids from ``vocab.json``; raises :class:`TextError`."""
    try:
        values = json.loads(_read(path).decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, TextError):
            raise
        raise TextError(f"{path}: is not a JSON file of pieces and ids") from error
    if not isinstance(values, dict) or not all(type(value) is int for value in values.values()):
        raise TextError(f"{path}: is not a JSON file of pieces and ids")
    if len(values) > _MOST_PIECES or max(map(len, values), default=0) > _LONGEST_PIECE:
        raise TextError(f"{path}: holds more or longer pieces than any model has")
    if len(set(values.values())) != len(values):
        raise TextError(f"{path}: two pieces have the same id")
    return values
