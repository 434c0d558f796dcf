r"""One spelling for each sentence, per language, before it is cut into words.

The substitutions are those of sacremoses' ``MosesPunctNormalizer``, read from its own tables,
less the harmful ones:

- quotation marks proper to the language stay (« » in French, „ “ in German, “ ” in Chinese):
  a translation should show its own language's marks;
- ``"x",`` is not turned into ``"x,"``: it rewrites what the user wrote and changes the order;
- no-break spaces inside numbers do not become commas or points: ``10 000`` would become
  ``10,000``, ten in French;
- ``(`` and ``)`` get no spaces around them: ``mot(s)`` would become ``mot (s)``;
- ``50 %`` keeps its space in French and German, where it is the rule;
- Chinese punctuation stays Chinese.

What is added: Unicode NFC, one kind of space, no control characters, and the spacing around
punctuation that the detokeniser writes (in French a space before ``! ? ; : »`` and after ``«``).
"""

from __future__ import annotations

import unicodedata
from typing import Protocol

import regex  # type: ignore[import-untyped]
from sacremoses import MosesPunctNormalizer

from seq2seq.text.encoding import TextError
from seq2seq.text.tracked import Rule, Tracked

__all__ = ["CJK", "CJK_LETTER", "LANGUAGES", "canonical_spacing", "normalise", "normalise_tracked"]

LANGUAGES = ("de", "en", "fr", "zh")
"""Languages with rules."""

CJK_LETTER = (
    "\u2e80-\u2fff\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u309d-\u30fa\u30fc-\u30ff"
    "\u3105-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
)
"""Characters of Chinese words, as the inside of a character class."""

CJK = CJK_LETTER + "\u3001-\u3004\u3008-\u3020\u3030\u303b-\u303f\ufe30-\ufe4f\uff01-\uff65“”…—⋯·"
"""The same with the punctuation that needs no spaces in Chinese text."""


class _Step(Protocol):
    def plain(self, text: str) -> str: ...

    def tracked(self, text: Tracked) -> Tracked: ...


def normalise(text: str, *, language: str) -> str:
    """The canonical spelling of ``text``; applying it twice changes nothing more.

    Raises:
        TextError: no rules for this language.
    """
    for step in _steps(language):
        text = step.plain(text)
    return text


def normalise_tracked(text: str, *, language: str) -> Tracked:
    """The same, knowing for each character where in ``text`` it came from."""
    if normalise(text, language=language) == text:
        return Tracked.of(text)
    tracked = Tracked.of(text)
    for step in _steps(language):
        tracked = step.tracked(tracked)
    return tracked


def canonical_spacing(text: str, *, language: str) -> str:
    """The last part of :func:`normalise`: spaces around punctuation, and nothing else."""
    for rule in _SPACING[language]:
        text = rule.plain(text)
    return text


def _steps(language: str) -> tuple[_Step, ...]:
    try:
        return _STEPS[language]
    except KeyError:
        raise TextError(
            f"no rules for language {language!r}, only {', '.join(LANGUAGES)}"
        ) from None


class _Compose:
    """Unicode NFC, cluster by cluster so that origins survive.

    Runs of more than 30 combining marks (no script has them) are left alone: ordering them
    takes quadratic time.
    """

    # A base with what can compose with it: marks, Hangul vowels and finals, and the few vowel
    # signs of combining class 0 (Unicode's NFC_QC=Maybe).
    _CLUSTER = regex.compile(
        r"[^\p{M}\u1161-\u1175\u11a8-\u11c2][\p{M}\u1161-\u1175\u11a8-\u11c2]*+"
        r"|[\p{M}\u1161-\u1175\u11a8-\u11c2]++"
    )
    _MOST_MARKS = 30
    _QUICK = 1000

    def plain(self, text: str) -> str:
        return self.tracked(Tracked.of(text)).text if self._changes(text) else text

    def tracked(self, text: Tracked) -> Tracked:
        if not self._changes(text.text):
            return text
        return text.rewrite(self._pieces(text.text))

    def _changes(self, text: str) -> bool:
        if text.isascii():
            return False
        if len(text) <= self._QUICK and unicodedata.is_normalized("NFC", text):
            return False
        return bool(self._pieces(text))

    def _pieces(self, text: str) -> list[tuple[int, int, str]]:
        pieces = []
        for match in self._CLUSTER.finditer(text):
            cluster = match.group()
            if cluster.isascii() or len(cluster) > self._MOST_MARKS:
                continue
            composed = unicodedata.normalize("NFC", cluster)
            if composed != cluster:
                pieces.append((match.start(), match.end(), composed))
        return pieces


class _Strip:
    """No space at either end."""

    def plain(self, text: str) -> str:
        return text.strip(" ")

    def tracked(self, text: Tracked) -> Tracked:
        size = len(text.text)
        left = size - len(text.text.lstrip(" "))
        right = max(left, len(text.text.rstrip(" ")))
        if left == 0 and right == size:
            return text
        return Tracked(text.text[left:right], text.starts[left:right], text.ends[left:right])


