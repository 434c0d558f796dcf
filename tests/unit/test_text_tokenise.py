import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_support import LANGUAGES, sample

from seq2seq.text.normalise import normalise
from seq2seq.text.tokenise import detokenise, tokenise

WORDS = [
    ("en", "He isn't here, is he?", ["He", "isn", "'t", "here", ",", "is", "he", "?"]),
    ("en", "Mr. Smith won.", ["Mr.", "Smith", "won", "."]),
    ("fr", "L'homme n'est pas là !", ["L'", "homme", "n'", "est", "pas", "là", "!"]),
    ("fr", "« Non », dit-il.", ["«", "Non", "»", ",", "dit-il", "."]),
    ("de", "„Wie geht's?“", ["„", "Wie", "geht's", "?", "“"]),
    ("zh", "我喜欢Tom。", ["我喜欢", "Tom", "。"]),
    # kept in one piece, because Moses would put spaces between the parts
    ("en", "at 10:30 and/or x", ["at", "10:30", "and/or", "x"]),
    ("en", "see http://a.org/?b=1.", ["see", "http://a.org/?b=1", "."]),
]

LOSSES = [
    ("a space inside single quotation marks", "en", "he said ' yes ' once", "he said 'yes' once"),
    ("an opening mark without a closing one", "en", '" We went home', '"We went home'),
    ("an odd mark earlier turns the rest", "en", 'a " b "c" d', 'a "b "c" d'),
    ("marks of two Chinese quotations", "zh", '"走？" "不。"', '"走？""不。"'),
    ("a mark alone between spaces", "de", 'oder, " sagte er', 'oder, "sagte er'),
]
"""Cause, language, normalised text, and what comes back: only spaces at quotation marks."""


def round_trip(text: str, language: str) -> str:
    words = [token.text for token in tokenise(text, language=language)]
    return detokenise(words, language=language)[0]


@pytest.mark.parametrize(("language", "text", "words"), WORDS)
def test_words(language: str, text: str, words: list[str]) -> None:
    tokens = tokenise(text, language=language)
    assert [token.text for token in tokens] == words
    assert [text[token.start : token.end] for token in tokens] == words
    assert detokenise(words, language=language)[0] == text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The Jones' house, O'Brien's at 5 o'clock, 'tis rock 'n' roll"),
        ("en", "This 'star cradle' is 'new'."),
        ("en", "She said, \"Is this 'it'?\""),
        ("en", "5'10\" tall, $5 or 5 $, 100% (or more) [sic]"),
        ("en", "U.S.A. e.g. this... and that ...and so on"),
        ("en", "a@b.org #tag @name x_y C++ C# R&D <b>bold</b> @-@ DOTMULTI THISISPROTECTED000"),
        ("fr", "Prud'homme, aujourd'hui, opération de com' parmi"),
        ("fr", "Quoi ?! Non... Oui ? ?! « « x » »"),
        ("fr", "Il coûte 5 $ ou $5, 3,5 % à 10:30 : voilà ;-)"),
        ("de", "z. B. 3,5 Mio. € am 3. Mai um 10:30 Uhr, d.h. „jetzt“ - 50 %"),
        ("zh", "我今天(星期三)去New York买3,000元的iPhone。好吗?"),
        ("zh", '他说:"Hello, world!"然后走了......'),
    ],
)
def test_hard_sentences_come_back(language: str, text: str) -> None:
    assert normalise(text, language=language) == text
    assert round_trip(text, language) == text


@pytest.mark.parametrize(("cause", "language", "text", "comes_back"), LOSSES)
def test_causes_of_round_trips_that_differ(
    cause: str, language: str, text: str, comes_back: str
) -> None:
    assert normalise(text, language=language) == text, cause
    assert round_trip(text, language) == comes_back, cause
    assert comes_back.replace(" ", "") == text.replace(" ", ""), cause


@pytest.mark.parametrize("language", LANGUAGES)
def test_sample_comes_back(language: str) -> None:
    texts = [normalise(text, language=language) for text in sample(language)]
    differing = [text for text in texts if round_trip(text, language) != text]
    assert len(differing) <= 0.01 * len(texts), differing


@settings(deadline=None, max_examples=400)
@given(st.text(max_size=40), st.sampled_from(LANGUAGES))
def test_tokens_are_the_text_without_its_spaces(text: str, language: str) -> None:
    text = normalise(text, language=language)
    tokens = tokenise(text, language=language)
    assert "".join(token.text for token in tokens) == text.replace(" ", "")
    assert all(text[token.start : token.end] == token.text for token in tokens)


@settings(deadline=None, max_examples=400)
@given(
    st.lists(st.text("ab'\"?!:;.,%$«»()-@我，", min_size=1, max_size=5), max_size=10),
    st.sampled_from(LANGUAGES),
)
def test_any_words_can_be_put_together(words: list[str], language: str) -> None:
    text, spans = detokenise(words, language=language)
    assert [text[a:b].replace(" ", "") for a, b in spans] == words
    assert spans == sorted(spans)
