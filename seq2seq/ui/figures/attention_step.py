"""Where the decoder looked at one step: the source sentence with a bar per word or piece."""

from __future__ import annotations

import plotly.graph_objects as go

from seq2seq.translation import Translation
from seq2seq.ui.figures.heatmap import AttentionView, attention_grid
from seq2seq.ui.figures.style import ACCENT, GRID, escape, index_axis, new_figure, visible
from seq2seq.ui.figures.table import Table

__all__ = ["attention_step_figures", "attention_step_tables"]

_HEIGHT = 350
_COLUMN = 26


def attention_step_figures(
    translation: Translation,
    *,
    layer: int | None = None,
    head: int | None = None,
    limit: int | None = None,
) -> tuple[go.Figure, ...]:
    """One figure per target piece: attention over the source pieces while it was produced.

    The axis always runs from 0 to 1, so that steps can be compared.

    Args:
        translation: made by a model with attention.
        layer, head: index, or None for the mean over all of them.
        limit: most steps to draw, None for all.

    Raises:
        ValueError: the model has no attention, or no such layer or head.
    """
    view = AttentionView(layer=layer, head=head, unit="pieces", reading="producing")
    grid = attention_grid(translation, view)
    return tuple(
        _figure(grid.columns, [float(weight) for weight in row]) for row in grid.weights[:limit]
    )


def attention_step_tables(
    translation: Translation,
    *,
    layer: int | None = None,
    head: int | None = None,
    limit: int | None = None,
) -> tuple[Table, ...]:
    """The bars of every step as text; arguments as in :func:`attention_step_figures`.

    Raises:
        ValueError: the model has no attention, or no such layer or head.
    """
    view = AttentionView(layer=layer, head=head, unit="pieces", reading="producing")
    grid = attention_grid(translation, view)
    return tuple(
        Table(
            caption=f"Attention over the source while token {position + 1} was produced",
            columns=("source", "attention weight"),
            rows=tuple(
                (visible(column), f"{weight:.3f}")
                for column, weight in zip(grid.columns, row, strict=True)
            ),
        )
        for position, row in enumerate(grid.weights[:limit])
    )


def _figure(columns: tuple[str, ...], row: list[float]) -> go.Figure:
    figure = new_figure(
        height=_HEIGHT,
        min_width=70 + _COLUMN * len(columns),
        max_width=120 + 3 * _COLUMN * len(columns),
        margin={"l": 56, "r": 12, "t": 8, "b": 96},
        bargap=0.25,
        xaxis=index_axis(list(columns), tickangle=-50, fixedrange=True),
        yaxis={
            "range": [0, 1],
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "title": {"text": "attention weight", "standoff": 8, "font": {"size": 12}},
            "gridcolor": GRID,
            "zeroline": False,
            "fixedrange": True,
        },
    )
    figure.add_trace(
        go.Bar(
            x=list(range(len(columns))),
            y=[round(weight, 4) for weight in row],
            marker={"color": ACCENT},
            customdata=[escape(column) for column in columns],
            hovertemplate="source: %{customdata}<br>weight: %{y:.3f}<extra></extra>",
        )
    )
    return figure
