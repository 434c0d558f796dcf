"""The page's handlers, and a request as the page sends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from seq2seq.ui.connect import connect
from seq2seq.ui.handlers import Handlers
from seq2seq.ui.layout import build_page
from seq2seq.ui.service import Service

SENTENCE = "Le chat voit la maison."


def make_handlers(service: Service) -> Handlers:
    with gr.Blocks(analytics_enabled=False) as demo:
        page = build_page(service.models)
        connect(demo, page, service)
    return Handlers(page, service)


def merged(updates: Iterator[dict]) -> list[dict]:
    """The last two, which show the complete translation in two parts, as one."""
    *before, first, last = updates
    whole = handlers_done(last)
    return [*before, first | last] if whole else [*before, first, last]


def handlers_done(update: dict) -> bool:
    """It ends a translation that was complete."""
    return any(isinstance(v, dict) and v.get("kind") == "done" for v in update.values())


def run(
    handlers: Handlers,
    text: Any = SENTENCE,
    layer: Any = None,
    head: Any = None,
    views: tuple = ("words", "producing", "all", "heatmap", "near"),
    **changes: Any,
) -> list[dict]:
    form = {
        "model": "fr-en-transformer",
        "direction": "fr-en",
        "beam": 2,
        "length_penalty": 1.0,
        "n_best": 2,
        "max_length": 0,
        "sample": False,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "seed": 0,
    } | changes
    return merged(handlers.translate(text, *form.values(), layer, head, *views))
