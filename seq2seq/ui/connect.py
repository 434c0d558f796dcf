"""Which event of the page calls which handler, with what, and what its answer fills."""

from __future__ import annotations

import json
from collections.abc import Sequence

import gradio as gr

from seq2seq.ui import wording
from seq2seq.ui.batch_tab import connect_batch
from seq2seq.ui.compare_tab import connect_compare
from seq2seq.ui.events import EVENT, SEND_TEXT, USERS
from seq2seq.ui.form import components
from seq2seq.ui.handlers import Handlers
from seq2seq.ui.hub_box import connect_hub_box
from seq2seq.ui.layout import Page
from seq2seq.ui.results import ModelResults
from seq2seq.ui.service import Service

__all__ = ["connect"]

_SEND_ATTENTION = "(value, ...rest) => [Explorer.without(value, 'trace'), ...rest]"
_SEND_EDIT = (
    "(value, edit, ...rest) => [Explorer.without(value, 'trace', true), Explorer.edit(), ...rest]"
)
_SEND_PICKED = (
    "(value, layer, head, ...rest) =>"
    " [Explorer.without(value, 'trace'), ...Explorer.picked(), ...rest]"
)
_SEND_WHOLE = "(value, ...rest) => [Explorer.whole(value), ...rest]"
# The page may be there before its scripts are.
_LINK = (
    "async () => { while (!window.Explorer?.link) await new Promise((go) => setTimeout(go, 20));"
    " return [Explorer.link()]; }"
)
_GO = "() => document.querySelector('#go').click()"
# What was translated goes to the other side.
_SEND_SWAP = "(text, ...rest) => [Explorer.lib.targetText() || text, ...rest]"
_FOLLOW = "() => Explorer.follow()"
_GO_ON = "() => Explorer.goOn()"
_SEND_OPENED = "(value, ...rest) => [Explorer.takeOpened(), ...rest]"
_BEGIN = (
    f"(now) => Explorer.begin(now, {json.dumps([wording.WAITING_FOR_MODEL, wording.STILL_BUSY])})"
)
_STOP = f"(now) => Explorer.stop(now, {json.dumps(wording.STOPPING)})"
_REFUSED = f"(now) => Explorer.refused(now, {json.dumps(wording.REFUSED)})"
_SEND_TRACE = "(value, ...rest) => [Explorer.without(value, 'attention'), ...rest]"


def connect(
    demo: gr.Blocks, page: Page, service: Service, results: Sequence[ModelResults] = ()
) -> None:
    """Attach every event of the page; call inside ``with demo``."""
    handlers = Handlers(page, service, results)
    demo.load(
        handlers.open_link,
        [page.form.text],
        [*components(page.form), page.model_line, page.examples, page.tabs.compare.models],
        js=_LINK,
        **EVENT,
    ).then(None, None, None, js=_FOLLOW, **EVENT)
    page.tabs.tour.select(
        handlers.open_chapter,
        [page.form.text],
        [
            *components(page.form),
            page.model_line,
            page.examples,
            page.tabs.compare.models,
            page.views.picture,
        ],
        js="() => [Explorer.chapter()]",
        **EVENT,
    ).then(None, None, None, js=_FOLLOW, **EVENT)
    _connect_translation(page, handlers)
    _connect_views(page, handlers)
    _connect_form(page, handlers)
    connect_compare(page.tabs.compare, page.form, service, results)
    connect_batch(page.tabs.batch, page.form, service)


