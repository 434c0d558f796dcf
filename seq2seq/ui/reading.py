"""What the page sent, read: its form, and how the charts are to be drawn."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, get_args

import gradio as gr

from seq2seq.config import SamplingConfig
from seq2seq.text.surrogates import whole_characters
from seq2seq.translation import Translation
from seq2seq.ui.attention_tab import Picture
from seq2seq.ui.figures.heatmap import AttentionView, Reading, Unit
from seq2seq.ui.figures.tree import Pruned
from seq2seq.ui.form import AVERAGE, Form
from seq2seq.ui.service import Request
from seq2seq.ui.settings import SETTINGS

__all__ = ["Chosen", "attention_view", "choice", "choose", "one_of", "read_request", "read_views"]


@dataclass(frozen=True)
class Chosen:
    """What the page's choices for the charts say.

    Attributes:
        layer, head: index, :data:`AVERAGE`, or None while nothing was chosen.
        unit, reading: as in :class:`AttentionView`.
        special: show the columns of special tokens.
        picture: as in :func:`seq2seq.ui.attention_tab.attention_panel`.
        pruned: as in :func:`seq2seq.ui.views.tree_view`.
    """

    layer: int | None
    head: int | None
    unit: Unit
    reading: Reading
    special: bool
    picture: Picture
    pruned: Pruned


def read_views(
    layer: Any = None,
    head: Any = None,
    unit: Any = None,
    reading: Any = None,
    columns: Any = None,
    picture: Any = None,
    pruned: Any = None,
) -> Chosen:
    """The values of the views, in their order; what makes no sense is as if not chosen."""
    return Chosen(
        layer=layer if type(layer) is int else None,
        head=head if type(head) is int else None,
        unit=one_of(Unit, unit, "words"),
        reading=one_of(Reading, reading, "producing"),
        special=columns != "plain",
        picture=one_of(Picture, picture, "heatmap"),
        pruned=one_of(Pruned, pruned, "near"),
    )


def one_of(kind: Any, value: Any, default: Any) -> Any:
    """``value`` if it is one of a Literal's, or else ``default``."""
    return value if isinstance(value, str) and value in get_args(kind) else default


def read_request(*values: Any) -> Request:
    """The values of the form, in its order, as a request.

    Raises:
        SettingError: a number is none, or out of range.
    """
    form = dict(zip((field.name for field in fields(Form)), values, strict=True))

    def number(name: str) -> Any:
        return SETTINGS[name].read(form[name])

    def text(name: str) -> str:
        return whole_characters(form[name]) if isinstance(form[name], str) else ""

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


def choose(names: tuple[str, ...], chosen: int | None, first: int | None) -> int:
    """An earlier choice where the model has it, or else what the model shows first."""
    if chosen is not None and AVERAGE <= chosen < len(names):
        return chosen
    return AVERAGE if first is None else first


def choice(names: tuple[str, ...], value: int | None) -> gr.Radio:
    """The radio of a model's layers or heads."""
    choices = [("average", AVERAGE), *((name, index) for index, name in enumerate(names))]
    # One layer alone is its own average: there is nothing to choose.
    return gr.Radio(choices=choices, value=value, visible=len(names) > 1)


def attention_view(translation: Translation, chosen: Chosen) -> AttentionView:
    """The view that is asked for; a choice left over from another model falls back to the mean."""
    attention = translation.attention
    layers = len(attention.layers) if attention else 0
    heads = len(attention.heads) if attention else 0
    return AttentionView(
        layer=chosen.layer if chosen.layer in range(layers) else None,
        head=chosen.head if chosen.head in range(heads) else None,
        unit=chosen.unit,
        reading=chosen.reading,
        special=chosen.special,
    )
