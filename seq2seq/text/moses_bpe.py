"""The text pipeline of our own models: Moses words, cut into byte-pair pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Self

from seq2seq.text.drafts import Part, drafts_of
from seq2seq.text.encoding import Encoding, Piece, TextError, Word
from seq2seq.text.normalise import LANGUAGES, normalise, normalise_tracked
from seq2seq.text.tokenise import Token, detokenise, tokenise
from seq2seq.text.vocabulary import MARK, Vocabulary

__all__ = ["MosesBpe"]

_VISIBLE_MARK = "␣"
_LARGEST_CACHE = 20_000  # words
_LONGEST_CACHED = 48  # characters of one


class MosesBpe:
    """Normalisation, Moses words and byte-pair pieces with one vocabulary for all languages.

    Implements :class:`~seq2seq.text.encoding.TextPipeline`. No text ever gives an unknown
    piece: what the vocabulary lacks is spelt in UTF-8 bytes. Safe to share between threads.
    """

    pad_id, bos_id, eos_id, unk_id = 0, 1, 2, 3

    def __init__(
        self, vocabulary: Vocabulary, *, languages: Sequence[str], target_tags: bool = False
    ) -> None:
        self._languages = _checked(languages)
        self._vocabulary = vocabulary
        tags = _tags(languages, target_tags)
        self._tags = {name[2:-1]: 4 + index for index, name in enumerate(tags)}
        self._grouped: dict[str, list[list[Part]]] = {}  # of words, as met

    @classmethod
    def train(
        cls,
        sentences: Iterable[tuple[str, str]],
        *,
        languages: Sequence[str],
        vocabulary_size: int,
        target_tags: bool = False,
        minimum_character_count: int = 20,
        alphabet_limit: int | None = None,
    ) -> Self:
        """Learn a joint vocabulary.

        Args:
            sentences: (language, text) pairs.
            languages: codes of all languages of the model.
            vocabulary_size: ids in all; fewer come out of little text.
            target_tags: reserve a piece ``<2xx>`` per language, see :meth:`encode`.
            minimum_character_count: characters seen less often are spelt in bytes.
            alphabet_limit: at most so many characters; 400, or 4,000 with Chinese.

        Raises:
            TextError: unknown language, no text, or too small a vocabulary.
        """
        known = _checked(languages)
        counts: Counter[str] = Counter()
        for language, text in sentences:
            if language not in known:
                raise TextError(f"language {language!r} is not one of {', '.join(known)}")
            clean = normalise(text, language=language)
            counts.update(_keys(tokenise(clean, language=language)))
        if alphabet_limit is None:
            alphabet_limit = 4000 if "zh" in known else 400
        vocabulary = Vocabulary.train(
            counts,
            size=vocabulary_size,
            tags=_tags(known, target_tags),
            minimum_count=minimum_character_count,
            alphabet=alphabet_limit,
        )
        return cls(vocabulary, languages=known, target_tags=target_tags)

    @classmethod
    def load(cls, folder: Path, *, languages: Sequence[str], target_tags: bool = False) -> Self:
        """Read ``tokenizer.json`` of a checkpoint folder; raises :class:`TextError`."""
        known = _checked(languages)
        vocabulary = Vocabulary.load(Path(folder), tags=_tags(known, target_tags))
        return cls(vocabulary, languages=known, target_tags=target_tags)

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` into a folder, whole or not at all."""
        self._vocabulary.save(Path(folder))

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that can be encoded and decoded."""
        return self._languages

    @property
    def source_vocabulary_size(self) -> int:
        """Number of ids, the same on both sides."""
        return len(self._vocabulary)

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, the same on both sides."""
        return len(self._vocabulary)

    @property
    def pieces(self) -> tuple[str, ...]:
        """The vocabulary in the order of the ids, as it is stored."""
        return self._vocabulary.pieces

    def normalise(self, text: str, *, language: str) -> str:
        """The text as the model sees it before it is cut; what a round trip gives back."""
        self._check(language)
        return normalise(text, language=language)

    def ids(self, text: str, *, language: str, target_language: str | None = None) -> list[int]:
        """Ids of a sentence with eos: those of :meth:`encode`, several times faster."""
        result = [*self._tag(target_language)]
        result += self._plain_ids(text, language)
        result.append(self.eos_id)
        return result

    def sample_ids(self, text: str, *, language: str, dropout: float, random: Random) -> list[int]:
        """Ids of a sentence without eos, its words cut at random, for training.

        See :meth:`seq2seq.text.vocabulary.Vocabulary.sample`.
        """
        self._check(language)
        words = _keys(tokenise(normalise(text, language=language), language=language))
        sample = self._vocabulary.sample
        return [i for word in words for i in sample(word, dropout=dropout, random=random)]

    def words(self, text: str, *, language: str) -> str:
        """The normalised text as the vocabulary cuts it, each word with a space before it.

        Chinese characters stand without one.
        """
        self._check(language)
        keys = _keys(tokenise(normalise(text, language=language), language=language))
        return "".join(keys).replace(MARK, " ")

    def tag(self, target_language: str) -> tuple[int, ...]:
        """What stands before a source sentence: a piece per target language, or nothing."""
        return self._tag(target_language)

    def encode(self, text: str, *, language: str, target_language: str | None = None) -> Encoding:
        """Encode a source sentence, end-of-sentence included.

        With target tags, ``<2xx>`` of the target language comes first, as a special word.

        Raises:
            TextError: a language that the model does not know.
        """
        self._check(language)
        tracked = normalise_tracked(text, language=language)
        pieces: list[Piece] = []
        words: list[Word] = []

        def special(piece: int, position: int) -> None:
            name = self._vocabulary.pieces[piece]
            pieces.append(Piece(piece, name, len(words), position, position))
            words.append(Word(name, position, position, special=True))

        for tag in self._tag(target_language):
            special(tag, 0)
        for token in tokenise(tracked.text, language=language):
            first = token.start
            for group in self._groups(token):
                start, end = tracked.span(first + group[0].start, first + group[-1].end)
                for part in group:
                    a = b = start
                    if part.start < part.end:
                        a, b = tracked.span(first + part.start, first + part.end)
                    pieces.append(Piece(part.id, self._shown(part.id), len(words), a, b))
                words.append(Word(text[start:end], start, end))
        special(self.eos_id, len(text))
        return Encoding(text, language, tuple(pieces), tuple(words))

    def encode_prefix(self, text: str, *, language: str, complete: bool = False) -> tuple[int, ...]:
        """Ids of a target prefix, without bos and eos, for forced decoding.

        The pieces are those of the text as it stands, so that the decoder may continue the
        last word; ``complete`` therefore makes no difference here.
        """
        del complete
        return tuple(self._plain_ids(text, language))

    def decode(self, ids: Sequence[int], *, language: str) -> Encoding:
        """Decode target ids (with or without a final eos) into readable text with words.

        Raises:
            TextError: an id outside the vocabulary, or an unknown language.
        """
        self._check(language)
        drafts = drafts_of(ids, vocabulary=self._vocabulary, language=language)
        solid = [draft for draft in drafts if draft.text]
        text, spans = detokenise([draft.text for draft in solid], language=language)
        place = {id(draft): span for draft, span in zip(solid, spans, strict=True)}
        words: list[Word] = []
        pieces: list[Piece] = []
        position = 0
        for draft in drafts:
            start, end = place.get(id(draft), (position, position))
            position = end
            if draft.special:
                words.append(Word(draft.name, start, end, special=True))
            else:
                words.append(Word(text[start:end], start, end))
            at: Sequence[int] = range(start, end)
            if " " in text[start:end]:
                at = [i for i in at if text[i] != " "]
            for part in draft.parts:
                a, b = start, start
                if part.start < part.end:
                    a, b = at[part.start], at[part.end - 1] + 1
                elif 0 < part.start <= len(at):
                    a = b = at[part.start - 1] + 1
                pieces.append(Piece(part.id, self._shown(part.id), len(words) - 1, a, b))
        return Encoding(text, language, tuple(pieces), tuple(words))

    def piece_text(self, piece: int) -> str:
        """How one vocabulary entry is shown, ``"␣chat"`` with a visible word start."""
        text = self._vocabulary.name(piece)
        return _VISIBLE_MARK + text[1:] if text.startswith(MARK) else text

    def _shown(self, piece: int) -> str:
        text = self._vocabulary.pieces[piece]
        return text[1:] or _VISIBLE_MARK if text.startswith(MARK) else text

    def _check(self, language: str) -> None:
        if language not in self._languages:
            raise TextError(f"language {language!r} is not one of {', '.join(self._languages)}")

    def _tag(self, language: str | None) -> tuple[int, ...]:
        if language is not None:
            self._check(language)
        if not self._tags:
            return ()
        if language is None:
            raise TextError("this model needs a target language")
        return (self._tags[language],)

    def _plain_ids(self, text: str, language: str) -> list[int]:
        self._check(language)
        cut = self._vocabulary.cut
        result: list[int] = []
        for key in _keys(tokenise(normalise(text, language=language), language=language)):
            result += cut(key)
        return result

    def _groups(self, token: Token) -> list[list[Part]]:
        """Pieces of a token with spans from its beginning, grouped into words for display."""
        key = _key(token)
        groups = self._grouped.get(key)
        if groups is None:
            groups = self._group(token)
            if len(key) <= _LONGEST_CACHED:
                if len(self._grouped) >= _LARGEST_CACHE:
                    self._grouped.clear()
                self._grouped[key] = groups
        return groups

    def _group(self, token: Token) -> list[list[Part]]:
        groups: list[list[Part]] = []
        offset = 0  # in token.text
        pending = 0  # bytes still to come of the character at offset
        for piece in self._vocabulary.cut(_key(token)):
            if self._vocabulary.byte_of(piece) is not None:
                new = pending == 0
                if new:
                    pending = len(token.text[offset].encode("utf-8"))
                start, end = offset, offset + 1
                pending -= 1
                offset += pending == 0
            else:
                new = True
                start = offset
                offset += len(self._vocabulary.pieces[piece].removeprefix(MARK))
                end = offset
            part = Part(piece, start, end)
            if not groups or (token.cjk and new):
                groups.append([part])
            else:
                groups[-1].append(part)
        return groups


def _key(token: Token) -> str:
    return token.text if token.cjk else MARK + token.text


def _keys(tokens: list[Token]) -> list[str]:
    return [_key(token) for token in tokens]


def _checked(languages: Sequence[str]) -> tuple[str, ...]:
    if not languages:
        raise TextError("a text pipeline needs at least one language")
    for language in languages:
        if language not in LANGUAGES:
            raise TextError(f"no rules for language {language!r}, only {', '.join(LANGUAGES)}")
    return tuple(languages)


def _tags(languages: Sequence[str], target_tags: bool) -> tuple[str, ...]:
    return tuple(f"<2{language}>" for language in languages) if target_tags else ()
