"""The attention heatmap: how much each output looked at each source word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from seq2seq.text.encoding import Encoding, Piece, Word
from seq2seq.translation import AttentionMap, Translation
from seq2seq.ui.figures.style import (
    AMBER,
    LIGHT_SCALE,
    escape,
    index_axis,
    new_figure,
    visible,
)
from seq2seq.ui.figures.table import Table

__all__ = [
    "AttentionGrid",
    "AttentionView",
    "Reading",
    "Unit",
    "attention_grid",
    "entropies",
    "heatmap_figure",
    "heatmap_table",
    "piece_labels",
]

Unit = Literal["words", "pieces"]
Reading = Literal["producing", "input"]

START = "<s>"
_ROW, _COLUMN = 30, 26
_SPLIT = 0.87  # share of the width that the cells take


@dataclass(frozen=True)
class AttentionView:
    """Which part of the attention is shown, and how it is read.

    Attributes:
        layer, head: index, or None for the mean over all of them.
        unit: one row and column per word or per piece of the vocabulary.
        reading: ``producing``: a row shows where the decoder looked while it produced that
            token; ``input``: where it looked when that token was its input, one step later
            (Chen 2020), which often aligns better in deep decoders.
        special: show the columns of special tokens, such as the end of the sentence. Without them
            rows add up to less than 1: nothing is made up for.
    """

    layer: int | None = None
    head: int | None = None
    unit: Unit = "words"
    reading: Reading = "producing"
    special: bool = True


@dataclass(frozen=True, eq=False)
class AttentionGrid:
    """The numbers behind the heatmap.

    Attributes:
        rows: target labels from top to bottom.
        columns: source labels from left to right.
        weights: (rows, columns); each row sums to 1 minus what is hidden.
        shown: index of the source word, or piece, of every column.
        hidden: weight of each row on the columns that are not shown.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    weights: np.ndarray
    shown: tuple[int, ...]
    hidden: np.ndarray


def attention_grid(translation: Translation, view: AttentionView) -> AttentionGrid:
    """Pick a layer and head, shift the rows for the reading, and merge pieces into words.

    Raises:
        ValueError: the model has no attention, or no such layer or head.
    """
    attention = _attention(translation, view)
    weights = attention.select(layer=view.layer, head=view.head)
    source = translation.source
    target = translation.target
    if view.reading == "input":
        target = _shifted(target)
    if view.unit == "words":
        weights = AttentionMap.merge_words(weights, source=source, target=target)
        rows = tuple(word.text for word in target.words)
        columns = tuple(word.text for word in source.words)
        special = [word.special for word in source.words]
    else:
        rows, columns = piece_labels(target), piece_labels(source)
        special = [source.words[piece.word].special for piece in source.pieces]
    shown = [index for index, odd in enumerate(special) if view.special or not odd]
    hidden = np.delete(weights, shown, axis=1).sum(axis=1)
    return AttentionGrid(
        rows=rows,
        columns=tuple(columns[index] for index in shown),
        weights=weights[:, shown],
        shown=tuple(shown),
        hidden=hidden,
    )


def entropies(weights: np.ndarray) -> np.ndarray:
    """Entropy of every row in nats: 0 for one source word alone, log(n) for all n alike."""
    safe = np.where(weights > 0, weights, 1)
    return np.asarray(-(weights * np.log(safe)).sum(axis=1))


