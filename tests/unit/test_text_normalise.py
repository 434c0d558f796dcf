import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_support import LANGUAGES, sample

from seq2seq.text.encoding import TextError
from seq2seq.text.normalise import canonical_spacing, normalise

MARKS = list("""ab Z1é '"«»„“”!?;:,.%$()[]-–—…`´‘’‚我か，。５""")
MARKS += ["\u3099", "\u0301", "\u0338", "\u00a0", "''", " 5 ", "l'", " 's", "\u200b", "\ud800"]

CASES = [
    # tokenised text comes back together
    ("fr", "Le chat est assis sur la chaise .", "Le chat est assis sur la chaise."),
    ("fr", "L' homme qu' il voit , là", "L'homme qu'il voit, là"),
    ("en", "I do n't know , he 's \" here \" .", "I don't know, he's \"here\"."),
    # apostrophes and quotation marks
    ("fr", "C’est l‘eau", "C'est l'eau"),
    ("en", "“So what,” he said", '"So what," he said'),
    ("en", "«So»", '"So"'),
    ("fr", "«So»", "« So »"),
    ("fr", "“So”", '"So"'),
    ("de", "„So“", "„So“"),
    ("de", "»So«", '"So"'),
    ("zh", "“好”", "“好”"),
    # what sacremoses would do and we do not
    ("en", '"x", and "y".', '"x", and "y".'),
    ("fr", "10\u00a0000 euros", "10 000 euros"),
    ("fr", "mot(s)", "mot(s)"),
    ("fr", "50 %", "50 %"),
    ("de", "50%", "50 %"),
    ("en", "50 %", "50%"),
    # French spacing, and where it does not belong
    ("fr", "Quoi? Oui! Non; ça: voilà", "Quoi ? Oui ! Non ; ça : voilà"),
    ("fr", "Quoi\u202f?", "Quoi ?"),
    ("fr", "Quoi?! À 10:30, http://a.fr/?q=1", "Quoi ?! À 10:30, http://a.fr/?q=1"),
    ("fr", ":) ;-) :-( x", ":) ;-) :-( x"),
    # other signs
    ("en", "a – b — c…", "a - b - c..."),
    ("en", "costs $ 5", "costs $5"),
    ("fr", "5 $ et 3 €", "5 $ et 3 €"),
    ("en", "snake▁case", "snake_case"),
    # Chinese
    ("zh", "我 喜欢 Tom 和 Mary 。", "我喜欢Tom和Mary。"),
    ("zh", "你好 New York 吗?", "你好New York吗?"),
    ("zh", "５０％", "50%"),
    ("zh", "don’t 走", "don't走"),
    # invisible characters and spaces
    ("en", "\ufeffa\u200b\x00b\ud800 \t\n\u3000c\u00ad ", "ab c"),
    ("en", "", ""),
    ("en", " \n\u00a0\x00", ""),
]


@pytest.mark.parametrize(("language", "text", "expected"), CASES)
def test_canonical_spelling(language: str, text: str, expected: str) -> None:
    assert normalise(text, language=language) == expected


@settings(deadline=None, max_examples=600)
@given(
    st.one_of(st.text(max_size=30), st.lists(st.sampled_from(MARKS), max_size=14).map("".join)),
    st.sampled_from(LANGUAGES),
)
def test_twice_is_once(text: str, language: str) -> None:
    once = normalise(text, language=language)
    assert normalise(once, language=language) == once
    assert once == once.strip()
    assert "  " not in once


@pytest.mark.parametrize("language", LANGUAGES)
def test_ordinary_sentences_hardly_change(language: str) -> None:
    sentences = sample(language)
    kept = [s for s in sentences if normalise(s, language=language) == s]
    letters = [
        s
        for s in sentences
        if [c for c in normalise(s, language=language) if c.isalnum()]
        == [c for c in s if c.isalnum()]
    ]
    assert len(kept) > 0.7 * len(sentences)
    assert len(letters) == len(sentences)


def test_composition_is_that_of_unicode() -> None:
    """Every canonically decomposable character is composed as NFC says."""
    differing = []
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.decomposition(character)[:1] in ("", "<"):
            continue
        apart = "x" + unicodedata.normalize("NFD", character)
        if normalise(apart, language="en") != normalise(
            unicodedata.normalize("NFC", apart), language="en"
        ):
            differing.append(character)
    assert differing == []


def test_hangul_is_composed_syllable_by_syllable() -> None:
    apart = unicodedata.normalize("NFD", "한국말")
    assert normalise(apart, language="fr") == "한국말"


def test_spacing_alone_keeps_every_other_character() -> None:
    text = "Quoi?  « a »(b) 50%"
    spaced = canonical_spacing(text, language="fr")
    assert spaced.replace(" ", "") == text.replace(" ", "")


def test_a_language_without_rules_is_named() -> None:
    with pytest.raises(TextError, match="no rules for language 'xx'"):
        normalise("a", language="xx")
