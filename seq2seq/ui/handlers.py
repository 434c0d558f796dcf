"""What happens on the page: from an event to new values of components."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

import gradio as gr

from seq2seq.config import SamplingConfig
from seq2seq.translation import Translation, TranslationError
from seq2seq.ui import views, wording
from seq2seq.ui.figures.heatmap import AttentionView, Reading, Unit
from seq2seq.ui.figures.tree import Pruned
from seq2seq.ui.layout import (
    AVERAGE,
    Form,
    Page,
    components,
    direction_choices,
    model_line,
    samples,
)
from seq2seq.ui.service import MAX_SENT, Request, Service, TooSlowError
from seq2seq.ui.settings import SETTINGS

__all__ = ["Handlers", "connect"]

_log = logging.getLogger(__name__)

Update = dict[Any, Any]

# A request must stay below the server's limit to get a sentence as its answer; the box keeps all.
_SEND_TEXT = f"(text, ...rest) => [(text || '').slice(0, {MAX_SENT}), ...rest]"
_SEND_ATTENTION = "(value, ...rest) => [Explorer.without(value, 'trace'), ...rest]"
_RESTORE = "(text) => sessionStorage.getItem('sentence') || text"
_BEGIN = (
    f"(now) => Explorer.begin(now, {json.dumps([wording.WAITING_FOR_MODEL, wording.STILL_BUSY])})"
)
_STOP = f"(now) => Explorer.stop(now, {json.dumps(wording.STOPPING)})"
_REFUSED = f"(now) => Explorer.refused(now, {json.dumps(wording.REFUSED)})"
_SEND_TRACE = "(value, ...rest) => [Explorer.without(value, 'attention'), ...rest]"


# gradio would check values against what this server remembers of the page, which is nothing after
# a restart or a long sleep, and answer with "Error". The handlers check them and answer in words.
_EVENT: dict[str, Any] = {
    "preprocess": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}


def connect(demo: gr.Blocks, page: Page, service: Service) -> None:
    """Attach every event of the page; call inside ``with demo``."""
    handlers = Handlers(page, service)
    demo.load(None, page.form.text, page.form.text, js=_RESTORE, **_EVENT)
    _connect_translation(page, handlers)
    _connect_views(page, handlers)
    _connect_form(page, handlers)


def _connect_translation(page: Page, handlers: Handlers) -> None:
    cleared = [page.document, *components(page.charts)]
    go = [page.go.click, page.form.text.submit]
    told = [page.status, page.stop]
    # What the page says by itself, before the server takes its turn and if it never does.
    gr.on(go, None, [page.status], told, js=_BEGIN, **_EVENT)
    gr.on(page.stop.click, None, [page.status], told, js=_STOP, **_EVENT)
    running = gr.on(
        go,
        handlers.translate,
        [*components(page.form), *components(page.views)],
        [*told, page.result, *cleared, page.views.layer, page.views.head],
        js=_SEND_TEXT,
        trigger_mode="once",
        concurrency_limit=2,
        **_EVENT,
    )
    running.failure(None, [page.status], told, js=_REFUSED, **_EVENT)
    page.stop.click(handlers.stopped, None, [*told, *cleared], cancels=[running], **_EVENT)


def _connect_views(page: Page, handlers: Handlers) -> None:
    chosen, charts = page.views, page.charts
    gr.on(
        [c.input for c in (chosen.layer, chosen.head, chosen.unit, chosen.reading)],
        handlers.attention,
        [page.document, chosen.layer, chosen.head, chosen.unit, chosen.reading],
        [charts.heatmap, charts.attention],
        js=_SEND_ATTENTION,
        trigger_mode="always_last",
        **_EVENT,
    )
    chosen.pruned.input(
        handlers.tree,
        [page.document, chosen.pruned],
        [charts.tree],
        js=_SEND_TRACE,
        trigger_mode="always_last",
        **_EVENT,
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
        **_EVENT,
    )
    form.direction.input(handlers.direction, form.direction, [page.examples], **_EVENT)
    form.sample.input(
        handlers.sampling,
        form.sample,
        [form.beam, form.length_penalty, form.temperature, form.top_k, form.top_p, form.seed],
        **_EVENT,
    )
    # The sample itself and not its number, which only preprocessing knows.
    sample = _EVENT | {"preprocess": True}
    page.examples.click(handlers.example, page.examples, [form.text], **sample)


@dataclass(frozen=True)
class Handlers:
    """The functions behind the events. They keep nothing: each request carries its whole state.

    Attributes:
        page: components that outputs are addressed to.
        service: the models.
    """

    page: Page
    service: Service

    def translate(self, *values: Any) -> Iterator[Update]:
        """Stream the translation, then fill every chart.

        Args:
            values: of the form's components, then of the views', in the order of their fields.
        """
        page = self.page
        count = len(fields(Form))
        form, chosen = values[:count], _read_views(*values[count:])
        yield {page.status: _status("busy", wording.BUSY), page.stop: gr.Button(interactive=True)}
        begun = False
        try:
            for translation in self.service.translate(_request(*form)):
                begun = True
                yield self._show(translation, chosen)
        except (ValueError, TooSlowError) as error:
            yield self._ended("error", str(error), clear=begun)
        except Exception:
            _log.exception("a translation failed")
            yield self._ended("error", wording.FAILED, clear=begun)

    def stopped(self) -> Update:
        """The person stopped the translation: what was drawn before belongs to another one."""
        return self._ended("idle", wording.STOPPED, clear=True)

    def attention(self, document: Any, *chosen: Any) -> Update:
        """Draw the attention anew from the document that the page holds."""
        charts = self.page.charts
        if document is None:
            return {charts.heatmap: None}
        try:
            translation = views.read_document(document)
        except TranslationError as error:
            return {charts.heatmap: {"message": str(error)}}
        view = _view(translation, _read_views(*chosen))
        return {
            charts.heatmap: views.heatmap_view(translation, view),
            charts.attention: views.attention_steps_view(translation, view),
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
        return {tree: views.tree_view(translation, pruned=_one_of(Pruned, pruned, "near"))}

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
            return {page.model_line: _status("error", f"There is no model “{str(name)[:80]}”.")}
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

    def _show(self, translation: Translation, chosen: Chosen) -> Update:
        page, charts = self.page, self.page.charts
        if not translation.complete:
            return {page.result: views.result_view(translation)}
        attention = translation.attention
        layers, heads = (attention.layers, attention.heads) if attention else ((), ())
        chosen = replace(
            chosen,
            layer=_choose(layers, chosen.layer, attention.layer if attention else None),
            head=_choose(heads, chosen.head, attention.head if attention else None),
        )
        done = wording.DONE.format(milliseconds=1000 * translation.timing.total)
        view = _view(translation, chosen)
        return {
            page.status: _status("done", done),
            page.stop: gr.Button(interactive=False),
            page.result: views.result_view(translation),
            page.document: views.document_view(translation),
            charts.heatmap: views.heatmap_view(translation, view),
            charts.player: views.player_view(translation),
            charts.candidates: views.candidates_view(translation),
            charts.attention: views.attention_steps_view(translation, view),
            charts.tree: views.tree_view(translation, pruned=chosen.pruned),
            page.views.layer: _choice(layers, chosen.layer),
            page.views.head: _choice(heads, chosen.head),
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


@dataclass(frozen=True)
class Chosen:
    """What the page's choices for the charts say.

    Attributes:
        layer, head: index, :data:`AVERAGE`, or None while nothing was chosen.
        unit, reading: as in :class:`AttentionView`.
        pruned: as in :func:`seq2seq.ui.views.tree_view`.
    """

    layer: int | None
    head: int | None
    unit: Unit
    reading: Reading
    pruned: Pruned


def _read_views(
    layer: Any, head: Any, unit: Any = None, reading: Any = None, pruned: Any = None
) -> Chosen:
    """The values of the views, in their order; what makes no sense is as if not chosen."""
    return Chosen(
        layer=layer if type(layer) is int else None,
        head=head if type(head) is int else None,
        unit=_one_of(Unit, unit, "words"),
        reading=_one_of(Reading, reading, "producing"),
        pruned=_one_of(Pruned, pruned, "near"),
    )


def _one_of(kind: Any, value: Any, default: Any) -> Any:
    """``value`` if it is one of a Literal's, or else ``default``."""
    return value if isinstance(value, str) and value in get_args(kind) else default


