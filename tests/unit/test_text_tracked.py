import re
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from text_support import LANGUAGES

from seq2seq.text.normalise import normalise, normalise_tracked
from seq2seq.text.tracked import Rule, Tracked

SOME_RULES = [
    Rule.of("a+", "b"),
    Rule.of("b", ""),
    Rule.of(r"(a) ?(b)", r"\1-\2"),
    Rule.of(r"(?<=b) (a)", r"\g<1>"),
    Rule.of("c", "ddd"),
    Rule.of(" +", " "),
]


def origins(tracked: Tracked, original: str) -> list[str]:
    spans = zip(tracked.starts, tracked.ends, strict=True)
    return [original[start:end] for start, end in spans]


def test_untouched_characters_keep_their_place() -> None:
    text = "one … two"
    tracked = Rule.of("…", "...").tracked(Tracked.of(text))
    assert tracked.text == "one ... two"
    assert origins(tracked, text) == ["o", "n", "e", " ", "…", "…", "…", " ", "t", "w", "o"]


def test_groups_keep_their_characters_and_literals_take_what_lies_between() -> None:
    text = "say ( x )"
    tracked = Rule.of(r"(\() ([a-z]) \)", r"\1\2]").tracked(Tracked.of(text))
    assert tracked.text == "say (x]"
    assert origins(tracked, text)[-3:] == ["(", "x", ")"]


def test_a_literal_leaves_out_the_spaces_around_what_it_replaces() -> None:
    text = "mot   » fin"
    tracked = Rule.of(" +»", " »").tracked(Tracked.of(text))
    assert origins(tracked, text)[3:5] == ["   »", "»"]


def test_span_of_a_stretch_and_of_a_position() -> None:
    tracked = Rule.of("xx", "").tracked(Tracked.of("axxb"))
    assert tracked.span(0, 2) == (0, 4)
    assert tracked.span(1, 1) == (3, 3)
    assert tracked.span(2, 2) == (4, 4)
    assert Tracked.of("").span(0, 0) == (0, 0)


def test_optional_group_that_did_not_match() -> None:
    rule = Rule.of(r"a(b)?c", r"x\1y")
    assert rule.tracked(Tracked.of("ac abc")).text == rule.plain("ac abc") == "xy xby"


@settings(deadline=None, max_examples=300)
@given(st.text("abc d", max_size=20), st.lists(st.sampled_from(SOME_RULES), max_size=5))
def test_tracked_and_plain_substitution_agree(text: str, rules: list[Rule]) -> None:
    plain, tracked = text, Tracked.of(text)
    for rule in rules:
        plain, tracked = rule.plain(plain), rule.tracked(tracked)
    assert tracked.text == plain
    assert list(tracked.starts) == sorted(tracked.starts)
    assert all(a <= b <= len(text) for a, b in zip(tracked.starts, tracked.ends, strict=True))


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=30), st.sampled_from(LANGUAGES))
def test_normalisation_agrees_with_its_tracked_form(text: str, language: str) -> None:
    tracked = normalise_tracked(text, language=language)
    assert tracked.text == normalise(text, language=language)
    assert list(tracked.starts) == sorted(tracked.starts)
    for character, origin in zip(tracked.text, origins(tracked, text), strict=True):
        if character.isalnum() and character in text:
            assert character in unicodedata.normalize("NFC", origin)


def test_composed_characters_span_what_they_were_composed_of() -> None:
    text = "e\u0301te\u0301 x"
    tracked = normalise_tracked(text, language="fr")
    assert tracked.text == "été x"
    assert origins(tracked, text) == ["e\u0301", "t", "e\u0301", " ", "x"]


def test_rules_keep_a_compiled_pattern() -> None:
    assert Rule.of("a", "b") == Rule(re.compile("a"), "b")
