"""The tabs below the translation, one function each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from seq2seq.ui import wording
from seq2seq.ui.batch_tab import BatchTab, build_batch_tab
from seq2seq.ui.compare_tab import CompareTab, build_compare_tab
from seq2seq.ui.glossary import explained
from seq2seq.ui.models_tab import build_models_tab
from seq2seq.ui.offers import Model
from seq2seq.ui.panel import panel
from seq2seq.ui.results import ModelResults
from seq2seq.ui.tour import tour_view

__all__ = ["Charts", "Tabs", "Views", "build_tabs"]


_Maps = tuple[gr.Radio, gr.Radio, gr.Radio, gr.Radio, gr.Radio, gr.Radio]


@dataclass(frozen=True)
class Views:
    """How the charts are read."""

    layer: gr.Radio
    head: gr.Radio
    unit: gr.Radio
    reading: gr.Radio
    columns: gr.Radio
    picture: gr.Radio
    pruned: gr.Radio


@dataclass(frozen=True)
class Charts:
    """The panels below the translation."""

    heatmap: gr.HTML
    player: gr.HTML
    candidates: gr.HTML
    attention: gr.HTML
    tree: gr.HTML


@dataclass(frozen=True)
class Tabs:
    """Components of all tabs that take part in an event."""

    views: Views
    charts: Charts
    best: gr.Button
    compare: CompareTab
    batch: BatchTab
    tour: gr.HTML


def build_tabs(results: Sequence[ModelResults], models: Sequence[Model]) -> Tabs:
    """Lay the tabs out; call inside a ``gr.Blocks``.

    Args:
        results: what was measured about models.
        models: those that can be chosen.
    """
    with gr.Tabs(elem_id="charts"):
        with gr.Tab(wording.ATTENTION, elem_id="tab-attention"):
            maps, heatmap, best = _attention_tab()
        with gr.Tab(wording.STEPS, elem_id="tab-steps"):
            player, candidates, attention = _steps_tab()
        with gr.Tab(wording.TREE, elem_id="tab-tree"):
            pruned, tree = _tree_tab()
        with gr.Tab("What if", elem_id="tab-what-if"):
            _help(wording.HELP_WHAT_IF)
            # Has no value: it shows the changes that the page has collected.
            panel("branches", elem_id="branches", placeholder=wording.WAITING)
        with gr.Tab("Compare", elem_id="tab-compare"):
            _help(wording.HELP_COMPARE)
            compare = build_compare_tab(models)
        with gr.Tab("Batch", elem_id="tab-batch"):
            batch = build_batch_tab()
        with gr.Tab(wording.LEARN, elem_id="tab-learn"):
            tour = panel("tour", elem_id="tour", label=wording.LEARN, value=tour_view(models))
        with gr.Tab("Models", elem_id="tab-models"):
            build_models_tab(results)
    charts = Charts(heatmap, player, candidates, attention, tree)
    return Tabs(Views(*maps, pruned), charts, best, compare, batch, tour)


def _attention_tab() -> tuple[_Maps, gr.HTML, gr.Button]:
    """The choices in the order of :class:`Views`, the picture, and a short cut to the best map."""
    _help(wording.HELP_ATTENTION)
    picture = _radio("Picture", wording.PICTURES, "heatmap", "picture")
    with gr.Row(elem_classes="controls"):
        # Filled and shown by the first translation, which knows the model's layers.
        layer = gr.Radio([], label="Layer", visible=False, elem_id="layer", min_width=160)
        head = gr.Radio([], label="Head", visible=False, elem_id="head", min_width=160)
        unit = _radio(
            "Rows and columns",
            [("words", "words"), ("pieces", "pieces")],
            "words",
            "unit",
            info=wording.HELP_PIECES,
        )
        reading = _radio(
            "Attention of a token",
            [("while it is produced", "producing"), ("when it is input", "input")],
            "producing",
            "reading",
            info=wording.HELP_READING,
        )
        columns = _radio(wording.SHOWN_COLUMNS, wording.COLUMNS, "all", "columns")
    best = gr.Button(wording.BEST_MAP, size="sm", elem_id="best", min_width=160)
    heatmap = panel(
        "plot", elem_id="heatmap", label="Attention heatmap", placeholder=wording.WAITING
    )
    return (layer, head, unit, reading, columns, picture), heatmap, best


def _steps_tab() -> tuple[gr.HTML, gr.HTML, gr.HTML]:
    _help(wording.HELP_STEPS)
    player = panel(
        "player", elem_id="player", label="Steps of the decoder", placeholder=wording.WAITING
    )
    with gr.Row(elem_classes="pair"):
        with gr.Column(min_width=240):
            candidates = panel("frames", elem_id="candidates", label="Candidates")
        with gr.Column(min_width=240):
            attention = panel("frames", elem_id="attention-step", label="Attention")
    return player, candidates, attention


def _tree_tab() -> tuple[gr.Radio, gr.HTML]:
    _help(wording.HELP_TREE)
    with gr.Row(elem_classes="controls"):
        pruned = _radio(
            "Pruned candidates",
            [("nearest 5 per step", "near"), ("all", "all"), ("none", "none")],
            "near",
            "pruned",
        )
    return pruned, panel("plot", elem_id="tree", label="Beam tree", placeholder=wording.WAITING)


def _radio(
    label: str,
    choices: list[tuple[str, str]],
    value: str,
    elem_id: str,
    *,
    info: str | None = None,
) -> gr.Radio:
    return gr.Radio(
        label=label, choices=choices, value=value, elem_id=elem_id, info=info, min_width=160
    )


def _help(text: str) -> None:
    gr.HTML(explained(text), elem_classes="help")