def _request(*values: Any) -> Request:
    """The values of the form, in its order, as a request.

    Raises:
        SettingError: a number is none, or out of range.
    """
    form = dict(zip((field.name for field in fields(Form)), values, strict=True))

    def number(name: str) -> Any:
        return SETTINGS[name].read(form[name])

    def text(name: str) -> str:
        return form[name] if isinstance(form[name], str) else ""

    sampling = None
    if form["sample"] is True:
        sampling = SamplingConfig(
            temperature=number("temperature"),
            top_k=number("top_k"),
            top_p=number("top_p"),
            seed=number("seed"),
        )
    return Request(
        text=text("text"),
        model=text("model"),
        direction=text("direction"),
        beam=number("beam"),
        length_penalty=number("length_penalty"),
        n_best=number("n_best"),
        max_length=number("max_length"),
        sampling=sampling,
    )


def _choose(names: tuple[str, ...], chosen: int | None, first: int | None) -> int:
    """An earlier choice where the model has it, or else what the model shows first."""
    if chosen is not None and AVERAGE <= chosen < len(names):
        return chosen
    return AVERAGE if first is None else first


def _choice(names: tuple[str, ...], value: int | None) -> gr.Radio:
    choices = [("average", AVERAGE), *((name, index) for index, name in enumerate(names))]
    # One layer alone is its own average: there is nothing to choose.
    return gr.Radio(choices=choices, value=value, visible=len(names) > 1)


def _view(translation: Translation, chosen: Chosen) -> AttentionView:
    """The view that is asked for; a choice left over from another model falls back to the mean."""
    attention = translation.attention
    layers = len(attention.layers) if attention else 0
    heads = len(attention.heads) if attention else 0
    return AttentionView(
        layer=chosen.layer if chosen.layer in range(layers) else None,
        head=chosen.head if chosen.head in range(heads) else None,
        unit=chosen.unit,
        reading=chosen.reading,
    )


def _status(kind: str, text: str) -> dict[str, str]:
    return {"kind": kind, "text": text}
