"""What stands where on the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import gradio as gr

from seq2seq.config import SearchConfig
from seq2seq.ui import wording
from seq2seq.ui.form import Form
from seq2seq.ui.hub_box import HubBox, build_hub_box
from seq2seq.ui.offers import Model, language_names
from seq2seq.ui.operator import NO_HUB, Operator
from seq2seq.ui.panel import ASSETS, address, panel, wordings
from seq2seq.ui.results import ModelResults
from seq2seq.ui.service import MAX_CHARACTERS
from seq2seq.ui.settings import SETTINGS
from seq2seq.ui.tabs import Charts, Tabs, Views, build_tabs

__all__ = [
    "Page",
    "build_page",
    "direction_choices",
    "model_line",
    "samples",
]


@dataclass(frozen=True)
class Page:
    """All components that take part in an event."""

    form: Form
    tabs: Tabs
    go: gr.Button
    stop: gr.Button
    examples: gr.Dataset
    model_line: gr.HTML
    status: gr.HTML
    result: gr.HTML
    document: gr.HTML
    export: gr.HTML
    swap: gr.Button
    hub: HubBox | None

    @property
    def views(self) -> Views:
        """How the charts are read."""
        return self.tabs.views

    @property
    def charts(self) -> Charts:
        """The panels below the translation."""
        return self.tabs.charts


def build_page(
    models: dict[str, Model],
    results: Sequence[ModelResults] = (),
    operator: Operator = NO_HUB,
) -> Page:
    """Lay the page out; call inside a ``gr.Blocks``.

    Args:
        models: the model list, the one to begin with first; may be empty.
        results: what was measured about models.
        operator: which models of the Hub may be used.
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
            "names": language_names(models.values(), list(wordings())),
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
            box = build_hub_box(operator) if operator.hub != "off" else None
            examples = gr.Dataset(
                components=[gr.Textbox(visible=False)],
                samples=samples(first.directions[0][0]) if first else [],
                label="Examples",
                elem_id="examples",
                samples_per_page=10,
                type="values",
            )
    here = [model for model in models.values() if not model.remote]
    tabs = build_tabs(results, here)
    return Page(
        form=form,
        tabs=tabs,
        go=go,
        stop=stop,
        examples=examples,
        model_line=line,
        status=status,
        result=result,
        document=document,
        export=export,
        swap=swap,
        hub=box,
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
