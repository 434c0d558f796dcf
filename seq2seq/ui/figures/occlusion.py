"""What each source word changes: how much less probable a target word is without it."""

from __future__ import annotations

import plotly.graph_objects as go

from seq2seq.occlusion import Occlusion
from seq2seq.translation import Translation
from seq2seq.ui.figures.style import (
    DARK_DIVERGING,
    LIGHT_DIVERGING,
    escape,
    index_axis,
    new_figure,
    visible,
)
from seq2seq.ui.figures.table import Table, percent

__all__ = ["occlusion_figure", "occlusion_table"]

_ROW, _COLUMN = 30, 26


def occlusion_figure(translation: Translation, occlusion: Occlusion) -> go.Figure:
    """Source words along the top, the translation down the side, one fixed scale from -1 to 1."""
    columns = [translation.source.words[index].text for index in occlusion.words]
    rows = [word.text for word in translation.target.words]
    title = {"standoff": 8, "font": {"size": 12}}
    figure = new_figure(
        height=190 + _ROW * len(rows),
        min_width=130 + _COLUMN * len(columns),
        max_width=190 + 3 * _COLUMN * len(columns),
        marks={
            "marks": "cells",
            "columns": list(occlusion.words),
            "dark_scale": DARK_DIVERGING,
        },
        margin={"l": 16, "r": 8, "t": 24, "b": 12},
        xaxis=index_axis(
            columns,
            side="top",
            tickangle=-50,
            automargin=True,
            title={"text": "left out of the source", **title},
        ),
        yaxis=index_axis(
            rows, autorange="reversed", automargin=True, title={"text": "target", **title}
        ),
        coloraxis=_COLOUR_AXIS,
    )
    figure.add_trace(
        go.Heatmap(
            z=[[round(float(drop), 4) for drop in row] for row in occlusion.drops],
            x=list(range(len(columns))),
            y=list(range(len(rows))),
            customdata=[
                [
                    [escape(row), escape(column), percent(whole), percent(max(whole - drop, 0.0))]
                    for column, drop in zip(columns, drops, strict=True)
                ]
                for row, whole, drops in zip(
                    rows, occlusion.probabilities, occlusion.drops, strict=True
                )
            ],
            coloraxis="coloraxis",
            xgap=1,
            ygap=1,
            hovertemplate=(
                "%{customdata[0]}: probability %{customdata[2]}"
                "<br>without “%{customdata[1]}”: %{customdata[3]}<extra></extra>"
            ),
        )
    )
    return figure


def occlusion_table(translation: Translation, occlusion: Occlusion) -> Table:
    """The same numbers as text."""
    words = translation.source.words
    return Table(
        caption=(
            "Probability of each word of the translation (rows), and how much of it is lost "
            "without each source word (columns), in percentage points"
        ),
        columns=(
            "target",
            "probability",
            *(f"without {visible(words[index].text)}" for index in occlusion.words),
        ),
        rows=tuple(
            (visible(word.text), percent(whole), *(f"{100 * drop:.0f}" for drop in drops))
            for word, whole, drops in zip(
                translation.target.words, occlusion.probabilities, occlusion.drops, strict=True
            )
        ),
    )


_COLOUR_AXIS = {
    "cmin": -1,
    "cmax": 1,
    "colorscale": LIGHT_DIVERGING,
    "colorbar": {
        "title": {"text": "probability lost without the word", "side": "bottom",
                  "font": {"size": 12}},
        "orientation": "h",
        "thickness": 10,
        "len": 0.6,
        "x": 0.5,
        "y": -0.02,
        "yanchor": "top",
        "tickvals": [-1, 0, 1],
        "ticktext": ["−100 %", "0", "100 %"],
        "tickangle": 0,
        "outlinewidth": 0,
    },
}  # fmt: skip
