"""Codes of many kinds are one code, with a name and a writing direction."""

import pytest

from seq2seq.languages import (
    is_group,
    is_language,
    language_name,
    standard_code,
    writes_right_to_left,
)


@pytest.mark.parametrize(
    ("code", "standard"),
    [("deu", "de"), ("pt_br", "pt-BR"), ("cmn_Hans", "zh-Hans"), ("zho", "zh"), ("fr", "fr"),
     ("ROMANCE", "romance"), ("<b>", "<b>")],
)  # fmt: skip
def test_one_code_for_each_language(code: str, standard: str) -> None:
    assert standard_code(code) == standard
    assert standard_code(standard) == standard


def test_names_in_four_languages() -> None:
    names = [language_name("de", among=among) for among in ("en", "fr", "de", "zh")]
    assert names == ["German", "allemand", "Deutsch", "德语"]
    assert language_name("xx-nobody") == "xx-nobody"
    assert language_name("${x}") == "${x}"


def test_groups_are_no_languages() -> None:
    assert [is_group(code) for code in ("mul", "roa", "fr", "romance")] == [
        True,
        True,
        False,
        False,
    ]
    assert [is_language(code) for code in ("mul", "fr", "zh-Hans", "romance")] == [
        False, True, True, False,
    ]  # fmt: skip


def test_writing_directions() -> None:
    left = {code for code in ("ar", "he", "fa", "ur", "arq", "de", "zh", "sr-Latn", "x y")
            if not writes_right_to_left(code)}  # fmt: skip
    assert left == {"de", "zh", "sr-Latn", "x y"}
