"""From a Translation to the values that the panels draw: plain JSON types, nothing escaped."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from seq2seq.text.surrogates import whole_characters
from seq2seq.translation import Translation, TranslationError
from seq2seq.ui import wording
from seq2seq.ui.figures.attention_step import attention_step_figures, attention_step_tables
from seq2seq.ui.figures.candidates import candidates_figures, candidates_tables
from seq2seq.ui.figures.heatmap import AttentionView
from seq2seq.ui.figures.tree import MAX_COLUMNS, Pruned, beam_tree, tree_figure, tree_table
from seq2seq.ui.plausible import check_plausible
from seq2seq.ui.steps import MAX_STEPS

__all__ = [
    "attention_steps_view",
    "candidates_view",
    "document_view",
    "figure_json",
    "map_name",
    "read_document",
    "tree_view",
]

View = dict[str, Any]


# --- The document itself ----------------------------------------------------------------------


def document_view(translation: Translation, change: View | None = None) -> View:
    """The document as JSON text; attention weights are rounded to 6 decimals to keep it small.

    Args:
        translation: the document.
        change: what it was made by, as in :mod:`seq2seq.ui.whatif`.
    """
    values = translation.to_dict()
    if translation.attention is not None:
        weights = translation.attention.weights.astype(np.float64).round(6)
        values["attention"]["weights"]["data"] = weights.ravel().tolist()
    for step in (values["trace"] or {}).get("steps", ()):
        for expansion in step["expansions"]:
            if expansion["attention"] is not None:
                expansion["attention"] = [round(weight, 6) for weight in expansion["attention"]]
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return {"json": text, "change": change}


def read_document(value: object) -> Translation:
    """Read back what the page was given.

    Raises:
        TranslationError: it is not a Translation document, or it contradicts itself.
    """
    if isinstance(value, dict) and value.get("too_large"):
        raise TranslationError(wording.DOCUMENT_TOO_LARGE)
    text = value.get("json") if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise TranslationError(wording.DAMAGED)
    try:
        if "\\ud" in text.lower():  # only here can halves of characters hide
            text = whole_characters(json.dumps(json.loads(text), ensure_ascii=False))
        document = Translation.from_dict(json.loads(text))
        check_plausible(document)
    except (ValueError, RecursionError) as error:  # JSON errors are ValueErrors
        raise TranslationError(wording.DAMAGED) from error
    return document


# --- Charts -----------------------------------------------------------------------------------


def attention_steps_view(translation: Translation, view: AttentionView) -> View:
    """Attention over the source at every step, or why there is none."""
    if translation.attention is None:
        return _message(wording.NO_ATTENTION)
    figures = attention_step_figures(translation, layer=view.layer, head=view.head, limit=MAX_STEPS)
    tables = attention_step_tables(translation, layer=view.layer, head=view.head, limit=MAX_STEPS)
    return {
        "figures": [figure_json(figure) for figure in figures],
        "tables": [table.to_dict() for table in tables],
        "note": f"Attention over the source: {map_name(translation, view)}",
    }


def candidates_view(translation: Translation) -> View:
    """The candidates of every step, or why there are none."""
    figures = candidates_figures(translation, limit=MAX_STEPS)
    if not figures:
        return _message("")
    return {
        "figures": [figure_json(figure) for figure in figures],
        "tables": [table.to_dict() for table in candidates_tables(translation, limit=MAX_STEPS)],
        "note": "The model's probability for the next piece, given the pieces so far",
    }


def tree_view(translation: Translation, *, pruned: Pruned) -> View:
    """The beam tree with its table, or why there is none."""
    if translation.trace is None or not translation.trace.steps:
        return _message(wording.NO_TRACE)
    tree = beam_tree(translation, pruned=pruned)
    note = wording.TREE_NOTE.format(drawn=len(tree.branches), all=tree.weighed)
    if tree.positions > MAX_COLUMNS:
        note += " " + wording.FIRST_COLUMNS.format(shown=MAX_COLUMNS, all=tree.positions)
    return {
        "figure": figure_json(tree_figure(translation, pruned=pruned)),
        "table": tree_table(translation, pruned=pruned).to_dict(),
        "note": note,
    }


def _message(text: str) -> View:
    return {"figure": None, "figures": [], "steps": [], "table": None, "message": text}


def figure_json(figure: Any) -> View:
    """A figure as the page takes it."""
    value: View = json.loads(figure.to_json())
    return value


def map_name(translation: Translation, view: AttentionView) -> str:
    """Layer and head of a map in words; the model must have attention."""
    attention = translation.attention
    assert attention is not None  # noqa: S101  (callers have checked)
    layers, heads = attention.layers, attention.heads
    layer = f"average of {len(layers)} layers" if view.layer is None else layers[view.layer]
    head = f"average of {len(heads)} heads" if view.head is None else heads[view.head]
    if len(layers) == 1:
        layer = layers[0]
    return layer if len(heads) == 1 else f"{layer}, {head}"
