"""The tab that compares the models: scores, BLEU by length, and how well attention aligns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from seq2seq.ui import wording
from seq2seq.ui.figures.head_errors import head_errors, head_errors_table
from seq2seq.ui.figures.length_curve import length_curve, length_table
from seq2seq.ui.figures.table import Table, percent
from seq2seq.ui.glossary import explained
from seq2seq.ui.panel import panel
from seq2seq.ui.results import ModelResults

__all__ = ["build_models_tab", "scores_table"]


def build_models_tab(models: Sequence[ModelResults]) -> None:
    """Fill the tab; nothing on it changes afterwards."""
    if not models:
        _text(wording.NO_RESULTS)
        return
    panel("table", elem_id="scores", label="Scores", value=scores_table(models).to_dict())
    counts = Counter(curve.direction for model in models for curve in model.lengths)
    if counts:
        direction, _ = counts.most_common(1)[0]
        _section(wording.LENGTHS_TITLE.format(direction=wording.direction_name(*direction)))
        _text(wording.HELP_LENGTHS)
        value = _chart(
            length_curve(models, direction=direction), length_table(models, direction=direction)
        )
        panel("plot", elem_id="lengths", label="BLEU by source length", value=value)
    shown = [(model, one) for model in models for one in model.alignments]
    if shown:
        _section(wording.ALIGNMENTS_TITLE)
        _text(wording.HELP_ALIGNMENTS)
    with gr.Row(elem_classes="maps"):
        for number, (model, one) in enumerate(shown):
            note = wording.ALIGNMENT_NOTE.format(
                model=model.name,
                direction=wording.direction_name(*one.direction),
                rate=percent(one.best.error_rate),
                relative=percent(one.best_relative.relative_error_rate),
                sentences=one.sentences,
            )
            value = {**_chart(head_errors(one), head_errors_table(one)), "note": note}
            panel("plot", elem_id=f"alignment-{number}", label=note, value=value)


def scores_table(models: Sequence[ModelResults]) -> Table:
    """Every model on every test file."""
    return Table(
        caption=wording.SCORES_CAPTION,
        columns=("model", "direction", "test file", "BLEU", "chrF", "sentences/s", "million "
                 "parameters", "loops", "wrong language"),
        rows=tuple(
            (
                model.name,
                "-".join(test.direction),
                test.file,
                f"{test.bleu:.1f}",
                f"{test.chrf:.1f}",
                f"{test.sentences / max(test.seconds, 1e-9):.0f}",
                f"{model.parameters / 1e6:.1f}",
                f"{test.failures.get('looping', 0):,}",
                f"{test.failures.get('wrong_language', 0):,}",
            )
            for model in models
            for test in model.tests
        ),
    )  # fmt: skip


def _chart(figure: Any, table: Table) -> dict[str, Any]:
    return {"figure": json.loads(figure.to_json()), "table": table.to_dict()}


def _section(title: str) -> None:
    gr.HTML(f"<h3>{escape(title)}</h3>")


def _text(text: str) -> None:
    gr.HTML(explained(text), elem_classes="help")
