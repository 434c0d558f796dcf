"""A whole analysis in parts, for a page that opens without a server."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

from seq2seq.translation import Translation
from seq2seq.ui import views, wording
from seq2seq.ui.attention_tab import Measured, Picture, attention_panel
from seq2seq.ui.figures.heatmap import AttentionView
from seq2seq.ui.sentence import result_view
from seq2seq.ui.service import Service
from seq2seq.ui.steps import player_view

__all__ = ["Section", "export_view"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Section:
    """One panel of the page.

    Attributes:
        title: its heading; empty to go on with the section before.
        help: what it shows.
        kind: the function of the scripts that draws ``value``.
        label: for screen readers.
        value: of the panel.
    """

    title: str
    help: str
    kind: str
    label: str
    value: Any


def export_view(
    translation: Translation, view: AttentionView, *, measured: Measured, service: Service
) -> dict[str, Any]:
    """Title and sections: plain JSON types, nothing escaped."""
    sections = [Section("", "", "result", "Translation", result_view(translation))]
    sections += _attention(translation, view, measured, service)
    sections += [
        Section(wording.STEPS, wording.HELP_STEPS, "player", wording.STEPS,
                player_view(translation)),
        Section("", "", "frames", "Candidates", views.candidates_view(translation)),
        Section("", "", "frames", "Attention", views.attention_steps_view(translation, view)),
        Section(wording.TREE, wording.HELP_TREE, "plot", wording.TREE,
                views.tree_view(translation, pruned="near")),
    ]  # fmt: skip
    return {
        "title": f"{wording.TITLE}: {translation.source.text[:80]}",
        "introduction": wording.EXPORTED.format(
            model=translation.model.name, revision=translation.model.revision
        ),
        "sections": [asdict(section) for section in sections],
    }


def _attention(
    translation: Translation, view: AttentionView, measured: Measured, service: Service
) -> list[Section]:
    """Every picture that there is; what needs the model is left out where it is not at hand."""
    names = {value: name for name, value in wording.PICTURES}
    pictures: list[Picture] = ["heatmap", "lines", "heads"] if translation.attention else []
    sections = [
        Section(
            wording.ATTENTION if not index else "",
            wording.HELP_ATTENTION if not index else "",
            "plot",
            names[picture],
            attention_panel(translation, view, picture, measured=measured),
        )
        for index, picture in enumerate(pictures)
    ]
    try:
        occlusion = service.occlusion(translation)
    except ValueError as error:
        _log.info("an analysis is saved without occlusion: %s", error)
        return sections
    value = attention_panel(translation, view, "occlusion", measured=measured, occlusion=occlusion)
    return [*sections, Section(wording.OCCLUSION, "", "plot", wording.OCCLUSION, value)]
