"""What happens on the page: from an event to new values of components."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from seq2seq.translation import TranslationError
from seq2seq.translator import TranslatorError
from seq2seq.ui import views, wording
from seq2seq.ui.attention_tab import Measured, Picture
from seq2seq.ui.drawing import Drawing, Origin, Update, status
from seq2seq.ui.export import export_view
from seq2seq.ui.figures.tree import Pruned
from seq2seq.ui.form import AVERAGE, Form, components
from seq2seq.ui.hub_box import fetching
from seq2seq.ui.layout import Page, direction_choices, model_line, samples
from seq2seq.ui.link import form_updates, link_of
from seq2seq.ui.offers import names_here
from seq2seq.ui.reading import (
    Chosen,
    attention_view,
    one_of,
    read_request,
    read_views,
)
from seq2seq.ui.results import ModelResults
from seq2seq.ui.service import Request, RequestError, Service, TooSlowError
from seq2seq.ui.whatif import edited, read_edit

__all__ = ["Handlers"]

_log = logging.getLogger(__name__)


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

    @property
    def drawing(self) -> Drawing:
        """Draws on this page."""
        return Drawing(self.page, self.service, self.results)

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
            update = self.drawing.at_once(translation, read_views(*chosen))
        except (TranslationError, RequestError, TranslatorError) as error:
            return {self.page.status: status("error", str(error))}
        del update[self.page.document]  # the page has it
        return update | {self.page.status: status("done", wording.SHOWN)}

    def stopped(self) -> Update:
        """The person stopped the translation: what was drawn before belongs to another one."""
        return self._ended("idle", wording.STOPPED, clear=True)

    def open_file(self, document: Any, *chosen: Any) -> Update:
        """Draw a document that was saved before; the page takes it only if it is one."""
        try:
            translation = views.read_document(document)
            update = self.drawing.at_once(translation, read_views(*chosen))
        except (TranslationError, RequestError, TranslatorError) as error:
            return {self.page.status: status("error", str(error))}
        except Exception:
            # It passed every check, and still something in it cannot be drawn.
            _log.exception("a document from a file could not be drawn")
            return {self.page.status: status("error", wording.DAMAGED)}
        return update | {self.page.status: status("done", wording.OPENED)}

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
        # Models may have come since the page was laid out.
        update: Update = {
            page.form.model: gr.update(choices=list(models)),
            page.tabs.compare.models: gr.update(choices=names_here(models)),
        }
        update |= form_updates(page.form, link, models)
        if found := link_of(link, models):
            update[page.model_line] = found["line"]
            update[page.examples] = gr.Dataset(samples=found["samples"])
        return update

    def open_chapter(self, chapter: Any) -> Update:
        """Fill the form with the sentence of a chapter, and choose its picture."""
        if not isinstance(chapter, dict):
            return {self.page.form.text: gr.update()}
        update = self.open_link(chapter.get("link"))
        picture = one_of(Picture, chapter.get("picture"), "")
        return update | ({self.page.views.picture: picture} if picture else {})

    def attention(self, document: Any, *chosen: Any) -> Update:
        """Draw the attention anew from the document that the page holds."""
        charts = self.page.charts
        if document is None:
            return {charts.heatmap: None}
        try:
            translation = views.read_document(document)
            return self.drawing.maps(translation, read_views(*chosen))
        except (TranslationError, RequestError, TranslatorError) as error:
            return {charts.heatmap: {"message": str(error)}}

    def pick(self, document: Any, layer: Any, head: Any, *chosen: Any) -> Update:
        """One of the small maps was clicked: show it large."""
        if type(layer) is not int or type(head) is not int or not 0 <= max(layer, head) < 1000:
            return {self.page.status: status("idle", wording.WAITING)}
        shown, (unit, reading, columns, _) = self.page.views, chosen
        return self.attention(document, layer, head, unit, reading, columns, "heatmap") | {
            shown.layer: gr.Radio(value=layer),
            shown.head: gr.Radio(value=head),
            shown.picture: gr.Radio(value="heatmap"),
        }

    def best(self, document: Any, *chosen: Any) -> Update:
        """Show the layer, head and reading that align words best."""
        try:
            translation = views.read_document(document)
        except TranslationError:
            return {self.page.status: status("idle", wording.WAITING)}
        best = Measured.of(translation, self.results).best
        if best is None:
            return {self.page.status: status("idle", wording.NOT_MEASURED)}
        layer = AVERAGE if best.layer is None else best.layer
        head = AVERAGE if best.head is None else best.head
        shown = self.page.views
        unit, columns = chosen[2], chosen[4]
        return self.attention(document, layer, head, unit, best.reading, columns, "heatmap") | {
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
            return {page.model_line: status("error", wording.NO_MODEL.format(name=str(name)[:80]))}
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

    def direction(self, name: Any, direction: Any) -> Update:
        """Another direction: examples in its source language."""
        model = self.service.models.get(name) if isinstance(name, str) else None
        pair = model.pair(str(direction)) if model else None
        return {self.page.examples: gr.Dataset(samples=samples(pair[0] if pair else ""))}

    def swap(self, text: Any, name: Any, direction: Any) -> Update:
        """The other way round, if the model can: its translation becomes the sentence."""
        page = self.page
        model = self.service.models.get(name) if isinstance(name, str) else None
        pair = model.pair(str(direction)) if model else None
        if model is None or pair is None or pair[::-1] not in model.directions:
            shown = str(name)[:80]
            return {page.status: status("idle", wording.NO_SWAP.format(model=shown))}
        return {
            page.form.text: text if isinstance(text, str) else "",
            page.form.direction: "-".join(pair[::-1]),
            page.examples: gr.Dataset(samples=samples(pair[1])),
        }

    def sampling(self, chosen: Any) -> Update:
        """Show the settings of sampling, or those of the search."""
        form, on = self.page.form, chosen is True
        searching = (form.beam, form.length_penalty)
        drawing = (form.temperature, form.top_k, form.top_p, form.seed)
        return {
            **{component: gr.update(visible=not on) for component in searching},
            **{component: gr.update(visible=on) for component in drawing},
        }

    def example(self, sample: Any) -> Any:
        """Put an example into the text box."""
        known = isinstance(sample, list) and sample and isinstance(sample[0], str)
        return sample[0] if known else gr.update()

    def add(self, text: Any) -> Iterator[Update]:
        """Download and load a model of the Hub, and choose it."""
        page = self.page
        if page.hub is None:
            return
        told = page.hub.status
        name = str(text).strip()[:300] if isinstance(text, str) else ""
        yield {told: status("busy", wording.HUB_ASKING.format(name=name))}
        try:
            for fetched in self.service.add(name):
                if fetched.total:
                    yield {told: status("busy", fetching(name, fetched))}
        except ValueError as error:
            yield {told: status("error", str(error))}
        except Exception:
            _log.exception("a model could not be loaded")
            yield {told: status("error", wording.FAILED)}
        else:
            models = self.service.models
            yield {
                told: status("done", wording.FETCHED.format(name=name)),
                **self.model(name, None),
                page.form.model: gr.Dropdown(choices=list(models), value=name),
                page.tabs.compare.models: gr.CheckboxGroup(choices=names_here(models)),
            }

    # --- Parts --------------------------------------------------------------------------------

    def _stream(
        self, read: Callable[[], tuple[Request, Origin | None]], chosen: Chosen
    ) -> Iterator[Update]:
        """Decode what ``read`` asks for; it may also have come from a change to a document."""
        page = self.page
        yield {page.status: status("busy", wording.BUSY), page.stop: gr.Button(interactive=True)}
        begun = False
        try:
            request, origin = read()
            yield from self._fetch(request.model)
            for translation in self.service.translate(request):
                begun = True
                yield from self.drawing.show(translation, chosen, origin)
        except (ValueError, TooSlowError) as error:
            yield self._ended("error", str(error), clear=begun)
        except Exception:
            _log.exception("a translation failed")
            yield self._ended("error", wording.FAILED, clear=begun)

    def _fetch(self, name: str) -> Iterator[Update]:
        """Download a model that is not here yet, and say how far that is."""
        page = self.page
        here = True
        for fetched in self.service.fetch(name):
            here = False
            yield {page.status: status("busy", fetching(name, fetched))}
        models = self.service.models
        if not here and name in models:
            yield {
                page.status: status("busy", wording.BUSY),
                page.model_line: model_line(models[name]),
                page.tabs.compare.models: gr.CheckboxGroup(choices=names_here(models)),
            }

    def _ended(self, kind: str, text: str, *, clear: bool) -> Update:
        """A message, and no charts where they would belong to another translation."""
        page = self.page
        update: Update = {
            page.status: status(kind, text),
            page.stop: gr.Button(interactive=False),
        }
        if clear:
            update |= {page.document: None}
            update |= dict.fromkeys(components(page.charts))
        return update
