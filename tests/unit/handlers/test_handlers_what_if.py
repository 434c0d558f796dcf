"""Changes to a translation are decoded, and it is shown again as it was."""

from typing import Any

import pytest
from handlers_support import SENTENCE, merged, run

from seq2seq.ui import views, wording
from seq2seq.ui.handlers import Handlers


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
