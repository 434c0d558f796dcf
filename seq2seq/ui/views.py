"""From a Translation to the values that the panels draw: plain JSON types, nothing escaped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from seq2seq.path import best_path, token_text
from seq2seq.text.encoding import Encoding, Word
from seq2seq.translation import Translation, TranslationError
from seq2seq.ui import wording
from seq2seq.ui.figures.attention_step import attention_step_figures, attention_step_tables
from seq2seq.ui.figures.candidates import candidates_figures, candidates_tables
from seq2seq.ui.figures.heatmap import AttentionView, heatmap_figure, heatmap_table
from seq2seq.ui.figures.style import visible
from seq2seq.ui.figures.table import Table, percent
from seq2seq.ui.figures.tree import MAX_COLUMNS, Pruned, beam_tree, tree_figure, tree_table

__all__ = [
    "LEVELS",
    "MAX_STEPS",
    "attention_steps_view",
    "candidates_view",
    "document_view",
    "heatmap_view",
    "level",
    "player_view",
    "read_document",
    "result_view",
    "tree_view",
]

View = dict[str, Any]

LEVELS = ("0–20 %", "20–40 %", "40–60 %", "60–80 %", "80–100 %")
"""Classes of probability that words are coloured by, from unsure to sure."""


MAX_STEPS = 100
"""Most steps that the step-by-step view holds: the page keeps all of them at hand."""


def level(probability: float) -> int:
    """Index into :data:`LEVELS`."""
    return min(int(probability * len(LEVELS)), len(LEVELS) - 1)


# --- The document itself ----------------------------------------------------------------------


def document_view(translation: Translation) -> View:
    """The document as JSON text; attention weights are rounded to 6 decimals to keep it small."""
    values = translation.to_dict()
    if translation.attention is not None:
        weights = translation.attention.weights.astype(np.float64).round(6)
        values["attention"]["weights"]["data"] = weights.ravel().tolist()
    return {"json": json.dumps(values, ensure_ascii=False, separators=(",", ":"))}


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
        return Translation.from_dict(json.loads(text))
    except (ValueError, RecursionError) as error:  # JSON errors are ValueErrors
        raise TranslationError(wording.DAMAGED) from error


# --- The translation --------------------------------------------------------------------------


def result_view(translation: Translation) -> View:
    """The text with every word's probability, the n-best list and the facts."""
    value: View = {
        "source": translation.source.text,
        "languages": [translation.source_language, translation.target_language],
        "segments": _segments(translation.target, translation.word_probabilities),
        "complete": translation.complete,
        "legend_title": "Probability the model gave each word:",
        "legend": list(LEVELS),
        "warnings": list(translation.warnings),
        "facts": "",
        "n_best": None,
        "words": None,
    }
    if translation.complete:
        value["facts"] = _facts(translation)
        value["words"] = _word_table(translation).to_dict()
        if len(translation.n_best) > 1:
            value["n_best"] = _n_best_table(translation).to_dict()
    return value


def _segments(encoding: Encoding, probabilities: Sequence[float]) -> list[View]:
    """The text in order: words with their probability, and what stands between them."""
    segments: list[View] = []
    place = 0
    for word, probability in zip(encoding.words, probabilities, strict=True):
        if word.special:
            segments.append(_plain(" "))
        elif word.start > place:
            segments.append(_plain(encoding.text[place : word.start]))
        place = max(place, word.end)
        segments.append(
            {
                "text": visible(word.text),
                "level": level(probability),
                "special": word.special,
                "hint": f"{_named(word)}: {percent(probability)}",
            }
        )
    if place < len(encoding.text):
        segments.append(_plain(encoding.text[place:]))
    return segments


def _named(word: Word) -> str:
    """A text that looks like a special token is one only if the pipeline says so."""
    return wording.token_name(word.text) if word.special else visible(word.text)


def _plain(text: str) -> View:
    return {"text": text, "level": None, "special": False, "hint": ""}


def _facts(translation: Translation) -> str:
    model = translation.model
    return (
        f"{model.name} ({model.architecture}; {model.parameters:,} parameters) · "
        f"{model.device}, {model.precision} · "
        f"score {translation.score:.3f}, log-probability {translation.log_probability:.3f}"
    )


