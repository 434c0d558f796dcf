"""Changes to a translation, and what the page says about them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ui_support import EOS, NASTY, beam_translation, nasty_translation, translation

from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.ui import wording
from seq2seq.ui.service import RequestError
from seq2seq.ui.whatif import Edit, branch_view, edited, read_edit, root_view


def test_a_change_is_read_as_the_page_sends_it() -> None:
    sent = {"kind": "token", "index": 2, "token": 7, "text": "", "branch": "b1", "parent": ""}
    assert read_edit(sent) == Edit("token", 2, token=7, branch="b1")
    assert read_edit({"kind": "text", "index": 0, "text": "dog"}) == Edit("text", 0, text="dog")


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        "token",
        {},
        {"kind": "drop", "index": 0},
        {"kind": ["token"], "index": 0},
        {"kind": "token", "index": True},
        {"kind": "token", "index": "0"},
        {"kind": "token", "index": 0, "token": 1.5},
        {"kind": "text", "index": 0, "text": None},
        {"kind": "text", "index": 0, "text": "x", "branch": 7},
    ],
)
def test_anything_else_gets_one_sentence(sent: object) -> None:
    with pytest.raises(RequestError, match="does not fit the translation"):
        read_edit(sent)


def test_another_piece_keeps_all_before_it_and_all_settings() -> None:
    search = SearchConfig(beam=3, length_penalty=0.5, n_best=2, max_length=40)
    before = dataclasses.replace(translation(), search=search)
    request = edited(before, Edit("token", 2, token=77))
    assert request.prefix == (*before.target.ids[:2], 77)
    assert (request.text, request.model, request.direction) == (
        before.source.text,
        "tiny",
        "fr-en",
    )
    assert (request.beam, request.length_penalty) == (3, 0.5)
    assert (request.n_best, request.max_length) == (2, 40)
    drawn = dataclasses.replace(
        before, search=SearchConfig(beam=1, sampling=SamplingConfig(seed=3))
    )
    assert edited(drawn, Edit("token", 0, token=7)).sampling == SamplingConfig(seed=3)


def test_free_text_starts_with_the_word_of_the_step() -> None:
    before = translation()  # the third word has two pieces, 2 and 3
    for step in (2, 3):
        request = edited(before, Edit("text", step, text=" runs fast "))
        assert request.prefix == (*before.target.ids[:2], "runs fast ")
    with pytest.raises(RequestError, match="nothing to translate"):
        edited(before, Edit("text", 2, text="  "))


@pytest.mark.parametrize(
    ("word", "text", "left"),
    [
        (1, "chien", "Le chien dort"),
        (1, "", "Le dort"),
        (0, "", "chat dort"),
        (2, "", "Le chat"),
        (2, " court vite ", "Le chat court vite"),
    ],
)
def test_a_source_word_is_replaced_or_left_out(word: int, text: str, left: str) -> None:
    request = edited(translation(), Edit("word", word, text=text))
    assert (request.text, request.prefix) == (left, ())


def test_a_sentence_of_nothing_is_refused() -> None:
    with pytest.raises(RequestError, match="Nothing would be left"):
        edited(translation(source=("Chat",)), Edit("word", 0))


@pytest.mark.parametrize(
    "edit",
    [
        Edit("token", -1),
        Edit("token", 5),
        Edit("text", 99, text="x"),
        Edit("word", 4, text="x"),
        Edit("word", 3, text="x"),  # the end of the sentence
    ],
)
def test_places_that_do_not_exist_are_refused(edit: Edit) -> None:
    with pytest.raises(RequestError, match="does not fit"):
        edited(translation(), edit)


def test_what_a_change_did() -> None:
    before = translation(target=("The", "cat", "sleeps"))
    after = translation(target=("The", "dog", "sleeps"), probability=0.5)
    after = dataclasses.replace(after, prefix=after.target.ids[:2])
    edit = Edit("token", 1, token=900, branch="b2", parent="b1")
    view = branch_view(before, after, edit)
    assert (view["branch"], view["parent"], view["text"]) == ("b2", "b1", "The dog sleeps")
    assert view["label"] == "“other<i>” instead of “cat”"
    assert [s["text"] for s in view["stretches"]] == ["The", " cat", " dog", " sleeps"]
    assert view["own"] == "the model's own probability 50 %, rank 1"
    assert view["score"] == f"{np.log(0.5) - np.log(0.7):+.3f}"
    assert view["log_probability"] == f"{4 * (np.log(0.5) - np.log(0.7)):+.3f}"
    assert view["attention"] == "0 %" or view["attention"].endswith(" %")


def test_a_word_of_several_pieces_has_one_probability_and_several_ranks() -> None:
    after = translation(target=("The", ["do", "gs"], "sleep"), probability=0.5)
    after = dataclasses.replace(after, prefix=after.target.ids[:3])
    view = branch_view(translation(), after, Edit("text", 1, text="dogs"))
    assert view["own"] == "the model's own probability 25 %, rank 1, 1"


@pytest.mark.parametrize(
    ("edit", "label"),
    [
        (Edit("text", 2, text="runs"), "“runs” from “sleeps” on"),
        (Edit("word", 1, text="chien"), "source: “chien” instead of “chat”"),
        (Edit("word", 1), "source: without “chat”"),
        (Edit("token", 4, token=901), "“rare” instead of the end"),
        (Edit("token", 1, token=2), "ended before “cat”"),
    ],
)
def test_labels(edit: Edit, label: str) -> None:
    before = translation()
    assert branch_view(before, before, edit)["label"] == label


def test_a_new_source_frees_what_was_forced() -> None:
    before = dataclasses.replace(translation(), prefix=(4,))
    view = branch_view(before, translation(), Edit("word", 1, text="chien"))
    assert view["own"] == wording.FROM_START
    assert branch_view(translation(), before, Edit("word", 1, text="chien"))["own"] == ""


def test_tokens_are_made_visible_but_not_escaped() -> None:
    before = nasty_translation()
    view = branch_view(before, before, Edit("text", 0, text="<b>\u202ex</b>"))
    assert "<b>[U+202E]x</b>" in view["label"]
    assert any(NASTY[0] in stretch["text"] for stretch in view["stretches"])


def test_a_document_without_its_trace_will_do() -> None:
    before = dataclasses.replace(beam_translation(), trace=None)
    request = edited(before, Edit("token", 0, token=11))
    assert request.prefix == (11,)
    assert branch_view(before, beam_translation(), Edit("token", 0, token=11))["label"]


def test_the_root_has_no_parent() -> None:
    assert root_view(translation()) == {
        "branch": "",
        "text": "The cat sleeps",
        "label": wording.ROOT,
    }
    assert EOS not in root_view(translation())["text"]
