"""What a link fills into the form."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import make_checkpoint

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.ui.form import Form
from seq2seq.ui.layout import build_page
from seq2seq.ui.link import form_updates, link_of
from seq2seq.ui.offers import Model
from seq2seq.ui.service import Service

LINK = {"text": "Le chat.", "model": "many", "direction": "de-en", "beam": "3", "n_best": "2"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    root = tmp_path_factory.mktemp("checkpoints")
    make_checkpoint(root / "fr-en-transformer")
    make_checkpoint(
        root / "many",
        languages=("fr", "en", "de"),
        directions=(("en", "fr"), ("de", "en")),
        target_tags=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(root))
        return Service().models


@pytest.fixture(scope="module")
def form(models: dict[str, Model]) -> Form:
    with gr.Blocks(analytics_enabled=False):
        return build_page(models).form


def value(update: Any) -> Any:
    if isinstance(update, dict):
        return update.get("value")
    return getattr(update, "value", update)


def test_everything_that_a_link_holds(form: Form, models: dict[str, Model]) -> None:
    link = LINK | {"length_penalty": "0.5", "max_length": "40"}
    updates = form_updates(form, link, models)
    found = {key: value(updates[getattr(form, key)]) for key in (*link,)}
    assert found == {
        "text": "Le chat.",
        "model": "many",
        "direction": "de-en",
        "beam": 3,
        "n_best": 2,
        "length_penalty": 0.5,
        "max_length": 40,
    }
    assert updates[form.direction]["choices"][0][1] == "en-fr"
    assert form.sample not in updates


def test_sampling(form: Form, models: dict[str, Model]) -> None:
    link = {"text": "x", "model": "many", "sample": "yes", "temperature": "0.5", "seed": "7"}
    updates = form_updates(form, link, models)
    assert updates[form.sample] is True
    assert value(updates[form.temperature]) == 0.5
    assert value(updates[form.seed]) == 7
    assert updates[form.seed]["visible"] is True
    assert updates[form.beam]["visible"] is False


def test_what_makes_no_sense_is_left_out(form: Form, models: dict[str, Model]) -> None:
    link = LINK | {"beam": "99", "n_best": "two", "direction": "zh-en", "seed": "-1"}
    updates = form_updates(form, link, models)
    assert form.beam not in updates
    assert form.n_best not in updates
    assert form.seed not in updates
    assert value(updates[form.direction]) == "en-fr"
    gone = form_updates(form, LINK | {"model": "gone"}, models)
    assert form.model not in gone
    assert form.direction not in gone


@pytest.mark.parametrize("link", [None, 7, "x", [], {}, {"text": 7}, {"model": None}])
def test_no_link_changes_nothing(form: Form, models: dict[str, Model], link: Any) -> None:
    assert form_updates(form, link, models) == {}
    assert link_of(link, models) == {}


def test_the_model_of_a_link_brings_its_line_and_examples(models: dict[str, Model]) -> None:
    found = link_of(LINK, models)
    assert found["line"]["model"] == "many"
    assert found["samples"][0] == ["Die Katze sitzt auf dem Stuhl."]
    # A direction that the model lacks: the form shows its first one, and so do the examples.
    other = link_of(LINK | {"direction": "de-fr"}, models)["samples"]
    assert other[0] == ["The cat is sitting on the chair."]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.dictionaries(st.sampled_from([*LINK, "seed", "sample"]), st.text()))
def test_any_link_is_read(form: Form, models: dict[str, Model], link: dict[str, str]) -> None:
    form_updates(form, link, models)
    link_of(link, models)
