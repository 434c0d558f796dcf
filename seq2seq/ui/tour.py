"""A short course in four chapters, each of which drives the page with a sentence of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq.ui import wording
from seq2seq.ui.offers import Model

__all__ = ["Chapter", "chapters", "tour_view"]


@dataclass(frozen=True)
class Chapter:
    """One chapter.

    Attributes:
        title, paragraphs: what it says.
        models: names, the one that is wanted most first; the first that is there is used.
        text: the sentence, in the source language of those models.
        direction: of the translation.
        tab: id of the tab that is opened.
        settings: of the search, as in a link.
        picture: of the attention tab; empty to leave it alone.
    """

    title: str
    paragraphs: tuple[str, ...]
    models: tuple[str, ...]
    text: str
    direction: str
    tab: str
    settings: tuple[tuple[str, str], ...] = ()
    picture: str = ""


def chapters() -> tuple[Chapter, ...]:
    """The four of them, in order."""
    bottleneck, attention, heads, beam = wording.CHAPTERS
    return (
        Chapter(
            *bottleneck,
            models=("fr-en-lstm",),
            text="Les enfants que tu as vus hier jouent dans le jardin de ma grand-mère, "
            "et mon père travaille dans une grande maison près de la mer.",
            direction="fr-en",
            tab="tab-attention",
            settings=(("beam", "5"),),
            picture="occlusion",
        ),
        Chapter(
            *attention,
            models=("fr-en-gru-additive",),
            text="Cette vieille maison a été construite par mon grand-père.",
            direction="fr-en",
            tab="tab-attention",
            settings=(("beam", "5"),),
            picture="heatmap",
        ),
        Chapter(
            *heads,
            models=("fr-en-transformer",),
            text="Elle lui a offert un livre pour son anniversaire.",
            direction="fr-en",
            tab="tab-attention",
            settings=(("beam", "5"),),
            picture="heads",
        ),
        Chapter(
            *beam,
            models=("fr-en-transformer",),
            text="Si j'avais su, je ne serais pas venu.",
            direction="fr-en",
            tab="tab-tree",
            settings=(("beam", "4"), ("n_best", "3")),
        ),
    )


def tour_view(models: Sequence[Model]) -> dict[str, Any]:
    """The chapters that the models at hand can show: plain JSON types."""
    names = [model.name for model in models]
    value = []
    for chapter in chapters():
        model = next((name for name in chapter.models if name in names), None)
        link = {"text": chapter.text, "model": model, "direction": chapter.direction}
        value.append(
            {
                "title": chapter.title,
                "paragraphs": list(chapter.paragraphs),
                "link": link | dict(chapter.settings) if model else None,
                "tab": chapter.tab,
                "picture": chapter.picture,
            }
        )
    return {"chapters": value, "show": wording.TOUR_SHOW}
