"""The course of a training: loss on training and dev pairs, BLEU on dev pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

__all__ = ["loss_curve", "write_loss_curve"]

_TRAIN, _DEV, _BLEU = "#999999", "#0072b2", "#d55e00"  # Okabe and Ito's colour-blind safe set


def loss_curve(curve: Sequence[dict[str, float]], *, title: str) -> go.Figure:
    """Draw the validations of a training over its updates.

    Args:
        curve: records of ``history.json``, in order; loss in nats per piece, BLEU 0 to 100.
        title: name of the run.
    """
    steps = [record["step"] for record in curve]
    hover = "update %{x:,}<br>%{y:.3f}<extra>%{fullData.name}</extra>"
    lines = (
        ("training loss", "train_nll", _TRAIN, "y"),
        ("dev loss", "dev_loss", _DEV, "y"),
        ("dev BLEU", "dev_bleu", _BLEU, "y2"),
    )
    figure = go.Figure(
        [
            go.Scatter(
                x=steps,
                y=[record[key] for record in curve],
                name=name,
                yaxis=axis,
                mode="lines+markers",
                line={"color": colour},
                hovertemplate=hover,
            )
            for name, key, colour, axis in lines
        ]
    )
    safe = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    figure.update_layout(
        template="plotly_white",
        title=safe,
        xaxis={"title": "updates"},
        yaxis={"title": "nats per piece", "rangemode": "tozero"},
        yaxis2={"title": "BLEU", "overlaying": "y", "side": "right", "rangemode": "tozero"},
        legend={"orientation": "h", "y": 1.08},
    )
    return figure


def write_loss_curve(curve: Sequence[dict[str, float]], path: Path, *, title: str) -> None:
    """Write :func:`loss_curve` as one HTML file that opens without a network."""
    temporary = path.with_name(f".{path.name}.tmp")
    loss_curve(curve, title=title).write_html(
        temporary, include_plotlyjs=True, config={"displaylogo": False, "showSendToCloud": False}
    )
    temporary.replace(path)
