"""Which picture the attention tab shows, and what it says below."""

from __future__ import annotations

import numpy as np
import pytest
from ui_support import translation

from seq2seq.occlusion import Occlusion
from seq2seq.ui import wording
from seq2seq.ui.attention_tab import Measured, attention_panel, needs_occlusion
from seq2seq.ui.figures.heatmap import AttentionView
from seq2seq.ui.results import Alignment, HeadError, ModelResults

MEAN = HeadError(None, None, "producing", 0.5, 0.4, 1.0)
BEST = HeadError(1, 0, "input", 0.31, 0.3, 0.7)


def results(name: str = "tiny", direction: tuple[str, str] = ("fr", "en")) -> list[ModelResults]:
    alignment = Alignment("gold", direction, 147, best=BEST, best_relative=BEST, heads=(MEAN, BEST))
    return [ModelResults(name, "Transformer", 1234, (), (), (alignment,))]


def test_the_error_of_the_shown_map_stands_below_it() -> None:
    document = translation()
    measured = Measured.of(document, results())
    assert measured.best == BEST
    panel = attention_panel(document, AttentionView(), "heatmap", measured=measured)
    assert panel["note"][0] == "average of 2 layers, average of 2 heads."
    assert "error of this map: 50 %; the best one of this model has 31 % (147" in panel["note"][1]
    view = AttentionView(layer=1, head=0, reading="input")
    assert "error of this map: 31 %" in measured.note(view)
    assert measured.note(AttentionView(layer=0, head=0)) == ""


@pytest.mark.parametrize("other", [results("other"), results(direction=("en", "fr")), []])
def test_what_was_measured_elsewhere_is_not_said_here(other: list[ModelResults]) -> None:
    measured = Measured.of(translation(), other)
    assert measured.best is None
    assert measured.note(AttentionView()) == ""


@pytest.mark.parametrize(
    ("picture", "kind", "traces"), [("heatmap", "cells", 2), ("heads", "heads", 4)]
)
def test_pictures(picture: str, kind: str, traces: int) -> None:
    panel = attention_panel(translation(), AttentionView(), picture, measured=Measured())
    assert panel["figure"]["layout"]["meta"]["marks"] == kind
    assert len(panel["figure"]["data"]) == traces
    assert panel["table"]["rows"]


def test_lines_say_what_they_leave_out() -> None:
    panel = attention_panel(translation(), AttentionView(), "lines", measured=Measured())
    assert panel["note"][0] == wording.LINES_NOTE


def test_a_model_without_attention_shows_what_words_change() -> None:
    document = translation(with_attention=False)
    assert needs_occlusion(document, "heatmap")
    assert needs_occlusion(translation(), "occlusion")
    assert not needs_occlusion(translation(), "lines")
    occlusion = Occlusion((0, 1, 2), np.ones(4), np.zeros((4, 3)))
    panel = attention_panel(
        document, AttentionView(), "heatmap", measured=Measured(), occlusion=occlusion
    )
    assert panel["message"] == wording.NO_ATTENTION
    assert panel["figure"]["layout"]["meta"]["columns"] == [0, 1, 2]
    other = attention_panel(
        translation(), AttentionView(), "occlusion", measured=Measured(), occlusion=occlusion
    )
    assert other["message"] == ""
    assert other["note"] == wording.OCCLUSION_NOTE
