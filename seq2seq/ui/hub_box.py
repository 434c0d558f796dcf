"""The box in which people name a model of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from seq2seq.ui import wording
from seq2seq.ui.downloads import Fetched
from seq2seq.ui.events import EVENT
from seq2seq.ui.operator import Operator
from seq2seq.ui.panel import panel

__all__ = ["HubBox", "HubForm", "build_hub_box", "connect_hub_box", "fetching"]

_HUB = "https://huggingface.co"
_MEGABYTE = 1e6
_MAX_NAME = 200


@dataclass(frozen=True)
class HubForm:
    """Where a model is named."""

    name: gr.Textbox
    load: gr.Button
    cancel: gr.Button


@dataclass(frozen=True)
class HubBox:
    """The box; without a form where only listed models may be used."""

    form: HubForm | None
    status: gr.HTML


def build_hub_box(operator: Operator) -> HubBox:
    """Lay the box out; call inside a column."""
    with gr.Accordion(wording.HUB, open=False, elem_id="hub"):
        form = None
        if operator.hub == "any":
            gr.HTML(f"<p>{escape(wording.HUB_HELP)}</p>")
            name = gr.Textbox(
                label=wording.HUB_ID,
                placeholder="Helsinki-NLP/opus-mt-en-fi",
                lines=1,
                max_lines=1,
                max_length=_MAX_NAME,
                elem_id="hub-name",
            )
            with gr.Row():
                load = gr.Button(wording.HUB_LOAD, size="sm", elem_id="hub-load", min_width=120)
                cancel = gr.Button(
                    wording.HUB_CANCEL, size="sm", elem_id="hub-cancel", min_width=80
                )
            form = HubForm(name, load, cancel)
        told = panel("status", elem_id="hub-status")
        if operator.listed:
            links = " ".join(map(_link, (entry.id for entry in operator.listed)))
            gr.HTML(
                f'<p>{escape(wording.HUB_LISTED)}</p><p class="cards" translate="no">{links}</p>'
            )
    return HubBox(form, told)


def connect_hub_box(
    box: HubBox, add: Callable[..., Any], outputs: list[gr.components.Component]
) -> None:
    """Attach the events of the form.

    Args:
        box: with a form.
        add: the handler, which takes the name.
        outputs: what it fills beside the status.
    """
    form = box.form
    if form is None:
        return
    running = gr.on(
        [form.load.click, form.name.submit],
        add,
        [form.name],
        [box.status, *outputs],
        trigger_mode="once",
        concurrency_limit=2,
        **EVENT,
    )
    form.cancel.click(
        lambda: {"kind": "idle", "text": wording.STOPPED},
        None,
        box.status,
        cancels=[running],
        **EVENT,
    )


def fetching(name: str, fetched: Fetched) -> str:
    """How far a download is, in a sentence."""
    if not fetched.total:
        return wording.HUB_ASKING.format(name=name)
    return wording.FETCHING.format(
        name=name,
        percent=f"{100 * fetched.done // fetched.total} %",
        total=f"{fetched.total / _MEGABYTE:,.1f}",
    )


def _stopped() -> dict[str, str]:
    return {"kind": "idle", "text": wording.STOPPED}


def _link(name: str) -> str:
    """To the model card; it opens only if somebody follows it."""
    address = f"{_HUB}/{name.partition('@')[0]}"
    return (
        f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{escape(name)}</a>'
    )
