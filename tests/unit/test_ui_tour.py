"""The course, and the terms that are explained."""

from __future__ import annotations

import json
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import SearchConfig
from seq2seq.ui import wording
from seq2seq.ui.glossary import explained
from seq2seq.ui.offers import Model
from seq2seq.ui.tour import chapters, tour_view


def model(name: str) -> Model:
    return Model(name=name, line="", directions=(("fr", "en"),), search=SearchConfig())


def test_four_chapters_on_the_models_that_are_there() -> None:
    value = tour_view([model("fr-en-transformer"), model("fr-en-gru-additive")])
    links = [chapter["link"] for chapter in value["chapters"]]
    assert [link and link["model"] for link in links] == [
        None, "fr-en-gru-additive", "fr-en-transformer", "fr-en-transformer",
    ]  # fmt: skip
    everything = tour_view([model("fr-en-lstm"), *map(model, ("fr-en-transformer",))])
    assert everything["chapters"][0]["link"]["model"] == "fr-en-lstm"
    json.dumps(value)


def test_links_hold_what_links_may_hold() -> None:
    value = tour_view([model("fr-en-transformer")])
    for chapter in value["chapters"]:
        for key, text in (chapter["link"] or {}).items():
            assert key in ("text", "model", "direction", "beam", "n_best")
            assert isinstance(text, str)


def test_chapters_open_tabs_and_pictures_that_exist() -> None:
    pictures = {value for _, value in wording.PICTURES} | {""}
    for chapter in chapters():
        assert chapter.tab in ("tab-attention", "tab-tree")
        assert chapter.picture in pictures
        assert len(chapter.paragraphs) == 2


def test_the_first_use_of_a_term_is_explained() -> None:
    html = explained("Beam search keeps hypotheses; beam search prunes.")
    assert html.count('class="term"') == 2
    assert ">Beam search</span>" in html
    assert html.endswith("</span>; beam search prunes.</p>")


def test_longer_terms_go_before_shorter_ones() -> None:
    assert 'class="term"' not in explained("BLEUISH")
    html = explained("the alignment error rate")
    assert ">alignment error rate</span>" in html


@given(st.text())
def test_everything_else_is_escaped(text: str) -> None:
    html = explained(text)
    if not any(term.lower() in text.lower() for term in wording.GLOSSARY):
        safe = escape(text, quote=True)
        assert html == f'<p data-text="{safe}">{safe}</p>'


@pytest.mark.parametrize("markup", ["<b>attention</b>", '"attention"', "<img src=x>"])
def test_markup_around_a_term_stays_text(markup: str) -> None:
    assert "<b>" not in explained(markup)
    assert "<img" not in explained(markup)
