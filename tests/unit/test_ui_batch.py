"""Many sentences at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import make_checkpoint

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.translation import Translation
from seq2seq.ui import wording
from seq2seq.ui.batch import MAX_LINES, Line, read_lines, translate_lines
from seq2seq.ui.batch_tab import batch
from seq2seq.ui.service import Request, RequestError, Service

REQUEST = Request(text="", model="fr-en-transformer", direction="fr-en", beam=2)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    make_checkpoint(tmp_path / "fr-en-transformer")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return Service()


# --- Reading ---


@pytest.mark.parametrize(
    ("text", "name", "lines"),
    [
        ("a\nb", "", [Line(1, "a"), Line(2, "b")]),
        ("a\n\n  \n b ", "x.txt", [Line(1, "a"), Line(4, "b")]),
        ("\ufeffa\r\nb\r\n", "", [Line(1, "a"), Line(2, "b")]),
        ("a\tx\nb\ty\tz", "", [Line(1, "a", "x"), Line(2, "b", "y")]),
        ("a\tx\nb", "x.tsv", [Line(1, "a", "x"), Line(2, "b")]),
        ("a, b\nc", "", [Line(1, "a, b"), Line(2, "c")]),
        ('"a, b",x\n"c\nd",y', "x.CSV", [Line(1, "a, b", "x"), Line(2, "c\nd", "y")]),
        ("source,reference\na,b", "x.csv", [Line(2, "a", "b")]),
        ("Source\tTarget\na\tb", "", [Line(2, "a", "b")]),
        ("source\na", "", [Line(1, "source"), Line(2, "a")]),
        ("source,reference\na,b", "", [Line(1, "source,reference"), Line(2, "a,b")]),
    ],
)
def test_lines_and_tables(text: str, name: str, lines: list[Line]) -> None:
    assert read_lines(text, name=name) == lines


@pytest.mark.parametrize("text", ["", " \n\t\n", "\ufeff"])
def test_nothing_to_translate(text: str) -> None:
    with pytest.raises(RequestError, match="nothing to translate"):
        read_lines(text)


def test_too_many_lines() -> None:
    assert len(read_lines("a\n" * MAX_LINES)) == MAX_LINES
    with pytest.raises(RequestError, match="1,001 sentences; at most 1,000"):
        read_lines("a\n" * (MAX_LINES + 1))


def test_a_damaged_table() -> None:
    with pytest.raises(RequestError, match="table cannot be read"):
        read_lines('"a" b,c\n', name="x.csv")


@given(st.text(), st.sampled_from(["", "x.csv", "x.tsv"]))
def test_any_text_is_read_or_refused_in_words(text: str, name: str) -> None:
    try:
        lines = read_lines(text, name=name)
    except RequestError as error:
        assert str(error)  # noqa: PT017
    else:
        assert all(line.source for line in lines)
        numbers = [line.number for line in lines]
        assert numbers == sorted(set(numbers))


# --- Translating ---


def test_every_line_becomes_a_row_in_order(service: Service) -> None:
    lines = [Line(n, f"Le chat {n} dort.", "The cat sleeps.") for n in range(1, 71)]
    updates = list(translate_lines(service, REQUEST, lines))
    assert [len(update["rows"]) for update in updates] == [0, 32, 64, 70, 70]
    last = updates[-1]
    assert [row["number"] for row in last["rows"]] == list(range(1, 71))
    translator = service.pool.get("fr-en-transformer")
    for line, row in list(zip(lines, last["rows"], strict=True))[:5]:
        alone = translator.translate(line.source, beam=2)
        assert row["text"] == alone.text
        assert row["score"] == pytest.approx(alone.score, abs=1e-3)
    assert last["progress"].startswith("70 sentences in ")
    assert "about" in updates[1]["progress"]
    assert last["scores"].startswith("BLEU ")
    json.dumps(last, allow_nan=False)


def test_without_references_nothing_is_scored(service: Service) -> None:
    lines = [Line(1, "Le chat dort.", "The cat sleeps."), Line(2, "Le chien dort.")]
    assert list(translate_lines(service, REQUEST, lines))[-1]["scores"] == ""


def test_a_line_that_is_too_long_does_not_hold_up_the_others(service: Service) -> None:
    lines = [Line(1, "Le chat."), Line(2, "x" * 501), Line(3, "Le chien.")]
    rows = list(translate_lines(service, REQUEST, lines))[-1]["rows"]
    assert [bool(row["message"]) for row in rows] == [False, True, False]
    assert rows[1]["message"] == "The text has 501 characters; the limit is 500."
    assert rows[2]["text"] == service.pool.get("fr-en-transformer").translate(
        "Le chien.", beam=2
    ).text  # fmt: skip


def test_nor_does_one_of_too_many_pieces(service: Service) -> None:
    odd = "".join(chr(0x1F300 + n) for n in range(100))  # four bytes, and so four pieces, each
    lines = [Line(1, "Le chat."), Line(2, odd), Line(3, odd), Line(4, "Le chien.")]
    rows = list(translate_lines(service, REQUEST, lines))[-1]["rows"]
    assert [bool(row["message"]) for row in rows] == [False, True, True, False]
    assert "pieces for the model" in rows[1]["message"]
    wanted = service.pool.get("fr-en-transformer").translate("Le chien.", beam=2)
    assert rows[3]["text"] == wanted.text


def test_what_is_done_in_time_is_kept(service: Service) -> None:
    lines = [Line(n, "Le chat dort.") for n in range(1, 100)]
    last = list(translate_lines(service, REQUEST, lines, seconds=0))[-1]
    assert len(last["rows"]) == 32
    assert "what is done is kept" in last["message"]


class Looping(Service):
    """Says the same again and again."""

    def translate_all(self, request: Request, texts: Sequence[str]) -> list[Translation]:
        from ui_support import translation

        return [translation(target=("no",) * 5) for _ in texts]


def test_signs_stand_in_the_row() -> None:
    (row,) = list(translate_lines(Looping(), REQUEST, [Line(1, "Le chat dort.")]))[-1]["rows"]
    assert "Repeats itself" in row["signs"]


# --- From the page ---


def run(service: Service, text: Any = "", file: Any = None) -> list[dict[str, Any]]:
    return list(batch(service, lambda: REQUEST, text, file))


def test_a_file_goes_before_what_was_typed(service: Service) -> None:
    file = {"name": "x.csv", "text": "Le chat.,The cat."}
    (row,) = run(service, "Le chien.", file)[-1]["rows"]
    assert (row["source"], row["reference"]) == ("Le chat.", "The cat.")
    (row,) = run(service, "Le chien.")[-1]["rows"]
    assert row["source"] == "Le chien."


@pytest.mark.parametrize("file", [7, "x", {}, {"text": 7}, {"name": 7, "text": ""}])
def test_odd_files_are_as_if_none(service: Service, file: Any) -> None:
    assert run(service, "", file) == [{"message": wording.BATCH_EMPTY}]
    assert run(service, None, file) == [{"message": wording.BATCH_EMPTY}]


def test_refusals_are_sentences(service: Service) -> None:
    other = Request(text="", model="other", direction="fr-en")
    updates = list(batch(service, lambda: other, "Le chat.", None))
    assert updates[-1] == {"message": "There is no model “other”."}


class Broken(Service):
    """Fails in a way nobody foresaw."""

    def translate_all(self, request: Request, texts: Sequence[str]) -> list[Translation]:
        raise RuntimeError("/secret/path exploded")


def test_no_failure_shows_its_insides() -> None:
    assert run(Broken(), "Le chat.")[-1] == {"message": wording.FAILED}