# Control characters, lone surrogates, soft hyphen, zero-width space and byte order mark.
_INVISIBLE = Rule.of(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\u00ad\u180e\u200b\u2060\ufeff]+", ""
)
_SPACES = Rule.of(r"(?:[^\S ]\s*| \s+)", " ")
_UNDERSCORE = Rule.of("\u2581", "_")


def _moses(table: list[tuple[str, str]], *, only: str = "", without: str = "") -> list[Rule]:
    """Rules of a sacremoses table, chosen by the characters that their patterns are about."""
    rules = []
    for pattern, template in table:
        first = pattern.strip("\\ ")[:1]
        if (only and first not in only) or (first in without) or pattern == " +":
            continue
        rules.append(Rule.of(pattern, template))
    return rules


def _quotes_of(language: str) -> list[Rule]:
    moses = MosesPunctNormalizer
    if language == "zh":
        digits = _moses(moses.REPLACE_UNICODE_PUNCTUATION, only="０１２３４５６７８９％")
        return [Rule.of(r"(?<=[a-zA-Z])[‘’](?=[a-zA-Z])", "'"), *digits]
    own = "„“" if language == "de" else ""
    rules = [Rule.of("’", "'"), *_moses(moses.NORMALIZE_UNICODE, without=own + "'(")]
    rules += [Rule.of("[`ʼ]", "'"), Rule.of("''", '"'), Rule.of("‟", '"')]
    if language != "fr":
        rules += _moses(moses.FRENCH_QUOTES, only="«»")
    return rules


_QUOTED_IN_CHINESE = Rule.of(r'(?<![A-Za-z0-9])(") ?([^"]*?) ?(")(?![A-Za-z0-9])', r"\1\2\3")
_END = rf"(?=$|[\s\"'»“)\]{CJK}])"
_AFTER_OPENING = Rule.of(r"(?<![:;=-])([(\[{¿¡]) (?=\S)", r"\1")  # but not in :-( or ;(
_CURRENCY = Rule.of(r"(?<!\d)(?<!\d )([$€£¥₹]) (?=\d)", r"\1")
_QUOTED = Rule.of(r'(?<!\w)(") ?([^"]*?) ?(")(?!\w)', r"\1\2\3")  # pair by pair
_CLOSED_UP = Rule.of(r"(?<=\S) ([,.;:?!)\]}]+)" + _END, r"\1")
_PERCENT_CLOSED_UP = Rule.of(r"(?<=\d) %(?!\w)", "%")
_PERCENT_APART = Rule.of(r"(?<=\d)%(?!\w)", " %")
_ENGLISH = [
    Rule.of(r"(?<=\w) '(s|m|d|re|ve|ll|S|M|D|RE|VE|LL)(?![\w'])", r"'\1"),
    Rule.of(r"(?<=\w) (n't|N'T)(?![\w'])", r"\1"),
]
_GERMAN_QUOTED = [Rule.of("„ (?=\\S)", "„"), Rule.of("(?<=\\S) “(?!\\w)", "“")]
_FRENCH = [
    Rule.of(r"(?<=\S) ([,.)\]}]+)(?=$|[\s\"'»!?;:)\]])", r"\1"),
    Rule.of(r"(?<=[^\s«]) ?»", " »"),
    Rule.of(r"« ?(?=\S)", "« "),
    Rule.of(r"(?<=[^\s?!;:«(\[\"'-])([?!]+|[;:])(?=$|[\s\"'».,)\]])", r" \1"),
    Rule.of(
        r"(?<![\w'])([cdjlmnst]|qu|jusqu|lorsqu|puisqu|[CDJLMNST]|Qu|Jusqu|Lorsqu|Puisqu)' (?=\w)",
        r"\1'",
    ),
]

_SPACING: dict[str, list[Rule]] = {
    "en": [_AFTER_OPENING, _CLOSED_UP, _PERCENT_CLOSED_UP, *_ENGLISH],
    "de": [_AFTER_OPENING, _CLOSED_UP, _PERCENT_APART, *_GERMAN_QUOTED],
    "fr": [_AFTER_OPENING, *_FRENCH, _PERCENT_APART],
    "zh": [_AFTER_OPENING, _CLOSED_UP, _PERCENT_CLOSED_UP, *_ENGLISH],
}
for _language, _rules in _SPACING.items():
    _rules.append(_CURRENCY)
    if _language != "zh":
        _rules.append(_QUOTED)


def _all_steps(language: str) -> tuple[_Step, ...]:
    # Not before the sounding marks of kana, which would then compose.
    closed_up = Rule.of(rf"(?<=[{CJK}]) (?![\u3099\u309a])| (?=[{CJK}])", "")
    return (
        _INVISIBLE,
        _Compose(),
        _UNDERSCORE,
        *_quotes_of(language),
        _SPACES,
        _Strip(),
        *([closed_up, _QUOTED_IN_CHINESE] if language == "zh" else []),
        *_SPACING[language],
    )


_STEPS = {language: _all_steps(language) for language in LANGUAGES}
