"""The tab that translates many sentences."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from seq2seq.ui import wording
from seq2seq.ui.batch import MAX_LINES, read_lines, translate_lines
from seq2seq.ui.events import EVENT, FEW_USERS
from seq2seq.ui.form import Form, components
from seq2seq.ui.panel import panel
from seq2seq.ui.reading import read_request
from seq2seq.ui.service import Request, Service, TooSlowError

__all__ = ["BatchTab", "batch", "build_batch_tab", "connect_batch"]

# The sentence above is not sent, and a file only as far as the server would take it.
_SEND_LINES = "(text, ...rest) => Explorer.lines(['', ...rest])"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchTab:
    """Components of the tab."""

    text: gr.Textbox
    file: gr.HTML
    go: gr.Button
    stop: gr.Button
    result: gr.HTML


def build_batch_tab() -> BatchTab:
    """Lay the tab out; call inside a ``gr.Tab``."""
    text = gr.Textbox(
        label=wording.BATCH_TEXT,
        info=wording.BATCH_INFO.format(limit=MAX_LINES),
        lines=4,
        max_lines=8,
        elem_id="batch-text",
    )
    file = panel("file", elem_id="batch-file", label=wording.BATCH_FILE)
    with gr.Row():
        go = gr.Button(wording.BATCH_GO, size="sm", elem_id="batch-go", min_width=160)
        stop = gr.Button(wording.BATCH_STOP, size="sm", elem_id="batch-stop", min_width=100)
    result = panel("batch", elem_id="batch", label="Batch", placeholder=wording.BATCH_WAITING)
    return BatchTab(text, file, go, stop, result)


def connect_batch(tab: BatchTab, form: Form, service: Service) -> None:
    """Attach the tab's events; a click on a sentence puts it into the form."""
    count = len(components(form))

    def run(*values: Any) -> Iterator[dict[str, Any]]:
        yield from batch(service, lambda: read_request(*values[:count]), *values[count:])

    running = tab.go.click(
        run,
        [*components(form), tab.text, tab.file],
        tab.result,
        js=_SEND_LINES,
        trigger_mode="once",
        concurrency_limit=FEW_USERS,
        **EVENT,
    )
    tab.stop.click(None, None, tab.result, js="Explorer.stopBatch", cancels=[running], **EVENT)
    tab.result.select(None, None, form.text, js="Explorer.opened", **EVENT)


def batch(
    service: Service, request: Callable[[], Request], text: Any, file: Any
) -> Iterator[dict[str, Any]]:
    """Translate what was typed, or what a file holds; yields what is done after each part.

    Args:
        service: the models.
        request: reads the form; its text is not used.
        text: typed lines.
        file: ``{"name": …, "text": …}``, which goes before what was typed, or None.
    """
    try:
        given = file if isinstance(file, dict) and isinstance(file.get("text"), str) else {}
        name = given.get("name")
        lines = read_lines(
            given.get("text") or (text if isinstance(text, str) else ""),
            name=name if isinstance(name, str) else "",
        )
        yield from translate_lines(service, request(), lines)
    except (ValueError, TooSlowError) as error:
        yield {"message": str(error)}
    except Exception:
        _log.exception("a batch failed")
        yield {"message": wording.FAILED}
