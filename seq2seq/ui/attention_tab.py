"""What the attention tab shows: one of four pictures, and how well its map aligns words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seq2seq.occlusion import Occlusion
from seq2seq.translation import Translation
from seq2seq.ui import wording
from seq2seq.ui.figures.heatmap import (
    AttentionView,
    attention_grid,
    heatmap_figure,
    heatmap_table,
)
from seq2seq.ui.figures.links import links_figure, links_table
from seq2seq.ui.figures.occlusion import occlusion_figure, occlusion_table
from seq2seq.ui.figures.overview import overview_figure, overview_table
from seq2seq.ui.figures.table import Table, percent
from seq2seq.ui.results import Alignment, HeadError, ModelResults
from seq2seq.ui.views import figure_json, map_name

__all__ = ["Measured", "Picture", "attention_panel", "needs_occlusion"]

Picture = Literal["heatmap", "lines", "heads", "occlusion"]


@dataclass(frozen=True)
class Measured:
    """What is known about how well a model's attention aligns words."""

    alignment: Alignment | None = None

    @classmethod
    def of(cls, translation: Translation, results: Sequence[ModelResults]) -> Measured:
        """Of the model and direction of a translation."""
        direction = (translation.source_language, translation.target_language)
        found = [
            one
            for model in results
            if model.name == translation.model.name
            for one in model.alignments
            if one.direction == direction
        ]
        return cls(found[0] if found else None)

    @property
    def best(self) -> HeadError | None:
        """The layer, head and reading with the lowest error."""
        return self.alignment.best if self.alignment else None

    def note(self, view: AttentionView) -> str:
        """The error of one map in words; empty if it was not measured."""
        if self.alignment is None:
            return ""
        wanted = (view.layer, view.head, view.reading)
        for one in self.alignment.heads:
            if (one.layer, one.head, one.reading) == wanted:
                return wording.MAP_ERROR.format(
                    rate=percent(one.error_rate),
                    best=percent(self.alignment.best.error_rate),
                    sentences=self.alignment.sentences,
                )
        return ""


def needs_occlusion(translation: Translation, picture: Picture) -> bool:
    """Whether the picture is drawn from what each source word changes."""
    return picture == "occlusion" or translation.attention is None


def attention_panel(
    translation: Translation,
    view: AttentionView,
    picture: Picture,
    *,
    measured: Measured,
    occlusion: Occlusion | None = None,
) -> dict[str, Any]:
    """The picture with its table and what has to be said about it.

    Args:
        translation: complete.
        view: layer, head, unit and reading, for the pictures that have a choice.
        picture: which one; a model without attention has only ``occlusion``.
        measured: of the same model and direction.
        occlusion: where :func:`needs_occlusion` says so.
    """
    if occlusion is not None:
        message = "" if translation.attention else wording.NO_ATTENTION
        shown = _drawn(
            occlusion_figure(translation, occlusion), occlusion_table(translation, occlusion)
        )
        return shown | {"message": message, "note": wording.OCCLUSION_NOTE}
    if picture == "heads":
        unit = view.unit
        shown = _drawn(
            overview_figure(translation, unit=unit), overview_table(translation, unit=unit)
        )
        return shown | {"note": wording.HEADS_NOTE}
    hidden = _hidden(translation, view)
    note = [*filter(None, (f"{map_name(translation, view)}.", hidden, measured.note(view)))]
    if picture == "lines":
        shown = _drawn(links_figure(translation, view), links_table(translation, view))
        return shown | {"note": [wording.LINES_NOTE, *note]}
    return _drawn(heatmap_figure(translation, view), heatmap_table(translation, view)) | {
        "note": note
    }


def _hidden(translation: Translation, view: AttentionView) -> str:
    """How much weight lies on columns that are not shown."""
    if view.special:
        return ""
    grid = attention_grid(translation, view)
    return wording.HIDDEN.format(
        mean=percent(float(grid.hidden.mean())), most=percent(float(grid.hidden.max()))
    )


def _drawn(figure: Any, table: Table) -> dict[str, Any]:
    return {"figure": figure_json(figure), "table": table.to_dict()}
