"""Normalised text to words and back: Moses rules, with repairs that keep the round trip.

The Moses detokeniser guesses where spaces go. Where it would put one between two words that
touch in the text (``10:30``, ``and/or``), the words are kept together as one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from sacremoses import MosesDetokenizer, MosesTokenizer

from seq2seq.text.normalise import CJK, CJK_LETTER, canonical_spacing

__all__ = ["Token", "detokenise", "is_cjk", "tokenise"]

_CJK = re.compile(f"[{CJK}]")
_RUN = re.compile(f"([{CJK_LETTER}]+)|([{CJK}])|([^{CJK}]+)")
_SIMPLE = re.compile(r"\w+|[^\w\s]")
_REPAIRS = 8


@dataclass(slots=True)
class Token:
    """A word of normalised text.

    Attributes:
        text: its characters.
        start, end: span in the normalised text.
        cjk: written without spaces around it.
    """

    text: str
    start: int
    end: int
    cjk: bool = False


def is_cjk(character: str) -> bool:
    """Whether a character needs no spaces around it in Chinese text."""
    return _CJK.match(character) is not None


def tokenise(text: str, *, language: str) -> list[Token]:
    """Cut normalised text into words that :func:`detokenise` puts together again."""
    if language != "zh":
        return _tokens_of(text, 0, language)
    tokens: list[Token] = []
    for match in _RUN.finditer(text):
        if match.lastindex == 3:
            tokens += _tokens_of(match.group(), match.start(), language)
        else:
            tokens.append(Token(match.group(), *match.span(), cjk=True))
    return tokens


def detokenise(words: list[str], *, language: str) -> tuple[str, list[tuple[int, int]]]:
    """Put words together; the result is the text and the span of each word in it.

    Words hold no spaces and are not empty.
    """
    if language != "zh":
        return _joined(words, language)
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    position = 0
    index = 0
    while index < len(words):
        end = index + 1
        if is_cjk(words[index][0]):
            text, inner = words[index], [(0, len(words[index]))]
        else:
            while end < len(words) and not is_cjk(words[end][0]):
                end += 1
            text, inner = _joined(words[index:end], language)
        parts.append(text)
        spans += [(position + a, position + b) for a, b in inner]
        position += len(text)
        index = end
    return "".join(parts), spans


def _tokens_of(text: str, offset: int, language: str) -> list[Token]:
    words = _repaired(_cut(text, language), text, language)
    tokens = []
    position = 0
    for word in words:
        if text[position] == " ":
            position += 1
        tokens.append(Token(word, offset + position, offset + position + len(word)))
        position += len(word)
    return tokens


def _cut(text: str, language: str) -> list[str]:
    words: list[str] = _TOKENIZERS[language].tokenize(text, escape=False)
    if "".join(words) == text.replace(" ", ""):
        return words
    return _SIMPLE.findall(text)  # a text that imitates the markers Moses uses inside


def _repaired(words: list[str], text: str, language: str) -> list[str]:
    """Join neighbours that would come back with a space that the text has not."""
    touching: list[bool] | None = None
    for attempt in range(_REPAIRS):
        last = attempt >= _REPAIRS - 2  # neighbours joined one by one upset others: all at once
        result, spans = _joined(words, language)
        if result == text:
            return words
        if touching is None:
            touching = _touching(words, text)
        kept: list[str] = []
        gaps: list[bool] = []
        for index, word in enumerate(words):
            glued = touching[index]
            apart = index > 0 and spans[index][0] > spans[index - 1][1]
            opening = index > 0 and words[index - 1] == "'" and not touching[index - 1]
            if index and glued and (last or apart or (opening and _lost(spans, index - 1))):
                kept[-1] += word
            else:
                kept.append(word)
                gaps.append(glued)
        if len(kept) == len(words):
            return words
        words, touching = kept, gaps
    return words


def _lost(spans: list[tuple[int, int]], index: int) -> bool:
    """Whether a word that should stand apart came back without a space before it."""
    return index > 0 and spans[index][0] == spans[index - 1][1]


def _touching(words: list[str], text: str) -> list[bool]:
    """For each word, whether no space stands before it."""
    result = []
    position = 0
    for word in words:
        spaced = text[position] == " "
        position += len(word) + spaced
        result.append(not spaced)
    return result


def _joined(words: list[str], language: str) -> tuple[str, list[tuple[int, int]]]:
    shown = _disguised(words, language)
    text: str = _DETOKENIZERS[language].detokenize(shown, unescape=False)
    if shown is not words:
        text = _undisguised(text, words)
    text = canonical_spacing(text, language=language)
    spans = _spans(words, text)
    if spans is None:  # Moses dropped or changed something
        text = " ".join(words)
        spans = _spans(words, text) or []
    return text, spans


def _disguised(words: list[str], language: str) -> list[str]:
    """Hide from Moses the words that it would put in the wrong place."""
    result = words
    for index, word in enumerate(words):
        if _misread(words, index, word, language):
            if result is words:
                result = list(words)
            result[index] = "\ue000" * len(word)
    return result


def _misread(words: list[str], index: int, word: str, language: str) -> bool:
    before = words[index - 1] if index else ""
    if word[0] == "'" and len(word) > 1 and language in ("en", "zh"):
        # Moses takes all of these for contractions: 'tis, 'i', 'star, but also O 'Brien.
        short = len(before) == 1 and before.isalpha()
        return word in _CLIPPED or not (short or word[1:].lower() in _CONTRACTIONS)
    if word in _SIGNS:  # a currency sign behind its number, or with none
        after = words[index + 1] if index + 1 < len(words) else ""
        return before[-1:].isdigit() or not after[:1].isdigit()
    if word[-1] == "'" and len(word) > 1 and language == "fr":
        return word[:-1].lower() not in _ELISIONS
    if language == "fr" and len(word) > 1 and not word.strip("?!"):
        return True
    return word == "@-@"


def _undisguised(text: str, words: list[str]) -> str:
    characters = iter("".join(words))
    return "".join(c if c == " " else next(characters, c) for c in text)


def _spans(words: list[str], text: str) -> list[tuple[int, int]] | None:
    """Where each word stands in a text that differs from the words in spaces only."""
    spans = []
    position = 0
    for word in words:
        if text.startswith(" ", position):
            position += 1
        if text.startswith(word, position):
            spans.append((position, position + len(word)))
            position += len(word)
            continue
        start = position
        for character in word:
            if text.startswith(" ", position):
                position += 1
            if not text.startswith(character, position):
                return None
            position += 1
        spans.append((start, position))
    return spans if position == len(text) else None


class _Tokenizer(MosesTokenizer):  # type: ignore[misc]
    """The Moses tokeniser with its character sets built once rather than at every full stop."""

    NONBREAKING_PREFIXES: Any
    NUMERIC_ONLY_PREFIXES: Any

    def __init__(self, lang: str) -> None:
        super().__init__(lang)
        self._alpha = frozenset(self.IsAlpha)
        self._lower = frozenset(self.IsLower)
        self.NONBREAKING_PREFIXES = frozenset(self.NONBREAKING_PREFIXES)
        self.NUMERIC_ONLY_PREFIXES = frozenset(self.NUMERIC_ONLY_PREFIXES)

    def islower(self, text: str) -> bool:
        return self._lower.issuperset(text)

    def isanyalpha(self, text: str) -> bool:
        return not self._alpha.isdisjoint(text)


_CONTRACTIONS = frozenset(("s", "m", "d", "re", "ve", "ll", "t"))
_CLIPPED = frozenset(("'em", "'til", "'cause"))
_ELISIONS = frozenset("cdjlmnst") | frozenset(
    ("qu", "jusqu", "lorsqu", "puisqu", "quoiqu", "presqu", "quelqu", "aujourd", "entr")
)
_SIGNS = frozenset(c for c in map(chr, range(0x3000)) if unicodedata.category(c) == "Sc")
# Both classes keep no state between calls, so that threads may share them.
_MOSES = {"de": "de", "en": "en", "fr": "fr", "zh": "en"}  # zh: for what is not Chinese in it
_TOKENIZERS = {language: _Tokenizer(moses) for language, moses in _MOSES.items()}
_DETOKENIZERS = {language: MosesDetokenizer(moses) for language, moses in _MOSES.items()}
