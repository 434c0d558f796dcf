"""The page in other languages."""

from __future__ import annotations

import json
import re

import pytest
from wording_support import ROOT, texts

from seq2seq.ui.panel import wordings

LANGUAGES = sorted(wordings())
FIELD = re.compile(r"\{\w+\}")


def table(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(wordings()[language].read_text(encoding="utf-8"))
    return found


def pattern(template: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(map(re.escape, FIELD.split(template))), re.DOTALL)


def test_languages() -> None:
    assert LANGUAGES == ["de", "fr", "zh"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_there(language: str) -> None:
    known = table(language)
    patterns = [pattern(key) for key in known if FIELD.search(key)]
    missing = [
        text for text in sorted(texts())
        if text not in known and not any(p.fullmatch(text) for p in patterns)
    ]  # fmt: skip
    assert missing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_fields_are_the_same(language: str) -> None:
    for english, other in table(language).items():
        assert sorted(FIELD.findall(english)) == sorted(FIELD.findall(other)), english
        assert other.strip()


def test_all_languages_have_the_same_texts() -> None:
    keys = [set(table(language)) for language in LANGUAGES]
    assert keys[0] == keys[1] == keys[2]


def test_patterns_do_not_swallow_other_texts() -> None:
    """A template that matched a plain text of the page would put it into wrong words."""
    known = table("fr")
    plain = [key for key in known if not FIELD.search(key)]
    for template in (key for key in known if FIELD.search(key)):
        caught = [text for text in plain if pattern(template).fullmatch(text)]
        assert caught == [], template


def test_texts_are_collected_from_everywhere() -> None:
    found = texts()
    assert {"Translate", "Save as SVG", "Undo", "heatmap", "Beam", "Play"} <= found
    assert (ROOT / "assets" / "wording").is_dir()
