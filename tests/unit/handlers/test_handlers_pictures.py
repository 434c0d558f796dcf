"""Attention and tree are drawn from the document of the request."""

from dataclasses import replace
from typing import Any

import pytest
from handlers_support import run
from ui_support import beam_translation, translation

from seq2seq.ui import views, wording
from seq2seq.ui.figures.table import percent
from seq2seq.ui.form import AVERAGE
from seq2seq.ui.handlers import Handlers
from seq2seq.ui.results import Alignment, HeadError, ModelResults


def test_attention_is_drawn_from_the_document_of_the_request(handlers: Handlers) -> None:
    charts = handlers.page.charts
    document = translation()
    update = handlers.attention(views.document_view(document), 0, 1, "pieces", "producing")
    drawn = update[charts.heatmap]["figure"]["data"][0]["z"]
    assert drawn[2] == pytest.approx(document.attention.weights[2, 0, 1].tolist(), abs=1e-4)
    assert len(update[charts.attention]["figures"]) == 5


def test_choices_left_over_from_another_model_mean_the_average(handlers: Handlers) -> None:
    update = handlers.attention(views.document_view(translation()), 17, None, "words", "input")
    assert update[handlers.page.charts.heatmap]["note"] == [
        "average of 2 layers, average of 2 heads."
    ]


def test_tree_is_drawn_from_the_document_of_the_request(handlers: Handlers) -> None:
    update = handlers.tree(views.document_view(beam_translation()), "none")
    assert update[handlers.page.charts.tree]["note"].startswith("4 of the 7")


@pytest.mark.parametrize("document", [{"json": "nonsense"}, [1], {"too_large": True}])
def test_damaged_documents_get_a_sentence(handlers: Handlers, document: Any) -> None:
    charts = handlers.page.charts
    shown = handlers.attention(document, 0, 0, "words", "producing")[charts.heatmap]["message"]
    assert shown in (wording.DAMAGED, wording.DOCUMENT_TOO_LARGE)
    assert handlers.tree(document, "all")[charts.tree]["message"] == shown


def test_before_the_first_translation_there_is_nothing_to_draw(handlers: Handlers) -> None:
    charts = handlers.page.charts
    assert handlers.attention(None, 0, 0, "words", "producing") == {charts.heatmap: None}
    assert handlers.tree(None, "all") == {charts.tree: None}


def test_every_picture_is_drawn_from_the_document(handlers: Handlers) -> None:
    page = handlers.page
    *_, last = run(handlers)
    document = last[page.document]
    for picture, marks in (("heatmap", "cells"), ("lines", "ends"), ("heads", "heads")):
        update = handlers.attention(document, None, None, "words", "producing", "all", picture)
        meta = update[page.charts.heatmap]["figure"]["layout"]["meta"]
        assert meta["marks"] == marks
    update = handlers.attention(document, None, None, "words", "producing", "all", "occlusion")
    shown = update[page.charts.heatmap]["figure"]
    words = len(views.read_document(document).source.words) - 1
    assert shown["layout"]["meta"]["columns"] == list(range(words))


def test_a_model_without_attention_shows_what_words_change(handlers: Handlers) -> None:
    *_, last = run(handlers, model="fr-en-lstm")
    panel = last[handlers.page.charts.heatmap]
    assert panel["message"] == wording.NO_ATTENTION
    assert panel["figure"]["data"][0]["z"]


def test_documents_of_models_that_are_not_here_cannot_be_asked(handlers: Handlers) -> None:
    document = views.document_view(translation(with_attention=False))
    update = handlers.attention(document)
    assert update[handlers.page.charts.heatmap]["message"] == "There is no model “tiny”."


def test_a_small_map_is_shown_large(handlers: Handlers) -> None:
    page = handlers.page
    *_, last = run(handlers)
    update = handlers.pick(last[page.document], 1, 0, "words", "producing", "all", "heads")
    assert update[page.charts.heatmap]["note"][0] == "layer 2, head 1."
    assert (update[page.views.layer].value, update[page.views.head].value) == (1, 0)
    assert update[page.views.picture].value == "heatmap"


def test_the_best_measured_map(handlers: Handlers) -> None:
    page = handlers.page
    *_, last = run(handlers)
    document = last[page.document]
    update = handlers.best(document, None, None, "words", "producing", "all", "lines")
    assert update == {page.status: {"kind": "idle", "text": wording.NOT_MEASURED}}
    best = HeadError(1, None, "input", 0.3, 0.2, 1.0)
    alignment = Alignment("gold", ("fr", "en"), 147, best=best, best_relative=best, heads=(best,))
    results = [ModelResults("fr-en-transformer", "", 1, (), (), (alignment,))]
    update = replace(handlers, results=results).best(
        document, None, None, "words", "producing", "all", "lines"
    )
    assert (update[page.views.layer].value, update[page.views.head].value) == (1, AVERAGE)
    assert update[page.views.reading].value == "input"
    assert "error of this map: 30 %" in update[page.charts.heatmap]["note"][1]
    assert handlers.best(None)[page.status]["text"] == wording.WAITING


def test_hidden_columns_are_stated_and_nothing_makes_up_for_them(handlers: Handlers) -> None:
    page = handlers.page
    *_, last = run(handlers)
    document = last[page.document]
    update = handlers.attention(document, None, None, "words", "producing", "plain", "heatmap")
    shown = update[page.charts.heatmap]
    attention = views.read_document(document)
    whole = handlers.attention(document)[page.charts.heatmap]["figure"]["data"][0]["z"]
    assert shown["figure"]["data"][0]["z"] == [row[:-1] for row in whole]
    assert shown["figure"]["layout"]["meta"]["columns"] == list(
        range(len(attention.source.words) - 1)
    )
    most = max(row[-1] for row in whole)
    assert f"at most {percent(most)} of a row" in shown["note"][1]