def _connect_translation(page: Page, handlers: Handlers) -> None:
    cleared = [page.document, *components(page.charts)]
    go = [page.go.click, page.form.text.submit]
    told = [page.status, page.stop]
    drawn = [*told, page.result, *cleared, page.views.layer, page.views.head]
    fetched = [page.model_line, page.tabs.compare.models]
    # What the page says by itself, before the server takes its turn and if it never does.
    gr.on(go, None, [page.status], told, js=_BEGIN, **EVENT)
    gr.on(page.stop.click, None, [page.status], told, js=_STOP, **EVENT)
    running = gr.on(
        go,
        handlers.translate,
        [*components(page.form), *components(page.views)],
        [*drawn, *fetched],
        js=SEND_TEXT,
        trigger_mode="once",
        concurrency_limit=USERS,
        **EVENT,
    )
    changing = page.result.edit(
        handlers.what_if,
        [page.document, page.result, *components(page.views)],
        [*drawn, *fetched],
        js=_SEND_EDIT,
        trigger_mode="once",
        concurrency_limit=USERS,
        **EVENT,
    )
    page.result.apply(
        handlers.show,
        [page.document, *components(page.views)],
        drawn,
        js=_SEND_WHOLE,
        trigger_mode="always_last",
        **EVENT,
    )
    opening = [page.document, *components(page.views)]
    page.document.upload(
        handlers.open_file,
        opening,
        drawn,
        js=_SEND_OPENED,
        trigger_mode="always_last",
        **EVENT,
    )
    page.document.download(
        handlers.export, opening, page.export, js=_SEND_WHOLE, trigger_mode="once", **EVENT
    )
    for event in (running, changing):
        event.failure(None, [page.status], told, js=_REFUSED, **EVENT)
        event.then(None, None, None, js=_GO_ON, **EVENT)
    page.stop.click(handlers.stopped, None, [*told, *cleared], cancels=[running, changing], **EVENT)


def _connect_views(page: Page, handlers: Handlers) -> None:
    chosen, charts = page.views, page.charts
    maps = components(chosen)[:-1]  # all but what concerns the tree
    drawn = [charts.heatmap, charts.attention, page.status]
    gr.on(
        [c.input for c in maps],
        handlers.attention,
        [page.document, *maps],
        drawn,
        js=_SEND_ATTENTION,
        trigger_mode="always_last",
        **EVENT,
    )
    charts.heatmap.select(
        handlers.pick,
        [page.document, *maps],
        [*drawn, chosen.layer, chosen.head, chosen.picture],
        js=_SEND_PICKED,
        trigger_mode="always_last",
        **EVENT,
    )
    page.tabs.best.click(
        handlers.best,
        [page.document, *maps],
        [*drawn, chosen.layer, chosen.head, chosen.reading, chosen.picture],
        js=_SEND_ATTENTION,
        trigger_mode="always_last",
        **EVENT,
    )
    chosen.pruned.input(
        handlers.tree,
        [page.document, chosen.pruned],
        [charts.tree],
        js=_SEND_TRACE,
        trigger_mode="always_last",
        **EVENT,
    )


def _connect_form(page: Page, handlers: Handlers) -> None:
    form = page.form
    of_model = [
        page.model_line,
        form.direction,
        form.beam,
        form.length_penalty,
        page.examples,
        page.views.layer,
        page.views.head,
    ]
    form.model.input(handlers.model, [form.model, page.model_line], of_model, **EVENT)
    if page.hub is not None and page.hub.form is not None:
        connect_hub_box(page.hub, handlers.add, [*of_model, form.model, page.tabs.compare.models])
    form.direction.input(handlers.direction, [form.model, form.direction], [page.examples], **EVENT)
    form.sample.input(
        handlers.sampling,
        form.sample,
        [form.beam, form.length_penalty, form.temperature, form.top_k, form.top_p, form.seed],
        **EVENT,
    )
    # The sample itself and not its number, which only preprocessing knows.
    sample = EVENT | {"preprocess": True}
    page.examples.click(handlers.example, page.examples, [form.text], **sample).then(
        None, None, None, js=_GO, **EVENT
    )
    page.swap.click(
        handlers.swap,
        [form.text, form.model, form.direction],
        [form.text, form.direction, page.examples, page.status],
        js=_SEND_SWAP,
        **EVENT,
    )