def _word_table(translation: Translation) -> Table:
    target = translation.target
    sizes = [target.word_of_piece.count(index) for index in range(len(target.words))]
    return Table(
        caption="Words of the translation with the model's own probability",
        columns=("word", "probability", "pieces"),
        rows=tuple(
            (visible(word.text), percent(probability), str(size))
            for word, probability, size in zip(
                target.words, translation.word_probabilities, sizes, strict=True
            )
        ),
    )


def _n_best_table(translation: Translation) -> Table:
    return Table(
        caption=(
            f"The {len(translation.n_best)} best translations found; the score is the "
            "log-probability normalised by length"
        ),
        columns=("#", "translation", "score", "log p"),
        rows=tuple(
            (str(rank), entry.target.text, f"{entry.score:.3f}", f"{entry.log_probability:.3f}")
            for rank, entry in enumerate(translation.n_best, start=1)
        ),
    )


# --- Charts -----------------------------------------------------------------------------------


def heatmap_view(translation: Translation, view: AttentionView) -> View:
    """The heatmap with its table, or why there is none."""
    if translation.attention is None:
        return _message(wording.NO_ATTENTION)
    return {
        "figure": _json(heatmap_figure(translation, view)),
        "table": heatmap_table(translation, view).to_dict(),
        "note": _map_name(translation, view),
    }


def attention_steps_view(translation: Translation, view: AttentionView) -> View:
    """Attention over the source at every step, or why there is none."""
    if translation.attention is None:
        return _message(wording.NO_ATTENTION)
    figures = attention_step_figures(translation, layer=view.layer, head=view.head, limit=MAX_STEPS)
    tables = attention_step_tables(translation, layer=view.layer, head=view.head, limit=MAX_STEPS)
    return {
        "figures": [_json(figure) for figure in figures],
        "tables": [table.to_dict() for table in tables],
        "note": f"Attention over the source: {_map_name(translation, view)}",
    }


def candidates_view(translation: Translation) -> View:
    """The candidates of every step, or why there are none."""
    figures = candidates_figures(translation, limit=MAX_STEPS)
    if not figures:
        return _message("")
    return {
        "figures": [_json(figure) for figure in figures],
        "tables": [table.to_dict() for table in candidates_tables(translation, limit=MAX_STEPS)],
        "note": "The model's probability for the next piece, given the pieces so far",
    }


def player_view(translation: Translation) -> View:
    """The pieces of the translation in order, each with what is known about its step."""
    path = best_path(translation)
    if not path:
        return _message(wording.NO_TRACE)
    left_out = len(path) - MAX_STEPS
    return {
        "message": wording.FIRST_STEPS.format(shown=MAX_STEPS, all=len(path))
        if left_out > 0
        else "",
        "steps": [
            {
                "token": visible(token_text(translation, step.chosen.token)),
                "facts": (
                    f"probability {percent(step.chosen.probability)}, "
                    f"rank {step.chosen.rank} for the model; "
                    f"{step.chosen.fate}: {step.chosen.reason}; "
                    f"uncertainty (entropy) {step.expansion.entropy:.2f} nats"
                ),
            }
            for step in path[:MAX_STEPS]
        ],
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
        "figure": _json(tree_figure(translation, pruned=pruned)),
        "table": tree_table(translation, pruned=pruned).to_dict(),
        "note": note,
    }


def _message(text: str) -> View:
    return {"figure": None, "figures": [], "steps": [], "table": None, "message": text}


def _json(figure: Any) -> View:
    value: View = json.loads(figure.to_json())
    return value


def _map_name(translation: Translation, view: AttentionView) -> str:
    attention = translation.attention
    assert attention is not None  # noqa: S101  (callers have checked)
    layers, heads = attention.layers, attention.heads
    layer = f"average of {len(layers)} layers" if view.layer is None else layers[view.layer]
    head = f"average of {len(heads)} heads" if view.head is None else heads[view.head]
    if len(layers) == 1:
        layer = layers[0]
    return layer if len(heads) == 1 else f"{layer}, {head}"
