"""Input that nobody types, but somebody sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import make_checkpoint
from ui_support import beam_translation, translation

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.text.surrogates import whole_characters
from seq2seq.translation import TranslationError
from seq2seq.ui import views, wording
from seq2seq.ui.api import Endpoints
from seq2seq.ui.batch import read_lines
from seq2seq.ui.drawing import status
from seq2seq.ui.figures.overview import overview_figure
from seq2seq.ui.service import Service
from seq2seq.ui.whatif import read_edit

HALF = "a\ud800b"


def changed(change: Callable[[dict[str, Any]], Any], *, beam: bool = False) -> dict[str, str]:
    """A document as the page sends it, changed by hand."""
    document = beam_translation() if beam else translation()
    values = json.loads(views.document_view(document)["json"])
    change(values)
    return {"json": json.dumps(values)}


# --- Halves of characters ---


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_becomes_whole(text: str) -> None:
    whole = whole_characters(text)
    whole.encode("utf-8")
    assert len(whole) == len(text) or not text.isascii()


@given(st.text())
def test_whole_text_stays_as_it_is(text: str) -> None:
    assert whole_characters(text) == text


def test_halves_are_replaced_wherever_text_comes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_checkpoint(tmp_path / "fr-en-transformer")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    endpoints = Endpoints(Service())
    answers: list[Any] = [
        endpoints.translate(HALF, prefix=HALF),
        endpoints.explain(HALF),
        endpoints.batch([HALF]),
        [line.source for line in read_lines(f"{HALF}\n{HALF}")],
        status("error", HALF),
        read_edit({"kind": "text", "index": 0, "text": HALF}).text,
        views.read_document(changed(lambda d: d.update(warnings=[HALF]))).warnings,
    ]
    for answer in answers:
        orjson.dumps(answer)


# --- Documents ---


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(score=1e300),
        lambda d: d.update(complete=False),
        lambda d: d.update(token_log_probabilities=[5.0] * 5),
        lambda d: d["target"]["pieces"][0].update(id=2**70),
        lambda d: d["timing"].update(decoder=1e300),
        lambda d: d["model"].update(parameters=2**200),
        lambda d: d["attention"]["weights"].update(data=[1e38] * 100),
        lambda d: d["attention"].update(
            layers=[], heads=[], layer=None, head=None,
            weights={"shape": [5, 0, 0, 5], "data": []},
        ),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(TranslationError, match="could not be read"):
        views.read_document(changed(change))


@pytest.mark.parametrize(
    ("key", "value"),
    [("probability", 1e300), ("cumulative", -1e300), ("token", 2**70), ("rank", 2**70)],
)
def test_candidates_that_cannot_be_are_refused(key: str, value: float) -> None:
    def change(document: dict[str, Any]) -> None:
        document["trace"]["steps"][0]["expansions"][0]["candidates"][2][key] = value

    with pytest.raises(TranslationError, match="could not be read"):
        views.read_document(changed(change, beam=True))


def test_more_than_can_be_drawn_is_refused() -> None:
    long = translation(target=["w"] * 3000, with_attention=False, with_trace=False)
    with pytest.raises(TranslationError, match="could not be read"):
        views.read_document(views.document_view(long))


def test_real_documents_are_plausible() -> None:
    for document in (translation(), beam_translation(), translation(with_attention=False)):
        assert views.read_document(views.document_view(document)).text == document.text


def test_names_of_heads_are_no_markup() -> None:
    document = translation()
    assert document.attention is not None
    names = ("<a href='https://example.com'>x</a>", "%{z}")
    attention = type(document.attention)(
        weights=np.asarray(document.attention.weights), layers=names, heads=names
    )
    figure = overview_figure(type(document)(**{**document.__dict__, "attention": attention}))
    assert "<a href" not in figure.to_json().encode().decode("unicode_escape")
    assert wording.DAMAGED
