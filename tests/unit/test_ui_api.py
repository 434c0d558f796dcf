"""The endpoints for programs."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from support import make_checkpoint

from seq2seq import Translation
from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.ui.api import Endpoints
from seq2seq.ui.server import build
from seq2seq.ui.service import Service

SENTENCE = "Le chat voit la maison."


@pytest.fixture
def endpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Endpoints:
    make_checkpoint(tmp_path / "fr-en-transformer")
    make_checkpoint(tmp_path / "fr-en-lstm", architecture="lstm")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return Endpoints(Service())


def test_translate(endpoints: Endpoints) -> None:
    found = endpoints.translate(SENTENCE, beam=3)
    wanted = endpoints.service.pool.get("fr-en-transformer").translate(SENTENCE, beam=3)
    assert found["text"] == wanted.text
    assert found["model"] == "fr-en-transformer"
    assert found["score"] == pytest.approx(wanted.score)
    shown = [word.text for word in wanted.target.words if not word.special]
    assert [word["text"] for word in found["words"]] == shown
    json.dumps(found, allow_nan=False)


def test_explain_gives_the_whole_document(endpoints: Endpoints) -> None:
    document = Translation.from_dict(endpoints.explain(SENTENCE, model="fr-en-lstm", beam=2))
    assert document.model.name == "fr-en-lstm"
    assert document.trace is not None
    assert document.search.beam == 2


def test_a_prefix(endpoints: Endpoints) -> None:
    assert endpoints.translate(SENTENCE, prefix="The dog ")["text"].startswith("The dog")


def test_compare(endpoints: Endpoints) -> None:
    models = ["fr-en-lstm", "fr-en-transformer"]
    found = endpoints.compare(SENTENCE, models)
    assert [one["model"] for one in found] == models
    assert found[1]["text"] == endpoints.translate(SENTENCE)["text"]


def test_batch_keeps_the_order(endpoints: Endpoints) -> None:
    texts = ["Le chat.", "Le chien.", "La maison."]
    rows = endpoints.batch(texts, beam=2)
    assert [row["source"] for row in rows] == texts
    assert rows[1]["text"] == endpoints.translate("Le chien.", beam=2)["text"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: e.translate(""), "nothing to translate"),
        (lambda e: e.translate("x" * 501), "501 characters"),
        (lambda e: e.translate(SENTENCE, model="gone"), "no model “gone”"),
        (lambda e: e.translate(SENTENCE, direction="en-fr"), "cannot translate en-fr"),
        (lambda e: e.translate(SENTENCE, beam=0), "from 1 to 20"),
        (lambda e: e.translate(SENTENCE, beam=1.5), "from 1 to 20"),
        (lambda e: e.translate(SENTENCE, beam=None), "from 1 to 20"),
        (lambda e: e.translate(SENTENCE, length_penalty=float("nan")), "from 0 to 2"),
        (lambda e: e.translate(7), "has to be text"),
        (lambda e: e.translate(SENTENCE, model=["x"]), "has to be text"),
        (lambda e: e.explain(None), "has to be text"),
        (lambda e: e.compare(SENTENCE, []), "two to 4 models"),
        (lambda e: e.compare(SENTENCE, "fr-en-lstm"), "two to 4 models"),
        (lambda e: e.compare(SENTENCE, [7]), "has to be text"),
        (lambda e: e.batch([]), "nothing to translate"),
        (lambda e: e.batch("text"), "nothing to translate"),
        (lambda e: e.batch([7]), "nothing to translate"),
        (lambda e: e.batch(["a"] * 1001), "1,001 sentences"),
        (lambda e: e.batch(["a"], model="gone"), "no model “gone”"),
    ],
)
def test_errors_are_one_sentence(endpoints: Endpoints, call: Any, message: str) -> None:
    with pytest.raises(gr.Error, match=message):
        call(endpoints)


def test_the_page_offers_the_endpoints_by_name(endpoints: Endpoints) -> None:
    demo = build(endpoints.service)
    public = {event.api_name for event in demo.fns.values() if event.api_visibility == "public"}
    assert public == {"translate", "explain", "compare", "batch"}


@pytest.mark.parametrize("name", ["translate", "explain", "compare", "batch"])
def test_every_parameter_is_documented(name: str) -> None:
    function = getattr(Endpoints, name)
    parameters = [p for p in inspect.signature(function).parameters if p != "self"]
    documentation = inspect.getdoc(function) or ""
    assert all(f"    {parameter}: " in documentation for parameter in parameters)
    assert "Returns:" in documentation
