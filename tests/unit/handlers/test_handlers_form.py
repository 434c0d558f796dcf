"""Model, direction, sampling, examples, and swapping the languages."""

from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from seq2seq.config import SearchConfig
from seq2seq.ui import wording
from seq2seq.ui.handlers import Handlers
from seq2seq.ui.layout import build_page, direction_choices, model_line, samples
from seq2seq.ui.offers import Model
from seq2seq.ui.service import Service


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
