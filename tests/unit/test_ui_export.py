"""The parts of a page that is saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import make_checkpoint
from ui_support import nasty_translation, translation

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.ui import wording
from seq2seq.ui.attention_tab import Measured
from seq2seq.ui.export import export_view
from seq2seq.ui.figures.heatmap import AttentionView
from seq2seq.ui.service import Service


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    make_checkpoint(tmp_path / "fr-en-transformer")
    make_checkpoint(tmp_path / "fr-en-lstm", architecture="lstm")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return Service()


def titles(value: dict) -> list[str]:
    return [section["title"] for section in value["sections"] if section["title"]]


def test_every_chart_is_there(service: Service) -> None:
    document = service.pool.get("fr-en-transformer").translate("Le chat dort.", trace=True)
    value = export_view(document, AttentionView(), measured=Measured(), service=service)
    assert titles(value) == [wording.ATTENTION, wording.OCCLUSION, wording.STEPS, wording.TREE]
    assert [s["kind"] for s in value["sections"]] == [
        "result", "plot", "plot", "plot", "plot", "player", "frames", "frames", "plot",
    ]  # fmt: skip
    assert document.model.revision in value["introduction"]
    json.dumps(value, allow_nan=False)


def test_a_model_without_attention(service: Service) -> None:
    document = service.pool.get("fr-en-lstm").translate("Le chat dort.", trace=True)
    value = export_view(document, AttentionView(), measured=Measured(), service=service)
    assert titles(value) == [wording.OCCLUSION, wording.STEPS, wording.TREE]


def test_a_model_that_is_not_here_leaves_out_what_needs_it(service: Service) -> None:
    value = export_view(translation(), AttentionView(), measured=Measured(), service=service)
    assert titles(value) == [wording.ATTENTION, wording.STEPS, wording.TREE]


def test_text_is_passed_on_as_text(service: Service) -> None:
    value = export_view(nasty_translation(), AttentionView(), measured=Measured(), service=service)
    assert "<b>x</b>" in value["title"]
    json.dumps(value, allow_nan=False)
