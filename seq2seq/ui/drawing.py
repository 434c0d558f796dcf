"""From a Translation to new values of everything that shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from seq2seq.text.surrogates import whole_characters
from seq2seq.translation import Translation
from seq2seq.ui import views, wording
from seq2seq.ui.attention_tab import Measured, attention_panel, needs_occlusion
from seq2seq.ui.layout import Page
from seq2seq.ui.reading import Chosen, attention_view, choice, choose
from seq2seq.ui.results import ModelResults
from seq2seq.ui.sentence import result_view
from seq2seq.ui.service import Service
from seq2seq.ui.steps import player_view
from seq2seq.ui.whatif import Edit, branch_view, root_view

__all__ = ["Drawing", "Origin", "Update", "status"]

Update = dict[Any, Any]


def status(kind: str, text: str) -> dict[str, str]:
    """Value of the line that says what is going on."""
    return {"kind": kind, "text": whole_characters(text)}


@dataclass(frozen=True)
class Origin:
    """What a translation was made from: another one, and the change to it."""

    document: Translation
    edit: Edit


@dataclass(frozen=True)
class Drawing:
    """Draws on a page.

    Attributes:
        page: components that outputs are addressed to.
        service: the models, for what only they can tell.
        results: what was measured about them.
    """

    page: Page
    service: Service
    results: Sequence[ModelResults] = ()

    def show(
        self, translation: Translation, chosen: Chosen, origin: Origin | None = None
    ) -> Iterator[Update]:
        """The sentence first and what is seen at once; then, if it is complete, all the rest."""
        page, charts = self.page, self.page.charts
        if not translation.complete:
            yield {page.result: result_view(translation)}
            return
        chosen = self._settled(translation, chosen)
        attention = translation.attention
        layers, heads = (attention.layers, attention.heads) if attention else ((), ())
        yield {
            page.result: result_view(translation),
            charts.heatmap: self._picture(translation, chosen),
            page.views.layer: choice(layers, chosen.layer),
            page.views.head: choice(heads, chosen.head),
        }
        change = (
            branch_view(origin.document, translation, origin.edit)
            if origin
            else root_view(translation)
        )
        done = wording.DONE.format(milliseconds=1000 * translation.timing.total)
        yield {
            page.status: status("done", done),
            page.stop: gr.Button(interactive=False),
            page.document: views.document_view(translation, change),
            charts.player: player_view(translation),
            charts.candidates: views.candidates_view(translation),
            charts.attention: self._steps(translation, chosen),
            charts.tree: views.tree_view(translation, pruned=chosen.pruned),
        }

    def at_once(self, translation: Translation, chosen: Chosen) -> Update:
        """All of it in one update."""
        update: Update = {}
        for part in self.show(translation, chosen):
            update |= part
        return update

    def maps(self, translation: Translation, chosen: Chosen) -> Update:
        """Both charts that depend on the layer and the head."""
        charts = self.page.charts
        return {
            charts.heatmap: self._picture(translation, chosen),
            charts.attention: self._steps(translation, chosen),
        }

    def _settled(self, translation: Translation, chosen: Chosen) -> Chosen:
        """Layer and head as chosen before, or as the model shows them first."""
        attention = translation.attention
        layers, heads = (attention.layers, attention.heads) if attention else ((), ())
        return replace(
            chosen,
            layer=choose(layers, chosen.layer, attention.layer if attention else None),
            head=choose(heads, chosen.head, attention.head if attention else None),
        )

    def _picture(self, translation: Translation, chosen: Chosen) -> dict[str, Any]:
        wanted = needs_occlusion(translation, chosen.picture)
        return attention_panel(
            translation,
            attention_view(translation, chosen),
            chosen.picture,
            measured=Measured.of(translation, self.results),
            occlusion=self.service.occlusion(translation) if wanted else None,
        )

    def _steps(self, translation: Translation, chosen: Chosen) -> dict[str, Any]:
        return views.attention_steps_view(translation, attention_view(translation, chosen))
