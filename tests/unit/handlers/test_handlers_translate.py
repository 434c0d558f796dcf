"""A translation reaches every part of the page, and a refusal none but the status."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from handlers_support import SENTENCE, make_handlers, run
from ui_support import translation

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.ui import views, wording
from seq2seq.ui.connect import connect
from seq2seq.ui.form import AVERAGE, components
from seq2seq.ui.handlers import Handlers
from seq2seq.ui.layout import build_page
from seq2seq.ui.service import Request, Service


class Broken(Service):
    """A service whose model fails in a way nobody foresaw."""

    def translate(self, request: Request) -> Iterator[Any]:
        yield translation(complete=False)
        raise RuntimeError("/secret/path exploded")


def test_translation_streams_and_then_fills_every_chart(handlers: Handlers) -> None:
    page, charts = handlers.page, handlers.page.charts
    first, *middle, last = run(handlers)
    assert first[page.status] == {"kind": "busy", "text": wording.BUSY}
    assert first[page.stop].interactive is True
    assert middle
    assert all(set(update) == {page.result} for update in middle)
    assert not any(update[page.result]["complete"] for update in middle)
    assert last[page.result]["complete"]
    assert last[page.status]["kind"] == "done"
    assert last[page.status]["text"].startswith("Translated in ")
    assert last[page.stop].interactive is False
    document = views.read_document(last[page.document])
    assert document.source.text == SENTENCE
    rows = len(last[charts.heatmap]["figure"]["data"][0]["z"])
    assert rows == len(document.target.words)
    assert len(last[charts.player]["steps"]) == len(document.target.pieces)
    assert len(last[charts.candidates]["figures"]) == len(document.target.pieces)
    assert len(last[charts.attention]["figures"]) == len(document.target.pieces)
    assert last[charts.tree]["figure"]["data"]
    assert last[page.views.layer].choices == [("average", AVERAGE), *_numbered("layer", 2)]
    assert last[page.views.head].choices == [("average", AVERAGE), *_numbered("head", 2)]


def _numbered(name: str, count: int) -> list[tuple[str, int]]:
    return [(f"{name} {index + 1}", index) for index in range(count)]


def test_a_layer_that_was_chosen_stays_chosen(handlers: Handlers) -> None:
    page = handlers.page
    *_, first = run(handlers)
    assert first[page.views.layer].value == AVERAGE
    *_, last = run(handlers, layer=1, head=0)
    assert (last[page.views.layer].value, last[page.views.head].value) == (1, 0)
    assert last[page.charts.heatmap]["note"] == ["layer 2, head 1."]
    *_, odd = run(handlers, layer=7, head=-5)
    assert (odd[page.views.layer].value, odd[page.views.head].value) == (AVERAGE, AVERAGE)


def test_choices_that_make_no_sense_are_as_if_not_chosen(handlers: Handlers) -> None:
    page = handlers.page
    *_, usual = run(handlers)
    *_, odd = run(handlers, layer={}, head="x", views=(None, ["words"], "x", 7, "x"))
    for chart in (page.charts.heatmap, page.charts.attention, page.charts.tree):
        assert odd[chart] == usual[chart]
    update = handlers.attention(odd[page.document], "x", True, 7, {})
    assert update[page.charts.heatmap] == usual[page.charts.heatmap]
    assert handlers.tree(odd[page.document], 10**400)[page.charts.tree] == usual[page.charts.tree]


def test_values_reach_the_handlers_as_they_were_sent(handlers: Handlers) -> None:
    """gradio would check choices against a memory that does not outlive the server."""
    with gr.Blocks(analytics_enabled=False) as demo:
        page = build_page(handlers.service.models)
        connect(demo, page, handlers.service)
    for event in demo.fns.values():
        if event.fn is not None and event.name != "example":
            assert event.preprocess is False


def test_model_without_attention_hides_layers_and_says_why(handlers: Handlers) -> None:
    *_, last = run(handlers, model="fr-en-lstm")
    page = handlers.page
    assert last[page.charts.heatmap]["message"] == wording.NO_ATTENTION
    assert last[page.views.layer].visible is False
    assert last[page.views.head].visible is False
    assert last[page.charts.player]["steps"]


@pytest.mark.parametrize(
    ("text", "changes", "words"),
    [
        ("", {}, wording.EMPTY),
        ("x" * 10_000, {}, "the limit is 500"),
        (SENTENCE, {"model": None}, "There is no model"),
        (SENTENCE, {"direction": None}, "cannot translate"),
        (SENTENCE, {"sample": True, "temperature": 0.0}, "Temperature has to be a number"),
        (SENTENCE, {"beam": 1.5}, "Beam has to be a whole number from 1 to 20."),
        (SENTENCE, {"beam": 10**9}, "Beam has to be"),
        (SENTENCE, {"n_best": None}, "Translations to list has to be"),
        (SENTENCE, {"length_penalty": float("nan")}, "Length penalty has to be a number from 0"),
        (SENTENCE, {"max_length": [1]}, "Longest output"),
        (SENTENCE, {"model": ["fr-en-transformer"]}, "There is no model"),
        (None, {}, wording.EMPTY),
        ({"a": 1}, {}, wording.EMPTY),
    ],
)
def test_refused_requests_keep_what_is_on_the_page(
    handlers: Handlers, text: str, changes: dict, words: str
) -> None:
    page = handlers.page
    *_, last = run(handlers, text, **changes)
    assert set(last) == {page.status, page.stop}
    assert last[page.status]["kind"] == "error"
    assert words in last[page.status]["text"]
    assert last[page.stop].interactive is False


def test_unforeseen_failures_show_no_detail(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    handlers = make_handlers(Broken())
    page = handlers.page
    *_, last = run(handlers)
    assert last[page.status] == {"kind": "error", "text": wording.FAILED}
    assert all(last[chart] is None for chart in components(page.charts))
    assert last[page.document] is None
    assert "exploded" in caplog.text


def test_stopping_clears_charts_of_an_older_translation(handlers: Handlers) -> None:
    page = handlers.page
    update = handlers.stopped()
    assert update[page.status]["text"] == wording.STOPPED
    assert update[page.document] is None
    assert all(update[chart] is None for chart in components(page.charts))
    assert page.result not in update
