from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from support import make_checkpoint
from ui_support import beam_translation, translation

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.config import SearchConfig
from seq2seq.ui import views, wording
from seq2seq.ui.connect import connect
from seq2seq.ui.figures.table import percent
from seq2seq.ui.form import AVERAGE, components
from seq2seq.ui.handlers import Handlers
from seq2seq.ui.layout import build_page, direction_choices, model_line, samples
from seq2seq.ui.offers import Model
from seq2seq.ui.results import Alignment, HeadError, ModelResults
from seq2seq.ui.service import Request, Service

SENTENCE = "Le chat voit la maison."


class Broken(Service):
    """A service whose model fails in a way nobody foresaw."""

    def translate(self, request: Request) -> Iterator[Any]:
        yield translation(complete=False)
        raise RuntimeError("/secret/path exploded")


def make_handlers(service: Service) -> Handlers:
    with gr.Blocks(analytics_enabled=False) as demo:
        page = build_page(service.models)
        connect(demo, page, service)
    return Handlers(page, service)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    make_checkpoint(root / "fr-en-transformer")
    make_checkpoint(root / "fr-en-lstm", architecture="lstm")
    make_checkpoint(
        root / "many",
        languages=("fr", "en", "de"),
        directions=(("en", "fr"), ("de", "en")),
        target_tags=True,
        search=SearchConfig(beam=7, length_penalty=0.5),
    )
    return root


@pytest.fixture
def handlers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Handlers:
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return make_handlers(Service())


def merged(updates: Iterator[dict]) -> list[dict]:
    """The last two, which show the complete translation in two parts, as one."""
    *before, first, last = updates
    whole = handlers_done(last)
    return [*before, first | last] if whole else [*before, first, last]


def handlers_done(update: dict) -> bool:
    """It ends a translation that was complete."""
    return any(isinstance(v, dict) and v.get("kind") == "done" for v in update.values())


def run(
    handlers: Handlers,
    text: Any = SENTENCE,
    layer: Any = None,
    head: Any = None,
    views: tuple = ("words", "producing", "all", "heatmap", "near"),
    **changes: Any,
) -> list[dict]:
    form = {
        "model": "fr-en-transformer",
        "direction": "fr-en",
        "beam": 2,
        "length_penalty": 1.0,
        "n_best": 2,
        "max_length": 0,
        "sample": False,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "seed": 0,
    } | changes
    return merged(handlers.translate(text, *form.values(), layer, head, *views))


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


def test_another_model_brings_its_own_directions_settings_and_examples(
    handlers: Handlers,
) -> None:
    page = handlers.page
    update = handlers.model("many", model_line(None))
    assert update[page.model_line]["text"].startswith("Transformer")
    assert update[page.form.direction].choices == [
        ("English → French", "en-fr"),
        ("German → English", "de-en"),
    ]
    assert update[page.form.direction].value == "en-fr"
    assert (update[page.form.beam], update[page.form.length_penalty]) == (7, 0.5)
    assert update[page.examples].raw_samples == samples("en")
    for choice in (page.views.layer, page.views.head):
        assert update[choice].value is None
        assert "visible" not in update[choice].constructor_args
        assert "choices" not in update[choice].constructor_args


def test_the_same_model_once_more_changes_no_setting(handlers: Handlers) -> None:
    line = handlers.model("many", None)[handlers.page.model_line]
    assert handlers.model("many", line) == {handlers.page.model_line: line}


def test_another_direction_brings_examples_of_its_source(handlers: Handlers) -> None:
    update = handlers.direction("fr-en-transformer", "fr-en")
    assert update[handlers.page.examples].raw_samples == samples("fr")
    assert not handlers.direction("fr-en-transformer", "de-en")[handlers.page.examples].raw_samples


@pytest.mark.parametrize("name", [None, [], {}, 5, "x" * 10**6])
def test_models_that_are_none_get_a_sentence(handlers: Handlers, name: Any) -> None:
    (answer,) = handlers.model(name, 7).values()
    assert "There is no model" in answer["text"]
    assert len(answer["text"]) < 120


def test_unknown_model_is_named(handlers: Handlers) -> None:
    assert "“gone”" in handlers.model("gone", None)[handlers.page.model_line]["text"]


def test_sampling_shows_its_settings_instead_of_the_beam(handlers: Handlers) -> None:
    form = handlers.page.form
    on = handlers.sampling(True)
    assert on[form.beam]["visible"] is False
    assert on[form.temperature]["visible"] is True
    off = handlers.sampling(False)
    assert off[form.beam]["visible"] is True
    assert off[form.seed]["visible"] is False


def test_page_can_be_built_without_any_model() -> None:
    with gr.Blocks(analytics_enabled=False):
        page = build_page({})
    assert page.model_line.value["text"] == wording.NO_MODELS
    assert page.form.model.value is None


