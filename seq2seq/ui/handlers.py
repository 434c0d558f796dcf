"""What happens on the page: from an event to new values of components."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from seq2seq.config import SamplingConfig
from seq2seq.translation import Translation, TranslationError
from seq2seq.ui import views, wording
from seq2seq.ui.figures.heatmap import AttentionView
from seq2seq.ui.figures.tree import Pruned
from seq2seq.ui.layout import AVERAGE, Form, Page, components, direction_choices, samples
from seq2seq.ui.service import MAX_SENT, Request, Service, TooSlowError

__all__ = ["Handlers", "connect"]

_log = logging.getLogger(__name__)

Update = dict[Any, Any]

# A request must stay below the server's limit to get a sentence as its answer; the box keeps all.
_SEND_TEXT = f"(text, ...rest) => [(text || '').slice(0, {MAX_SENT}), ...rest]"
_SEND_ATTENTION = "(value, ...rest) => [Explorer.without(value, 'trace'), ...rest]"
_SEND_TRACE = "(value, ...rest) => [Explorer.without(value, 'attention'), ...rest]"


def connect(page: Page, service: Service) -> None:
    """Attach every event of the page; call inside its ``gr.Blocks``."""
    handlers = Handlers(page, service)
    _connect_translation(page, handlers)
    _connect_views(page, handlers)
    _connect_form(page, handlers)


def _connect_translation(page: Page, handlers: Handlers) -> None:
    cleared = [page.document, *components(page.charts)]
    running = gr.on(
        [page.go.click, page.form.text.submit],
        handlers.translate,
        [*components(page.form), *components(page.views)],
        [page.status, page.stop, page.result, *cleared, page.views.layer, page.views.head],
        js=_SEND_TEXT,
        trigger_mode="once",
        show_progress="hidden",
        concurrency_limit=2,
        api_visibility="private",
    )
    page.stop.click(
        handlers.stopped,
        None,
        [page.status, page.stop, *cleared],
        cancels=[running],
        show_progress="hidden",
        api_visibility="private",
    )


def _connect_views(page: Page, handlers: Handlers) -> None:
    chosen, charts = page.views, page.charts
    gr.on(
        [c.input for c in (chosen.layer, chosen.head, chosen.unit, chosen.reading)],
        handlers.attention,
        [page.document, chosen.layer, chosen.head, chosen.unit, chosen.reading],
        [charts.heatmap, charts.attention],
        js=_SEND_ATTENTION,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )
    chosen.pruned.input(
        handlers.tree,
        [page.document, chosen.pruned],
        [charts.tree],
        js=_SEND_TRACE,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )


def _connect_form(page: Page, handlers: Handlers) -> None:
    form = page.form
    for event, handler, source, outputs in (
        (
            form.model.input,
            handlers.model,
            form.model,
            [
                page.model_line,
                form.direction,
                form.beam,
                form.length_penalty,
                page.examples,
                page.views.layer,
                page.views.head,
            ],
        ),
        (form.direction.input, handlers.direction, form.direction, [page.examples]),
        (
            form.sample.input,
            handlers.sampling,
            form.sample,
            [form.beam, form.length_penalty, form.temperature, form.top_k, form.top_p, form.seed],
        ),
        (page.examples.click, handlers.example, page.examples, [form.text]),
    ):
        event(handler, source, outputs, show_progress="hidden", api_visibility="private")


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
        form, chosen = values[: len(fields(Form))], values[len(fields(Form)) :]
        yield {page.status: _status("busy", wording.BUSY), page.stop: gr.Button(interactive=True)}
        begun = False
        try:
            for translation in self.service.translate(_request(*form)):
                begun = True
                yield self._show(translation, *chosen)
        except (ValueError, TooSlowError) as error:
            yield self._ended("error", str(error), clear=begun)
        except Exception:
            _log.exception("a translation failed")
            yield self._ended("error", wording.FAILED, clear=begun)

    def stopped(self) -> Update:
        """The person stopped the translation: what was drawn before belongs to another one."""
        return self._ended("idle", wording.STOPPED, clear=True)

    def attention(self, document: Any, layer: int, head: int, unit: Any, reading: Any) -> Update:
        """Draw the attention anew from the document that the page holds."""
        charts = self.page.charts
        if document is None:
            return {charts.heatmap: None}
        try:
            translation = views.read_document(document)
            view = _view(translation, layer, head, unit, reading)
            return {
                charts.heatmap: views.heatmap_view(translation, view),
                charts.attention: views.attention_steps_view(translation, view),
            }
        except ValueError as error:
            return {charts.heatmap: {"message": str(error)}}

    def tree(self, document: Any, pruned: Pruned) -> Update:
        """Draw the tree anew from the document that the page holds."""
        tree = self.page.charts.tree
        if document is None:
            return {tree: None}
        try:
            return {tree: views.tree_view(views.read_document(document), pruned=pruned)}
        except TranslationError as error:
            return {tree: {"message": str(error)}}

    def model(self, name: str) -> Update:
        """Another model: its line, directions, tuned settings and examples."""
        page = self.page
        model = self.service.models.get(name)
        if model is None:
            return {page.model_line: _status("error", f"There is no model “{name[:80]}”.")}
        choices = direction_choices(model)
        return {
            page.model_line: _status("idle", model.line),
            page.form.direction: gr.Dropdown(choices=choices, value=choices[0][1]),
            page.form.beam: model.search.beam,
            page.form.length_penalty: model.search.length_penalty,
            page.examples: gr.Dataset(samples=samples(model.directions[0][0])),
            # What was chosen for another model means nothing for this one.
            page.views.layer: gr.Radio(choices=[], value=None, visible=False),
            page.views.head: gr.Radio(choices=[], value=None, visible=False),
        }

    def direction(self, direction: str) -> Update:
        """Another direction: examples in its source language."""
        return {self.page.examples: gr.Dataset(samples=samples(direction.partition("-")[0]))}

    def sampling(self, on: bool) -> Update:
        """Show the settings of sampling, or those of the search."""
        form = self.page.form
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

    def _show(
        self,
        translation: Translation,
        layer: int | None,
        head: int | None,
        unit: Any,
        reading: Any,
        pruned: Pruned,
    ) -> Update:
        page, charts = self.page, self.page.charts
        if not translation.complete:
            return {page.result: views.result_view(translation)}
        attention = translation.attention
        layers, heads = (attention.layers, attention.heads) if attention else ((), ())
        layer = _choose(layers, layer, attention.layer if attention else None)
        head = _choose(heads, head, attention.head if attention else None)
        done = wording.DONE.format(milliseconds=1000 * translation.timing.total)
        view = _view(translation, layer, head, unit, reading)
        return {
            page.status: _status("done", done),
            page.stop: gr.Button(interactive=False),
            page.result: views.result_view(translation),
            page.document: views.document_view(translation),
            charts.heatmap: views.heatmap_view(translation, view),
            charts.player: views.player_view(translation),
            charts.candidates: views.candidates_view(translation),
            charts.attention: views.attention_steps_view(translation, view),
            charts.tree: views.tree_view(translation, pruned=pruned),
            page.views.layer: _choice(layers, layer),
            page.views.head: _choice(heads, head),
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


def _request(
    text: str,
    model: str | None,
    direction: str | None,
    beam: int,
    length_penalty: float,
    n_best: int,
    max_length: int,
    sample: bool,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int | None,
) -> Request:
    """The values of the form, in its order, as a request.

    Raises:
        ConfigError: a setting of the sampling is out of range.
    """
    sampling = SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed or 0)
    return Request(
        text=text,
        model=model or "",
        direction=direction or "",
        beam=beam,
        length_penalty=length_penalty,
        n_best=n_best,
        max_length=max_length,
        sampling=sampling if sample else None,
    )


def _choose(names: tuple[str, ...], chosen: int | None, first: int | None) -> int:
    """An earlier choice where the model has it, or else what the model shows first."""
    if chosen is not None and AVERAGE <= chosen < len(names):
        return chosen
    return AVERAGE if first is None else first


def _choice(names: tuple[str, ...], value: int) -> gr.Radio:
    choices = [("average", AVERAGE), *((name, index) for index, name in enumerate(names))]
    # One layer alone is its own average: there is nothing to choose.
    return gr.Radio(choices=choices, value=value, visible=len(names) > 1)


def _view(
    translation: Translation, layer: int | None, head: int | None, unit: Any, reading: Any
) -> AttentionView:
    """The view that is asked for; a choice left over from another model falls back to the mean."""
    attention = translation.attention
    layers = len(attention.layers) if attention else 0
    heads = len(attention.heads) if attention else 0
    return AttentionView(
        layer=layer if layer is not None and 0 <= layer < layers else None,
        head=head if head is not None and 0 <= head < heads else None,
        unit=unit,
        reading=reading,
    )


def _status(kind: str, text: str) -> dict[str, str]:
    return {"kind": kind, "text": text}
