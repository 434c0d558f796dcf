"""Many sentences at once: read, translated in parts, and sorted by what went wrong."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq.diagnosis import diagnose
from seq2seq.evaluation.metrics import score
from seq2seq.request import TextTooLongError
from seq2seq.text.surrogates import whole_characters
from seq2seq.translation import Translation
from seq2seq.ui import wording
from seq2seq.ui.figures.table import percent
from seq2seq.ui.service import MAX_CHARACTERS, Request, RequestError, Service

__all__ = ["MAX_BATCH_SECONDS", "MAX_LINES", "Line", "read_lines", "translate_lines"]

MAX_LINES = 1000
"""Most sentences of one batch."""
MAX_BATCH_SECONDS = 600.0
"""Longest time that one batch may take; what is done by then is kept."""
_PART = 32
_HEADINGS = ("source", "src", "text", "sentence")


@dataclass(frozen=True)
class Line:
    """One sentence.

    Attributes:
        number: of its line, counted from 1.
        source: what is to be translated.
        reference: a translation by somebody else; empty where there is none.
    """

    number: int
    source: str
    reference: str = ""


def read_lines(text: str, *, name: str = "") -> list[Line]:
    """One sentence a line, or a table with the source first and a reference second.

    Args:
        text: of a file, or what was typed.
        name: of the file: ``.csv`` is read as such; anything else with a tab in its first line
            is a tab-separated table, and all the rest plain lines. A heading is left out.

    Raises:
        RequestError: nothing to translate, too many lines, or a damaged table.
    """
    text = whole_characters(text).removeprefix("\ufeff")
    if name.lower().endswith(".csv"):
        try:
            table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            raise RequestError(wording.BATCH_DAMAGED.format(error=error)) from error
    else:
        rows = text.splitlines()
        tabs = "\t" in next((row for row in rows if row.strip()), "")
        table = [row.split("\t") if tabs else [row] for row in rows]
    if table and len(table[0]) > 1 and table[0][0].strip().lower() in _HEADINGS:
        table[0] = []
    lines = [
        Line(number, row[0].strip(), row[1].strip() if len(row) > 1 else "")
        for number, row in enumerate(table, start=1)
        if row and row[0].strip()
    ]
    if not lines:
        raise RequestError(wording.BATCH_EMPTY)
    if len(lines) > MAX_LINES:
        raise RequestError(wording.BATCH_TOO_LONG.format(count=len(lines), limit=MAX_LINES))
    return lines


def translate_lines(
    service: Service, request: Request, lines: Sequence[Line], *, seconds: float = MAX_BATCH_SECONDS
) -> Iterator[dict[str, Any]]:
    """Yield all rows that are done, again and again, with the time that is left.

    A line that is too long gets a row that says so; the others are translated.

    Raises:
        ValueError: the model refuses the request as a whole.
    """
    started = time.monotonic()
    rows: list[dict[str, Any]] = []
    yield _view(rows, len(lines), 0.0)
    for first in range(0, len(lines), _PART):
        part = lines[first : first + _PART]
        rows += _part(service, request, part)
        spent = time.monotonic() - started
        yield _view(rows, len(lines), spent)
        if spent > seconds and len(rows) < len(lines):
            stopped = wording.BATCH_STOPPED.format(seconds=seconds)
            yield {**_view(rows, len(lines), spent), "message": stopped}
            return
    view = _view(rows, len(lines), time.monotonic() - started)
    model = service.models.get(request.model)
    pair = model.pair(request.direction) if model else None
    yield {**view, "scores": _scores(rows, pair[1] if pair else "")}


def _part(service: Service, request: Request, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Rows of some lines; one that the model cannot take does not hold up the others."""
    waiting = [line for line in lines if len(line.source) <= MAX_CHARACTERS]
    refused = {
        line.number: wording.TOO_LONG.format(
            count=f"{len(line.source):,}", limit=MAX_CHARACTERS
        ).partition(".")[0] + "."
        for line in lines if line not in waiting
    }  # fmt: skip
    found: list[Translation] = []
    while waiting:
        try:
            found = service.translate_all(request, [line.source for line in waiting])
            break
        except TextTooLongError as error:
            refused[waiting[error.index].number] = f"{str(error)[:1].upper()}{str(error)[1:]}."
            del waiting[error.index]
    done = dict(zip((line.number for line in waiting), found, strict=False))
    return [
        _row(line, done[line.number])
        if line.number in done
        else _refused(line, refused[line.number])
        for line in lines
    ]


def _row(line: Line, translation: Translation) -> dict[str, Any]:
    least = min(translation.word_probabilities, default=1.0)
    return {
        "number": line.number,
        "source": line.source,
        "text": translation.text,
        "reference": line.reference,
        "score": round(translation.score, 4),
        "least": percent(least),
        "signs": [wording.SIGNS[sign.kind][0] for sign in diagnose(translation)],
        "message": "",
    }


def _refused(line: Line, message: str) -> dict[str, Any]:
    return {
        "number": line.number,
        "source": line.source[:MAX_CHARACTERS],
        "text": "",
        "reference": line.reference,
        "score": None,
        "least": "",
        "signs": [],
        "message": message,
    }


def _view(rows: list[dict[str, Any]], total: int, spent: float) -> dict[str, Any]:
    left = spent / len(rows) * (total - len(rows)) if rows else 0.0
    return {
        "rows": list(rows),
        "total": total,
        "progress": wording.BATCH_PROGRESS.format(done=len(rows), total=total, left=left)
        if len(rows) < total
        else wording.BATCH_DONE.format(total=total, seconds=spent),
        "message": "",
        "scores": "",
    }


def _scores(rows: Sequence[dict[str, Any]], language: str) -> str:
    """BLEU and chrF where every translated line has a reference."""
    done = [row for row in rows if row["score"] is not None]
    if not done or not all(row["reference"] for row in done):
        return ""
    found = score(
        [row["text"] for row in done], [row["reference"] for row in done], target_language=language
    )
    return wording.BATCH_SCORES.format(
        bleu=found.bleu.value, chrf=found.chrf.value, signature=found.bleu.signature
    )
