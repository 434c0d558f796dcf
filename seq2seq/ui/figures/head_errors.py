"""Alignment error rate of every layer and head of a model, as a small heatmap."""

from __future__ import annotations

import plotly.graph_objects as go

from seq2seq.ui.figures.style import LIGHT_SCALE, index_axis, new_figure
from seq2seq.ui.figures.table import Table, percent
from seq2seq.ui.results import Alignment, HeadError

__all__ = ["head_errors", "head_errors_table"]

_CELL = 44


def head_errors(alignment: Alignment) -> go.Figure:
    """Layers as rows, heads as columns, the means last; dark is a low error, as in attention."""
    layers, heads, cells = _grid(alignment)
    figure = new_figure(
        height=110 + _CELL * len(layers),
        min_width=90 + 50 * len(heads),
        max_width=140 + 90 * len(heads),
        margin={"l": 70, "r": 16, "t": 34, "b": 16},
        coloraxis={"colorscale": LIGHT_SCALE, "cmin": 0, "cmax": 1, "showscale": False},
        xaxis=index_axis(heads, side="top", fixedrange=True),
        yaxis=index_axis(layers, autorange="reversed", fixedrange=True),
    )
    figure.add_trace(
        go.Heatmap(
            z=[[1 - cell.error_rate for cell in row] for row in cells],
            text=[[percent(cell.error_rate) for cell in row] for row in cells],
            customdata=[[cell.entropy for cell in row] for row in cells],
            texttemplate="%{text}",
            coloraxis="coloraxis",
            xgap=1,
            ygap=1,
            hovertemplate="%{y}, %{x}: alignment error %{text}"
            "<br>entropy of the attention %{customdata:.2f} nats<extra></extra>",
        )
    )
    return figure


def head_errors_table(alignment: Alignment) -> Table:
    """The same figures as text."""
    layers, heads, cells = _grid(alignment)
    return Table(
        caption=f"Alignment error rate and entropy in nats, {alignment.sentences} sentences",
        columns=("layer", *heads),
        rows=tuple(
            (layer, *(f"{percent(cell.error_rate)}; {cell.entropy:.2f}" for cell in row))
            for layer, row in zip(layers, cells, strict=True)
        ),
    )


def _grid(alignment: Alignment) -> tuple[list[str], list[str], list[list[HeadError]]]:
    """Names and figures in the reading of the best head; means after the single ones."""
    chosen = {
        (one.layer, one.head): one
        for one in alignment.heads
        if one.reading == alignment.best.reading
    }

    def axis(values: set[int | None], kind: str) -> tuple[list[int | None], list[str]]:
        numbers = sorted(value for value in values if value is not None)
        if len(numbers) == 1:
            return [numbers[0]], [f"{kind} 1"]
        return [*numbers, None], [*(f"{kind} {n + 1}" for n in numbers), "mean"]

    layers, layer_names = axis({layer for layer, _ in chosen}, "layer")
    heads, head_names = axis({head for _, head in chosen}, "head")

    return layer_names, head_names, [[chosen[layer, head] for head in heads] for layer in layers]
