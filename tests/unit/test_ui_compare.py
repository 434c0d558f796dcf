"""One sentence through several models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import make_checkpoint
from ui_support import NASTY, nasty_translation, translation

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.ui import wording
from seq2seq.ui.compare_tab import compare, steps_table
from seq2seq.ui.service import Request, RequestError, Service

SENTENCE = "Le chat voit la maison."
MODELS = ["fr-en-transformer", "fr-en-gru", "fr-en-lstm"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    make_checkpoint(root / "fr-en-transformer")
    make_checkpoint(root / "fr-en-gru", architecture="gru-additive")
    make_checkpoint(root / "fr-en-lstm", architecture="lstm")
    make_checkpoint(root / "de-en", languages=("fr", "de", "en"), directions=(("de", "en"),))
    return root


@pytest.fixture
def service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return Service()


def run(service: Service, names: Any, text: str = SENTENCE) -> list[dict[str, Any]]:
    request = Request(text=text, model="fr-en-transformer", direction="fr-en", beam=2)
    return list(compare(service, [], lambda: request, names))


def test_every_model_has_a_column_with_its_own_picture(service: Service) -> None:
    updates = run(service, MODELS)
    assert [len(update["columns"]) for update in updates] == [0, 1, 2, 3]
    assert [u["message"] for u in updates[:-1]] == [
        wording.COMPARING.format(name=name) for name in MODELS
    ]
    last = updates[-1]
    assert last["message"] == ""
    assert [column["model"] for column in last["columns"]] == MODELS
    pool = service.pool
    for column in last["columns"]:
        document = pool.get(column["model"]).translate(SENTENCE, beam=2)
        shown = "".join(s["text"] for s in column["segments"] if not s["special"])
        assert shown.rstrip() == document.text
        assert f"score {document.score:.3f}" in column["facts"]
    maps = [c["chart"]["figure"]["layout"]["meta"] for c in last["columns"]]
    assert maps[0]["attention"]
    assert "attention" not in maps[2]  # it has none: what each source word changes
    json.dumps(last, allow_nan=False)


def test_steps_stand_side_by_side(service: Service) -> None:
    last = run(service, MODELS[:2])[-1]
    table = last["steps"]
    assert table["columns"] == ["step", *MODELS[:2]]
    longest = max(len(c["segments"]) for c in last["columns"])
    assert len(table["rows"]) >= longest // 2
    assert all(len(row) == 3 for row in table["rows"])


def test_the_shorter_translation_leaves_its_cells_empty() -> None:
    table = steps_table([translation(target=("a",)), translation(target=("a", "b", "c"))])
    assert [row[1] for row in table.rows] == ["a  70 %", "</s>  70 %", "", ""]
    assert table.rows[3][2] == "</s>  70 %"


def test_tokens_are_visible_and_not_escaped() -> None:
    cells = [row[1] for row in steps_table([nasty_translation()]).rows]
    assert any(cell.startswith(NASTY[0]) for cell in cells)
    assert any("[U+202E]" in cell for cell in cells)


def test_a_model_without_the_direction_says_so_and_the_others_go_on(service: Service) -> None:
    last = run(service, ["fr-en-transformer", "de-en", "fr-en-lstm"])[-1]
    messages = [column["message"] for column in last["columns"]]
    assert messages == ["", "de-en cannot translate fr-en.", ""]


@pytest.mark.parametrize("names", [None, "fr-en-lstm", [], ["fr-en-lstm"], MODELS * 2, [1, 2, {}]])
def test_two_to_four_models_are_needed(service: Service, names: Any) -> None:
    assert run(service, names) == [{"message": wording.COMPARE_COUNT.format(limit=4)}]


def test_nothing_to_translate_is_said_for_each(service: Service) -> None:
    last = run(service, MODELS[:2], text=" ")[-1]
    assert {column["message"] for column in last["columns"]} == {wording.EMPTY}


def test_a_form_that_cannot_be_read_gets_its_sentence(service: Service) -> None:
    def refuse() -> Request:
        raise RequestError("Beam has to be a number.")

    assert list(compare(service, [], refuse, MODELS)) == [{"message": "Beam has to be a number."}]


class Broken(Service):
    """Fails in a way nobody foresaw."""

    def translate(self, request: Request) -> Iterator[Any]:
        raise RuntimeError("/secret/path exploded")
        yield


def test_no_failure_shows_its_insides() -> None:
    assert run(Broken(), MODELS)[-1] == {"message": wording.FAILED}