def heatmap_figure(translation: Translation, view: AttentionView) -> go.Figure:
    """Source along the top, target down the side, one fixed colour scale from 0 to 1.

    Beside every row stands a bar with the entropy of its weights: how far the attention was
    spread, as a share of what it would be if spread evenly.

    Raises:
        ValueError: the model has no attention, or no such layer or head.
    """
    grid = attention_grid(translation, view)
    title = {"standoff": 8, "font": {"size": 12}}
    figure = new_figure(
        height=190 + _ROW * len(grid.rows),
        min_width=200 + _COLUMN * len(grid.columns),
        max_width=260 + 3 * _COLUMN * len(grid.columns),
        marks={
            "marks": "cells",
            "pieces": view.unit == "pieces",
            "shift": int(view.reading == "input"),
            "columns": list(grid.shown),
            "attention": True,
        },
        margin={"l": 16, "r": 8, "t": 24, "b": 12},
        xaxis=index_axis(
            list(grid.columns),
            side="top",
            tickangle=-50,
            automargin=True,
            domain=[0, _SPLIT],
            title={"text": "source", **title},
        ),
        yaxis=index_axis(
            list(grid.rows),
            autorange="reversed",
            automargin=True,
            title={"text": _row_title(view), **title},
        ),
        xaxis2={
            "domain": [_SPLIT + 0.02, 1],
            "range": [0, 1],
            "showticklabels": False,
            "ticks": "",
            "title": {"text": "entropy", **title},
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        bargap=0.45,
        coloraxis=_COLOUR_AXIS,
    )
    figure.add_trace(_cells(grid))
    figure.add_trace(_spread(grid))
    return figure


def heatmap_table(translation: Translation, view: AttentionView) -> Table:
    """The same numbers as text: a row per target token, a column per source token.

    Raises:
        ValueError: the model has no attention, or no such layer or head.
    """
    grid = attention_grid(translation, view)
    return Table(
        caption=(
            "Attention weight of each target token (rows) on each source token (columns), and the "
            "entropy of the row in nats"
        ),
        columns=(_row_title(view), *(visible(column) for column in grid.columns), "entropy"),
        rows=tuple(
            (visible(name), *(f"{weight:.2f}" for weight in row), f"{entropy:.2f}")
            for name, row, entropy in zip(
                grid.rows, grid.weights, entropies(grid.weights), strict=True
            )
        ),
    )


def piece_labels(encoding: Encoding) -> tuple[str, ...]:
    """Texts of the pieces; one that continues a word begins with a dot."""
    words = (-1, *encoding.word_of_piece)
    return tuple(
        f"·{piece.text}" if piece.word == before else piece.text
        for piece, before in zip(encoding.pieces, words, strict=False)
    )


# One scale from 0 to 1 for every map, so that two maps can be compared.
_COLOUR_AXIS = {
    "cmin": 0,
    "cmax": 1,
    "colorscale": LIGHT_SCALE,
    "colorbar": {
        "title": {"text": "attention weight", "side": "bottom", "font": {"size": 12}},
        "orientation": "h",
        "thickness": 10,
        "len": 0.5,
        "x": _SPLIT / 2,
        "y": -0.02,
        "yanchor": "top",
        "tickvals": [0, 0.5, 1],
        "tickangle": 0,
        "outlinewidth": 0,
    },
}


def _cells(grid: AttentionGrid) -> go.Heatmap:
    return go.Heatmap(
        z=[[round(float(weight), 4) for weight in row] for row in grid.weights],
        x=list(range(len(grid.columns))),
        y=list(range(len(grid.rows))),
        customdata=[
            [[escape(row), escape(column)] for column in grid.columns] for row in grid.rows
        ],
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
        hovertemplate=(
            "target: %{customdata[0]}<br>source: %{customdata[1]}"
            "<br>weight: %{z:.3f}<extra></extra>"
        ),
    )


def _spread(grid: AttentionGrid) -> go.Bar:
    nats = entropies(grid.weights)
    even = np.log(max(len(grid.columns), 2))
    return go.Bar(
        orientation="h",
        x=[round(float(value / even), 4) for value in nats],
        y=list(range(len(grid.rows))),
        xaxis="x2",
        marker={"color": AMBER},
        customdata=[[escape(row), f"{v:.2f}"] for row, v in zip(grid.rows, nats, strict=True)],
        hovertemplate=(
            "%{customdata[0]}<br>entropy: %{customdata[1]} nats"
            "<br>%{x:.0%} of an even spread<extra></extra>"
        ),
    )


def _attention(translation: Translation, view: AttentionView) -> AttentionMap:
    attention = translation.attention
    if attention is None:
        raise ValueError(f"{translation.model.name} has no attention to show")
    for name, index, names in (
        ("layer", view.layer, attention.layers),
        ("head", view.head, attention.heads),
    ):
        if index is not None and not 0 <= index < len(names):
            raise ValueError(f"{name} {index} does not exist, the model has {len(names)}")
    return attention


def _row_title(view: AttentionView) -> str:
    return "target" if view.reading == "producing" else "target as input"


def _shifted(target: Encoding) -> Encoding:
    """What the decoder read at each step: the start sign, then every piece but the last."""
    start = Piece(id=-1, text=START, word=0, start=0, end=0)
    fed = [
        Piece(id=p.id, text=p.text, word=p.word + 1, start=p.start, end=p.end)
        for p in target.pieces[:-1]
    ]
    last = max((piece.word for piece in fed), default=0)
    words = (Word(text=START, start=0, end=0, special=True), *target.words)
    return Encoding(
        text=target.text,
        language=target.language,
        pieces=(start, *fed),
        words=words[: last + 1],
    )
