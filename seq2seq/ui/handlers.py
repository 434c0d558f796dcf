"""What happens on the page: from an event to new values of components."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import gradio as gr

from seq2seq.translation import Translation, TranslationError
from seq2seq.translator import TranslatorError
from seq2seq.ui import views, wording
from seq2seq.ui.attention_tab import Measured, Picture, attention_panel, needs_occlusion
from seq2seq.ui.batch_tab import connect_batch
from seq2seq.ui.compare_tab import connect_compare
from seq2seq.ui.events import EVENT, SEND_TEXT
from seq2seq.ui.export import export_view
from seq2seq.ui.figures.tree import Pruned
from seq2seq.ui.form import AVERAGE, Form, components
from seq2seq.ui.layout import Page, direction_choices, model_line, samples
from seq2seq.ui.link import form_updates, link_of
from seq2seq.ui.reading import (
    Chosen,
    attention_view,
    choice,
    choose,
    one_of,
    read_request,
    read_views,
)
from seq2seq.ui.results import ModelResults
from seq2seq.ui.sentence import result_view
from seq2seq.ui.service import Request, RequestError, Service, TooSlowError
from seq2seq.ui.steps import player_view
from seq2seq.ui.whatif import Edit, branch_view, edited, read_edit, root_view

__all__ = ["Handlers", "connect"]

_log = logging.getLogger(__name__)

Update = dict[Any, Any]

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
        [*components(page.form), page.model_line, page.examples],
        js=_LINK,
        **EVENT,
    ).then(None, None, None, js=_FOLLOW, **EVENT)
    page.tour.select(
        handlers.open_chapter,
        [page.form.text],
        [*components(page.form), page.model_line, page.examples, page.views.picture],
        js="() => [Explorer.chapter()]",
        **EVENT,
    ).then(None, None, None, js=_FOLLOW, **EVENT)
    _connect_translation(page, handlers)
    _connect_views(page, handlers)
    _connect_form(page, handlers)
    connect_compare(page.compare, page.form, service, results)
    connect_batch(page.batch, page.form, service)


def _connect_translation(page: Page, handlers: Handlers) -> None:
    cleared = [page.document, *components(page.charts)]
    go = [page.go.click, page.form.text.submit]
    told = [page.status, page.stop]
    drawn = [*told, page.result, *cleared, page.views.layer, page.views.head]
    # What the page says by itself, before the server takes its turn and if it never does.
    gr.on(go, None, [page.status], told, js=_BEGIN, **EVENT)
    gr.on(page.stop.click, None, [page.status], told, js=_STOP, **EVENT)
    running = gr.on(
        go,
        handlers.translate,
        [*components(page.form), *components(page.views)],
        drawn,
        js=SEND_TEXT,
        trigger_mode="once",
        concurrency_limit=2,
        **EVENT,
    )
    changing = page.result.edit(
        handlers.what_if,
        [page.document, page.result, *components(page.views)],
        drawn,
        js=_SEND_EDIT,
        trigger_mode="once",
        concurrency_limit=2,
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
    maps = [chosen.layer, chosen.head, chosen.unit, chosen.reading, chosen.picture]
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
    page.best.click(
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
    form.model.input(
        handlers.model,
        [form.model, page.model_line],
        [
            page.model_line,
            form.direction,
            form.beam,
            form.length_penalty,
            page.examples,
            page.views.layer,
            page.views.head,
        ],
        **EVENT,
    )
    form.direction.input(handlers.direction, form.direction, [page.examples], **EVENT)
    form.sample.input(
        handlers.sampling,
        form.sample,
        [form.beam, form.length_penalty, form.temperature, form.top_k, form.top_p, form.seed],
        **EVENT,
    )
    # The sample itself and not its number, which only preprocessing knows.
    sample = EVENT | {"preprocess": True}
    page.examples.click(handlers.example, page.examples, [form.text], **sample)


@dataclass(frozen=True)
class Origin:
    """What a translation was made from: another one, and the change to it."""

    document: Translation
    edit: Edit


@dataclass(frozen=True)
class Handlers:
    """The functions behind the events. They keep nothing: each request carries its whole state.

    Attributes:
        page: components that outputs are addressed to.
        service: the models.
        results: what was measured about them.
    """

    page: Page
    service: Service
    results: Sequence[ModelResults] = ()

    def translate(self, *values: Any) -> Iterator[Update]:
        """Stream the translation, then fill every chart.

        Args:
            values: of the form's components, then of the views', in the order of their fields.
        """
        count = len(fields(Form))
        chosen = read_views(*values[count:])
        yield from self._stream(lambda: (read_request(*values[:count]), None), chosen)

    def what_if(self, document: Any, edit: Any, *chosen: Any) -> Iterator[Update]:
        """Decode again from a changed word, and say what that changed.

        Args:
            document: the translation on the page.
            edit: the change, as in :class:`seq2seq.ui.whatif.Edit`.
            chosen: values of the views.
        """

        def read() -> tuple[Request, Origin]:
            origin = Origin(views.read_document(document), read_edit(edit))
            return edited(origin.document, origin.edit), origin

        yield from self._stream(read, read_views(*chosen))

    def show(self, document: Any, *chosen: Any) -> Update:
        """Draw a document that the page holds: one of its branches, or one from a file.

        Args:
            document: the translation.
            chosen: values of the views.
        """
        try:
            translation = views.read_document(document)
        except TranslationError as error:
            return {self.page.status: _status("error", str(error))}
        update = self._show(translation, read_views(*chosen))
        del update[self.page.document]  # the page has it
        return update | {self.page.status: _status("done", wording.SHOWN)}

    def stopped(self) -> Update:
        """The person stopped the translation: what was drawn before belongs to another one."""
        return self._ended("idle", wording.STOPPED, clear=True)

    def open_file(self, document: Any, *chosen: Any) -> Update:
        """Draw a document that was saved before; the page takes it only if it is one."""
        try:
            translation = views.read_document(document)
            update = self._show(translation, read_views(*chosen))
        except (TranslationError, RequestError, TranslatorError) as error:
            return {self.page.status: _status("error", str(error))}
        return update | {self.page.status: _status("done", wording.OPENED)}

    def export(self, document: Any, *chosen: Any) -> Any:
        """All parts of an analysis, for a page of its own."""
        try:
            translation = views.read_document(document)
        except TranslationError as error:
            return {"message": str(error)}
        view = attention_view(translation, read_views(*chosen))
        measured = Measured.of(translation, self.results)
        return export_view(translation, view, measured=measured, service=self.service)

    def open_link(self, link: Any) -> Update:
        """Fill the form with what the address holds."""
        page, models = self.page, self.service.models
        update = form_updates(page.form, link, models)
        if found := link_of(link, models):
            update[page.model_line] = found["line"]
            update[page.examples] = gr.Dataset(samples=found["samples"])
        return update or {page.form.text: gr.update()}

    def open_chapter(self, chapter: Any) -> Update:
        """Fill the form with the sentence of a chapter, and choose its picture."""
        update = self.open_link(chapter.get("link") if isinstance(chapter, dict) else None)
        picture = one_of(Picture, chapter.get("picture"), "") if update else ""
        return update | ({self.page.views.picture: picture} if picture else {})

    def attention(self, document: Any, *chosen: Any) -> Update:
        """Draw the attention anew from the document that the page holds."""
        charts = self.page.charts
        if document is None:
            return {charts.heatmap: None}
        try:
            translation = views.read_document(document)
            return self._maps(translation, read_views(*chosen))
        except (TranslationError, RequestError, TranslatorError) as error:
            return {charts.heatmap: {"message": str(error)}}

    def pick(self, document: Any, layer: Any, head: Any, *chosen: Any) -> Update:
        """One of the small maps was clicked: show it large."""
        shown, (unit, reading, _) = self.page.views, chosen
        return self.attention(document, layer, head, unit, reading, "heatmap") | {
            shown.layer: gr.Radio(value=layer),
            shown.head: gr.Radio(value=head),
            shown.picture: gr.Radio(value="heatmap"),
        }

    def best(self, document: Any, *chosen: Any) -> Update:
        """Show the layer, head and reading that align words best."""
        try:
            translation = views.read_document(document)
        except TranslationError:
            return {self.page.status: _status("idle", wording.WAITING)}
        best = Measured.of(translation, self.results).best
        if best is None:
            return {self.page.status: _status("idle", wording.NOT_MEASURED)}
        layer = AVERAGE if best.layer is None else best.layer
        head = AVERAGE if best.head is None else best.head
        shown = self.page.views
        unit = chosen[2]
        return self.attention(document, layer, head, unit, best.reading, "heatmap") | {
            shown.layer: gr.Radio(value=layer),
            shown.head: gr.Radio(value=head),
            shown.reading: gr.Radio(value=best.reading),
            shown.picture: gr.Radio(value="heatmap"),
        }

    def tree(self, document: Any, pruned: Any) -> Update:
        """Draw the tree anew from the document that the page holds."""
        tree = self.page.charts.tree
        if document is None:
            return {tree: None}
        try:
            translation = views.read_document(document)
        except TranslationError as error:
            return {tree: {"message": str(error)}}
        return {tree: views.tree_view(translation, pruned=one_of(Pruned, pruned, "near"))}

    def model(self, name: Any, line: Any) -> Update:
        """Another model: its line, directions, tuned settings and examples.

        Args:
            name: what was chosen.
            line: the line on the page, which names the model that all these belong to. It can be
                the same one: a dropdown says that it was chosen when the Tab key passes it.
        """
        page = self.page
        if isinstance(line, dict) and line.get("model") == name:
            return {page.model_line: line}
        model = self.service.models.get(name) if isinstance(name, str) else None
        if model is None:
            return {page.model_line: _status("error", wording.NO_MODEL.format(name=str(name)[:80]))}
        choices = direction_choices(model)
        return {
            page.model_line: model_line(model),
            page.form.direction: gr.Dropdown(choices=choices, value=choices[0][1]),
            page.form.beam: model.search.beam,
            page.form.length_penalty: model.search.length_penalty,
            page.examples: gr.Dataset(samples=samples(model.directions[0][0])),
            # What was chosen for another model means nothing for this one. The choices stay: they
            # belong to the map on the page until there is another.
            page.views.layer: gr.Radio(value=None),
            page.views.head: gr.Radio(value=None),
        }

    def direction(self, direction: Any) -> Update:
        """Another direction: examples in its source language."""
        return {self.page.examples: gr.Dataset(samples=samples(str(direction).partition("-")[0]))}

    def sampling(self, chosen: Any) -> Update:
        """Show the settings of sampling, or those of the search."""
        form, on = self.page.form, chosen is True
        searching = (form.beam, form.length_penalty)
        drawing = (form.temperature, form.top_k, form.top_p, form.seed)
        return {
            **{component: gr.update(visible=not on) for component in searching},
            **{component: gr.update(visible=on) for component in drawing},
        }

    def example(self, sample: list[str]) -> str:
        """Put an example into the text box."""
        return sample[0]

    # --- Parts --------------------------------------------------------------------------------

    def _stream(
        self, read: Callable[[], tuple[Request, Origin | None]], chosen: Chosen
    ) -> Iterator[Update]:
        """Decode what ``read`` asks for; it may also have come from a change to a document."""
        page = self.page
        yield {page.status: _status("busy", wording.BUSY), page.stop: gr.Button(interactive=True)}
        begun = False
        try:
            request, origin = read()
            for translation in self.service.translate(request):
                begun = True
                yield self._show(translation, chosen, origin)
        except (ValueError, TooSlowError) as error:
            yield self._ended("error", str(error), clear=begun)
        except Exception:
            _log.exception("a translation failed")
            yield self._ended("error", wording.FAILED, clear=begun)

    def _show(
        self, translation: Translation, chosen: Chosen, origin: Origin | None = None
    ) -> Update:
        page, charts = self.page, self.page.charts
        if not translation.complete:
            return {page.result: result_view(translation)}
        attention = translation.attention
        layers, heads = (attention.layers, attention.heads) if attention else ((), ())
        chosen = replace(
            chosen,
            layer=choose(layers, chosen.layer, attention.layer if attention else None),
            head=choose(heads, chosen.head, attention.head if attention else None),
        )
        done = wording.DONE.format(milliseconds=1000 * translation.timing.total)
        change = (
            branch_view(origin.document, translation, origin.edit)
            if origin
            else root_view(translation)
        )
        return {
            page.status: _status("done", done),
            page.stop: gr.Button(interactive=False),
            page.result: result_view(translation),
            page.document: views.document_view(translation, change),
            charts.player: player_view(translation),
            charts.candidates: views.candidates_view(translation),
            **self._maps(translation, chosen),
            charts.tree: views.tree_view(translation, pruned=chosen.pruned),
            page.views.layer: choice(layers, chosen.layer),
            page.views.head: choice(heads, chosen.head),
        }

    def _maps(self, translation: Translation, chosen: Chosen) -> Update:
        """Both charts that depend on the layer and the head."""
        charts, view = self.page.charts, attention_view(translation, chosen)
        wanted = needs_occlusion(translation, chosen.picture)
        panel = attention_panel(
            translation,
            view,
            chosen.picture,
            measured=Measured.of(translation, self.results),
            occlusion=self.service.occlusion(translation) if wanted else None,
        )
        return {
            charts.heatmap: panel,
            charts.attention: views.attention_steps_view(translation, view),
        }

    def _ended(self, kind: str, text: str, *, clear: bool) -> Update:
        """A message, and no charts where they would belong to another translation."""
        page = self.page
        update: Update = {
            page.status: _status(kind, text),
            page.stop: gr.Button(interactive=False),
        }
        if clear:
            update |= {page.document: None}
            update |= dict.fromkeys(components(page.charts))
        return update


def _status(kind: str, text: str) -> dict[str, str]:
    return {"kind": kind, "text": text}
