"""All layers and heads at a glance: one small map each, to pick from."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go

from seq2seq.translation import AttentionMap, Translation
from seq2seq.ui.figures.heatmap import Unit
from seq2seq.ui.figures.style import LIGHT_SCALE, label, new_figure
from seq2seq.ui.figures.table import Table

__all__ = ["MOST_CELLS", "overview_figure", "overview_maps", "overview_table"]

MOST_CELLS = 60
"""Rows and columns of one small map; longer sentences are drawn coarser."""
_MAP, _GAP = 110, 26


def overview_maps(translation: Translation, *, unit: Unit = "words") -> np.ndarray:
    """(layers, heads, target, source): every map, averaged into at most 60 rows and columns.

    Raises:
        ValueError: the model has no attention.
    """
    attention = translation.attention
    if attention is None:
        raise ValueError(f"{translation.model.name} has no attention to show")
    maps = []
    for layer in range(len(attention.layers)):
        for head in range(len(attention.heads)):
            weights = attention.select(layer=layer, head=head)
            if unit == "words":
                weights = AttentionMap.merge_words(
                    weights, source=translation.source, target=translation.target
                )
            maps.append(_coarse(weights))
    stacked = np.stack(maps)
    return stacked.reshape(len(attention.layers), len(attention.heads), *stacked.shape[1:])


def overview_figure(translation: Translation, *, unit: Unit = "words") -> go.Figure:
    """Layers from top to bottom, heads from left to right, colours from 0 to 1.

    Layer ``l`` and head ``h`` fill the square from (h, l) to (h + 1, l + 1), so that the place
    of a click names them.

    Raises:
        ValueError: the model has no attention.
    """
    maps = overview_maps(translation, unit=unit)
    layers, heads, rows, columns = maps.shape
    attention = translation.attention
    assert attention is not None  # noqa: S101  (overview_maps has checked)
    figure = new_figure(
        height=70 + (_MAP + _GAP) * layers,
        min_width=70 + (70 + _GAP) * heads,
        max_width=120 + (2 * _MAP + _GAP) * heads,
        marks={
            "marks": "heads",
            "layers": layers,
            "heads": heads,
        },
        margin={"l": 62, "r": 8, "t": 32, "b": 12},
        xaxis={
            "side": "top",
            "range": [0, heads],
            "tickvals": [head + 0.5 for head in range(heads)],
            "ticktext": [label(name) for name in attention.heads],
            "tickangle": 0,
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        yaxis={
            "range": [layers, 0],
            "tickvals": [layer + 0.5 for layer in range(layers)],
            "ticktext": [label(name) for name in attention.layers],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        coloraxis={"cmin": 0, "cmax": 255, "colorscale": LIGHT_SCALE, "showscale": False},
    )
    for layer in range(layers):
        for head in range(heads):
            figure.add_trace(
                go.Heatmap(
                    # Bytes, sent as such: a tenth of the size of numbers as text.
                    z=np.rint(255 * maps[layer, head]).astype(np.uint8),
                    x0=head + 0.04 + 0.46 / columns,
                    dx=0.92 / columns,
                    y0=layer + 0.06 + 0.44 / rows,
                    dy=0.88 / rows,
                    coloraxis="coloraxis",
                    name=label(f"{attention.layers[layer]}, {attention.heads[head]}", longest=60),
                    hoverinfo="name",
                    hoverlabel={"namelength": -1},
                )
            )
    return figure


def overview_table(translation: Translation, *, unit: Unit = "words") -> Table:
    """Sharpness of every map as text: the mean over rows of the greatest weight.

    Raises:
        ValueError: the model has no attention.
    """
    maps = overview_maps(translation, unit=unit)
    attention = translation.attention
    assert attention is not None  # noqa: S101
    return Table(
        caption="Mean over target tokens of the greatest weight, for each layer and head",
        columns=("layer", *attention.heads),
        rows=tuple(
            (name, *(f"{head.max(axis=1).mean():.2f}" for head in layer))
            for name, layer in zip(attention.layers, maps, strict=True)
        ),
    )


def _coarse(weights: np.ndarray) -> np.ndarray:
    """Average neighbouring rows and columns together until there are few enough."""
    for axis in (0, 1):
        step = math.ceil(weights.shape[axis] / MOST_CELLS)
        if step > 1:
            starts = np.arange(0, weights.shape[axis], step)
            counts = np.diff([*starts, weights.shape[axis]])
            shape = (-1, 1) if axis == 0 else (1, -1)
            weights = np.add.reduceat(weights, starts, axis=axis) / counts.reshape(shape)
    return weights