def test_ten_french_examples_begin_with_the_cat() -> None:
    assert len(samples("fr")) == 10
    assert samples("fr")[0] == ["Le chat est assis sur la chaise ."]
    assert samples("xx") == []


def test_directions_are_named_for_people(handlers: Handlers) -> None:
    model = handlers.service.models["many"]
    assert direction_choices(model)[1] == ("German → English", "de-en")


# --- What if ---


def change(handlers: Handlers, last: dict, **edit: Any) -> dict:
    """The last update of a change to the translation of an earlier update."""
    document = last[handlers.page.document]
    made = handlers.what_if(
        document, edit, None, None, "words", "producing", "all", "heatmap", "near"
    )
    return merged(made)[-1]


def test_a_change_is_decoded_and_says_what_it_changed(handlers: Handlers) -> None:
    page = handlers.page
    *_, first = run(handlers)
    option = first[page.result]["options"][1]["others"][0]
    last = change(
        handlers, first, kind="token", index=1, token=option["id"], branch="b1", parent=""
    )
    before, after = (views.read_document(u[page.document]) for u in (first, last))
    assert after.prefix == (before.target.ids[0], option["id"])
    assert after.search == before.search
    made = last[page.document]["change"]
    assert (made["branch"], made["parent"]) == ("b1", "")
    assert option["text"] in made["label"]
    assert made["own"].startswith("the model's own probability ")
    assert last[page.charts.heatmap]["figure"]["data"]


def test_a_chain_of_changes_is_what_its_last_request_gives(handlers: Handlers) -> None:
    page = handlers.page
    *_, update = run(handlers)
    for step in range(5):
        option = update[page.result]["options"][step]["others"][0]
        update = change(handlers, update, kind="token", index=step, token=option["id"])
    document = views.read_document(update[page.document])
    assert len(document.prefix) == 5
    again = handlers.service.pool.get("fr-en-transformer").translate(
        SENTENCE, prefix=document.prefix, beam=2, n_best=2, trace=True
    )
    assert again.target == document.target
    assert again.score == pytest.approx(document.score, abs=1e-6)


def test_changes_that_make_no_sense_leave_the_page_as_it_is(handlers: Handlers) -> None:
    page = handlers.page
    *_, first = run(handlers)
    for edit in ({}, {"kind": "token", "index": 999}, {"kind": "text", "index": 0, "text": ""}):
        update = change(handlers, first, **edit)
        assert update[page.status]["kind"] == "error"
        assert page.document not in update
    *_, update = handlers.what_if({"json": "x"}, {"kind": "token", "index": 0})
    assert update[page.status] == {"kind": "error", "text": wording.DAMAGED}
    *_, update = handlers.what_if(None, None)
    assert update[page.status]["text"] == wording.DAMAGED


def test_a_document_is_shown_again_as_it_was(handlers: Handlers) -> None:
    page = handlers.page
    *_, first = run(handlers)
    update = handlers.show(
        first[page.document], None, None, "words", "producing", "all", "heatmap", "near"
    )
    assert page.document not in update
    for part in (page.result, page.charts.player, page.charts.candidates, page.charts.tree):
        assert update[part] == first[part]
    assert handlers.show({"json": 7})[page.status]["text"] == wording.DAMAGED
    assert handlers.show(None)[page.status]["text"] == wording.DAMAGED


# --- Pictures of the attention ---


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
    best = HeadError(1, None, "input", 0.3, 1.0)
    alignment = Alignment("gold", ("fr", "en"), 147, best=best, heads=(best,))
    results = [ModelResults("fr-en-transformer", "", 1, (), (), (alignment,))]
    update = replace(handlers, results=results).best(
        document, None, None, "words", "producing", "all", "lines"
    )
    assert (update[page.views.layer].value, update[page.views.head].value) == (1, AVERAGE)
    assert update[page.views.reading].value == "input"
    assert "error of this map: 30 %" in update[page.charts.heatmap]["note"][1]
    assert handlers.best(None)[page.status]["text"] == wording.WAITING


# --- Swap ---


def test_languages_can_be_swapped_where_the_model_can(handlers: Handlers) -> None:
    page = handlers.page
    update = handlers.swap("The cat.", "fr-en-transformer", "fr-en")
    assert update[page.status]["text"] == "fr-en-transformer does not translate the other way."
    assert page.form.text not in update
    for odd in (None, 7, "gone"):
        assert page.form.direction not in handlers.swap("x", odd, "fr-en")
    name, (source, target) = "both", ("en", "fr")
    both = Model(name, "", ((source, target), (target, source)), SearchConfig())

    class Two(Service):
        @property
        def models(self) -> dict[str, Model]:
            return {name: both}

    update = replace(handlers, service=Two()).swap("Le chat.", name, "en-fr")
    assert update[page.form.text] == "Le chat."
    assert update[page.form.direction] == "fr-en"


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
