"""Alignment lines: the strongest attention of every target word, as lines between two columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from seq2seq.translation import Translation
from seq2seq.ui.figures.heatmap import AttentionView, attention_grid
from seq2seq.ui.figures.style import ACCENT, escape, label, new_figure, visible
from seq2seq.ui.figures.table import Table

__all__ = ["COVERED", "Link", "links_figure", "links_table", "strongest_links"]

COVERED = 0.75
"""Share of a row's weight that its lines stand for."""
_ROW = 28


@dataclass(frozen=True)
class Link:
    """One line.

    Attributes:
        target, source: row and column of the grid.
        weight: its share of the row.
    """

    target: int
    source: int
    weight: float


def strongest_links(weights: np.ndarray, *, covered: float = COVERED) -> tuple[Link, ...]:
    """For every row the smallest set of columns that holds ``covered`` of its weight.

    Args:
        weights: (rows, columns), rows sum to 1.
        covered: share, above 0, at most 1.
    """
    links = []
    for row, values in enumerate(weights):
        order = np.argsort(-values, kind="stable")
        total = np.cumsum(values[order])
        needed = int(np.searchsorted(total, covered * values.sum() - 1e-9)) + 1
        links += [Link(row, int(column), float(values[column])) for column in order[:needed]]
    return tuple(links)


def links_figure(translation: Translation, view: AttentionView) -> go.Figure:
    """Source on the left, target on the right, thicker and darker lines for more weight.

    Raises:
        ValueError: the model has no attention, or no such layer or head.
    """
    grid = attention_grid(translation, view)
    rows = max(len(grid.rows), len(grid.columns))
    figure = new_figure(
        height=50 + _ROW * rows,
        min_width=300,
        max_width=640,
        marks={
            "marks": "ends",
            "pieces": view.unit == "pieces",
            "shift": int(view.reading == "input"),
            "columns": list(grid.shown),
        },
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        hovermode="closest",
        xaxis={
            "range": [-0.55, 1.55],
            "side": "top",
            "tickvals": [0, 1],
            "ticktext": ["source", "target"],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        yaxis={"range": [rows - 0.5, -0.5], "visible": False, "fixedrange": True},
    )
    links = strongest_links(grid.weights)
    for link in sorted(links, key=lambda one: one.weight):
        figure.add_trace(_line(link))
    figure.add_trace(_words(list(grid.columns), side=0))
    figure.add_trace(_words(list(grid.rows), side=1))
    figure.add_trace(_middles(links, grid.rows, grid.columns))
    return figure


def links_table(translation: Translation, view: AttentionView) -> Table:
    """The lines as text.

    Raises:
        ValueError: the model has no attention, or no such layer or head.
    """
    grid = attention_grid(translation, view)
    return Table(
        caption=f"The source tokens that hold {COVERED:.0%} of each target token's attention",
        columns=("target", "source tokens with their weight", "weight not drawn"),
        rows=tuple(
            (
                visible(name),
                ", ".join(f"{visible(grid.columns[one.source])} {one.weight:.2f}" for one in own),
                f"{1 - sum(one.weight for one in own):.2f}",
            )
            for name, own in zip(grid.rows, _by_row(grid.weights), strict=True)
        ),
    )


def _by_row(weights: np.ndarray) -> list[list[Link]]:
    links = strongest_links(weights)
    return [[one for one in links if one.target == row] for row in range(len(weights))]


def _line(link: Link) -> go.Scatter:
    return go.Scatter(
        x=[0, 1],
        y=[link.source, link.target],
        mode="lines",
        hoverinfo="skip",
        line={"color": ACCENT, "width": 1 + 5 * link.weight},
        opacity=0.15 + 0.85 * min(link.weight, 1.0),
    )


def _words(texts: list[str], *, side: int) -> go.Scatter:
    return go.Scatter(
        x=[side] * len(texts),
        y=list(range(len(texts))),
        mode="text",
        text=[f" {label(text)} " for text in texts],
        textposition="middle left" if side == 0 else "middle right",
        customdata=[escape(text) for text in texts],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _middles(
    links: tuple[Link, ...], rows: tuple[str, ...], columns: tuple[str, ...]
) -> go.Scatter:
    """Something to point at: lines themselves only answer at their ends."""
    return go.Scatter(
        x=[0.5] * len(links),
        y=[(one.source + one.target) / 2 for one in links],
        mode="markers",
        marker={"size": 14, "opacity": 0},
        customdata=[
            [escape(columns[one.source]), escape(rows[one.target]), one.source, one.target]
            for one in links
        ],
        text=[f"{one.weight:.3f}" for one in links],
        hovertemplate=(
            "source: %{customdata[0]}<br>target: %{customdata[1]}<br>weight: %{text}<extra></extra>"
        ),
    )
