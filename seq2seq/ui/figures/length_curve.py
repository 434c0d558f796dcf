"""BLEU by the length of the source, one line per model (Bahdanau 2015, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from seq2seq.ui.figures.style import GRID, SERIES, escape, index_axis, new_figure
from seq2seq.ui.figures.table import Table
from seq2seq.ui.results import LengthBin, ModelResults

__all__ = ["length_curve", "length_table"]

_MARKERS = ("circle", "square", "diamond", "cross", "triangle-up", "x")
_FEWEST = 20
"""BLEU of fewer sentences than this says nothing."""


def length_curve(models: Sequence[ModelResults], *, direction: tuple[str, str]) -> go.Figure:
    """Draw the bins of a direction for every model that has it."""
    figure = new_figure(
        height=380,
        min_width=320,
        max_width=820,
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 48, "r": 16, "t": 60, "b": 72},
        xaxis=index_axis(
            [one.name for one in _bins(models, direction)],
            title={"text": "words of the source", "standoff": 16},
        ),
        yaxis={"title": "BLEU", "rangemode": "tozero", "gridcolor": GRID, "zeroline": False},
    )
    for number, (model, bins) in enumerate(_curves(models, direction)):
        colour = SERIES[number % len(SERIES)]
        shown = [(x, one) for x, one in enumerate(bins) if one.sentences >= _FEWEST]
        figure.add_trace(
            go.Scatter(
                x=[x for x, _ in shown],
                y=[one.bleu for _, one in shown],
                customdata=[[one.name, one.sentences] for _, one in shown],
                name=escape(model.name),
                mode="lines+markers",
                line={"color": colour, "width": 2},
                marker={"symbol": _MARKERS[number % len(_MARKERS)], "size": 9},
                hovertemplate="%{customdata[0]} words: BLEU %{y:.1f}"
                "<br>%{customdata[1]:,} sentences<extra>%{fullData.name}</extra>",
            )
        )
    return figure


def length_table(models: Sequence[ModelResults], *, direction: tuple[str, str]) -> Table:
    """The same figures as text."""
    curves = _curves(models, direction)
    return Table(
        caption="BLEU by words of the source",
        columns=("words", "sentences", *(model.name for model, _ in curves)),
        rows=tuple(
            (
                one.name,
                f"{one.sentences:,}",
                *("–" if bins[n].bleu is None else f"{bins[n].bleu:.1f}" for _, bins in curves),
            )
            for n, one in enumerate(_bins(models, direction))
        ),
    )


def _curves(
    models: Sequence[ModelResults], direction: tuple[str, str]
) -> list[tuple[ModelResults, tuple[LengthBin, ...]]]:
    return [
        (model, curve.bins)
        for model in models
        for curve in model.lengths
        if curve.direction == direction
    ]


def _bins(models: Sequence[ModelResults], direction: tuple[str, str]) -> tuple[LengthBin, ...]:
    curves = _curves(models, direction)
    return curves[0][1] if curves else ()
