"""What stands where on the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import gradio as gr

from seq2seq.config import SearchConfig
from seq2seq.ui import wording
from seq2seq.ui.batch_tab import BatchTab, build_batch_tab
from seq2seq.ui.compare_tab import CompareTab, build_compare_tab
from seq2seq.ui.form import Form
from seq2seq.ui.glossary import explained
from seq2seq.ui.models_tab import build_models_tab
from seq2seq.ui.panel import ASSETS, address, panel, wordings
from seq2seq.ui.results import ModelResults
from seq2seq.ui.service import MAX_CHARACTERS, Model
from seq2seq.ui.settings import SETTINGS
from seq2seq.ui.tour import tour_view

__all__ = [
    "Charts",
    "Page",
    "Views",
    "build_page",
    "direction_choices",
    "model_line",
    "samples",
]


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
class Page:
    """All components that take part in an event."""

    form: Form
    views: Views
    charts: Charts
    go: gr.Button
    stop: gr.Button
    examples: gr.Dataset
    model_line: gr.HTML
    status: gr.HTML
    result: gr.HTML
    document: gr.HTML
    best: gr.Button
    compare: CompareTab
    batch: BatchTab
    export: gr.HTML
    tour: gr.HTML
    swap: gr.Button


def build_page(models: dict[str, Model], results: Sequence[ModelResults] = ()) -> Page:
    """Lay the page out; call inside a ``gr.Blocks``.

    Args:
        models: the model list, the one to begin with first; may be empty.
        results: what was measured about models.
    """
    first = next(iter(models.values()), None)
    gr.HTML(
        f"<h1>{escape(wording.TITLE)}</h1><p>{escape(wording.INTRODUCTION)}</p>", elem_id="header"
    )
    panel(
        "language",
        elem_id="language",
        value={
            "label": wording.INTERFACE_LANGUAGE,
            "addresses": {code: address(path) for code, path in wordings().items()},
        },
    )
    with gr.Row(elem_id="workbench"):
        with gr.Column(scale=5, min_width=240):
            text = _text_box()
            with gr.Row(elem_id="actions"):
                go = gr.Button("Translate", variant="primary", elem_id="go", min_width=120)
                stop = gr.Button("Stop", interactive=False, elem_id="stop", min_width=80)
            status = panel("status", elem_id="status")
            result = panel(
                "result", elem_id="result", label="Translation", placeholder=wording.PLACEHOLDER
            )
            document = panel("document", elem_id="document", label="Take it along")
            export = panel("saver", elem_id="export")
        with gr.Column(scale=3, min_width=240):
            form, line, swap = _settings(text, models, first)
            examples = gr.Dataset(
                components=[gr.Textbox(visible=False)],
                samples=samples(first.directions[0][0]) if first else [],
                label="Examples",
                elem_id="examples",
                samples_per_page=10,
                type="values",
            )
    views, charts, best, compare, batch, tour = _tabs(results, list(models.values()))
    return Page(
        form=form,
        views=views,
        charts=charts,
        go=go,
        stop=stop,
        examples=examples,
        model_line=line,
        status=status,
        result=result,
        document=document,
        best=best,
        compare=compare,
        batch=batch,
        export=export,
        tour=tour,
        swap=swap,
    )


def direction_choices(model: Model) -> list[tuple[str, str]]:
    """Labels and values of the direction choice."""
    return [(wording.direction_name(*pair), "-".join(pair)) for pair in model.directions]


def model_line(model: Model | None) -> dict[str, str]:
    """Value of the line below the model choice, with the model that it is about."""
    if model is None:
        return {"kind": "idle", "text": wording.NO_MODELS, "model": ""}
    return {"kind": "idle", "text": model.line, "model": model.name}


def samples(language: str) -> list[list[str]]:
    """Sample sentences of a language, one per row; none for a language without any."""
    every = json.loads((ASSETS / "examples.json").read_text(encoding="utf-8"))
    return [[sentence] for sentence in every.get(language, [])]


# --- Parts ------------------------------------------------------------------------------------


def _text_box() -> gr.Textbox:
    return gr.Textbox(
        label="Sentence",
        info=f"At most {MAX_CHARACTERS} characters. Enter translates, Shift+Enter breaks the line.",
        placeholder="Type a sentence, or choose an example.",
        lines=1,
        max_lines=8,
        autofocus=True,
        elem_id="text",
    )


def _settings(
    text: gr.Textbox, models: dict[str, Model], first: Model | None
) -> tuple[Form, gr.HTML, gr.Button]:
    choices = direction_choices(first) if first else []
    model = gr.Dropdown(
        label="Model",
        choices=list(models),
        value=first.name if first else None,
        filterable=False,
        elem_id="model",
    )
    line = panel("status", elem_id="model-line", value=model_line(first))
    direction = gr.Dropdown(
        label="Direction",
        choices=choices,
        value=choices[0][1] if choices else None,
        filterable=False,
        elem_id="direction",
    )
    swap = gr.Button(wording.SWAP, size="sm", elem_id="swap")
    with gr.Accordion("Decoding settings", open=False, elem_id="settings"):
        form = _decoding(text, model, direction, first.search if first else SearchConfig())
    return form, line, swap


def _decoding(
    text: gr.Textbox, model: gr.Dropdown, direction: gr.Dropdown, search: SearchConfig
) -> Form:
    """The form, completed by the settings that most people leave alone."""

    def slider(name: str, value: float, *, visible: bool = True) -> gr.Slider:
        setting = SETTINGS[name]
        return gr.Slider(
            setting.low,
            setting.high,
            value,
            step=setting.step,
            label=setting.label,
            info=setting.info,
            visible=visible,
            elem_id=name.replace("_", "-"),
        )

    return Form(
        text,
        model,
        direction,
        slider("beam", search.beam),
        slider("length_penalty", search.length_penalty),
        slider("n_best", 3),
        slider("max_length", 0),
        gr.Checkbox(False, label="Draw at random instead of searching", elem_id="sample"),
        slider("temperature", 1, visible=False),
        slider("top_k", 0, visible=False),
        slider("top_p", 1, visible=False),
        gr.Number(
            0,
            label=SETTINGS["seed"].label,
            precision=0,
            minimum=SETTINGS["seed"].low,
            maximum=SETTINGS["seed"].high,
            visible=False,
            elem_id="seed",
        ),
    )


def _tabs(
    results: Sequence[ModelResults], models: Sequence[Model]
) -> tuple[Views, Charts, gr.Button, CompareTab, BatchTab, gr.HTML]:
    with gr.Tabs(elem_id="charts"):
        with gr.Tab(wording.ATTENTION, elem_id="tab-attention"):
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
                "plot",
                elem_id="heatmap",
                label="Attention heatmap",
                placeholder=wording.WAITING,
            )
        with gr.Tab(wording.STEPS, elem_id="tab-steps"):
            _help(wording.HELP_STEPS)
            player = panel(
                "player",
                elem_id="player",
                label="Steps of the decoder",
                placeholder=wording.WAITING,
            )
            with gr.Row(elem_classes="pair"):
                with gr.Column(min_width=240):
                    candidates = panel("frames", elem_id="candidates", label="Candidates")
                with gr.Column(min_width=240):
                    attention = panel("frames", elem_id="attention-step", label="Attention")
        with gr.Tab(wording.TREE, elem_id="tab-tree"):
            _help(wording.HELP_TREE)
            with gr.Row(elem_classes="controls"):
                pruned = _radio(
                    "Pruned candidates",
                    [("nearest 5 per step", "near"), ("all", "all"), ("none", "none")],
                    "near",
                    "pruned",
                )
            tree = panel("plot", elem_id="tree", label="Beam tree", placeholder=wording.WAITING)
        with gr.Tab("What if", elem_id="tab-what-if"):
            _help(wording.HELP_WHAT_IF)
            panel(
                "branches",
                elem_id="branches",
                label="What was tried",
                placeholder=wording.WAITING,
            )
        with gr.Tab("Compare", elem_id="tab-compare"):
            _help(wording.HELP_COMPARE)
            compare = build_compare_tab(models)
        with gr.Tab("Batch", elem_id="tab-batch"):
            batch = build_batch_tab()
        with gr.Tab(wording.LEARN, elem_id="tab-learn"):
            tour = panel("tour", elem_id="tour", label=wording.LEARN, value=tour_view(models))
        with gr.Tab("Models", elem_id="tab-models"):
            build_models_tab(results)
    views = Views(layer, head, unit, reading, columns, picture, pruned)
    return views, Charts(heatmap, player, candidates, attention, tree), best, compare, batch, tour


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
