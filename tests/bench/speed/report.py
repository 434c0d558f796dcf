"""The figures as a file of JSON and as a page of charts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_html

__all__ = ["write"]

_COLOURS = {"ours": "#0072B2", "ctranslate2": "#E69F00", "transformers": "#009E73"}


def write(report: dict[str, Any], folder: Path) -> None:
    """Write ``speed.json`` and ``speed.html`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1)
    (folder / "speed.json").write_text(text + "\n", encoding="utf-8")
    figures = [*_bars(report), *_lengths(report), *_growth(report)]
    machine = report["machine"]
    parts = [to_html(figure, full_html=False, include_plotlyjs=n == 0)
             for n, figure in enumerate(figures)]  # fmt: skip
    title = (
        f"{machine['processor']}, {machine['cores']} cores, torch {machine['versions']['torch']}"
    )
    page = f"<!doctype html><meta charset=utf-8><title>Speed</title><h1>{title}</h1>"
    (folder / "speed.html").write_text(page + "".join(parts), encoding="utf-8")


def _bars(report: dict[str, Any]) -> list[go.Figure]:
    """Times of each engine's best setting, a chart for single sentences and one for batches."""
    figures = []
    for group, title in (("single", "One sentence, ms"), ("batch", "Two batches, tokens a second")):
        rows = [row for row in report["rows"] if row["group"] == group]
        if not rows:
            continue
        key = "median_ms" if group == "single" else "tokens_per_second"
        figure = go.Figure()
        for engine, colour in _COLOURS.items():
            having = [row for row in rows if engine in row["best"]]
            figure.add_bar(
                name=engine,
                marker_color=colour,
                x=[f"{row['size']}, {row['row']}" for row in having],
                y=[row["contenders"][row["best"][engine]][key] for row in having],
                text=[_ratio(row, engine) for row in having],
                hovertext=[row["best"][engine] for row in having],
            )
        figures.append(figure.update_layout(title=title, yaxis_type="log"))
    return figures


def _lengths(report: dict[str, Any]) -> list[go.Figure]:
    """Times by words."""
    figures = []
    rows = [row for row in report["rows"] if row["group"] == "length"]
    for size in dict.fromkeys(row["size"] for row in rows):
        mine = [row for row in rows if row["size"] == size]
        figure = go.Figure()
        for engine, colour in _COLOURS.items():
            figure.add_scatter(
                name=engine,
                line_color=colour,
                x=[row["row"].split()[0] for row in mine],
                y=[row["contenders"][row["best"][engine]]["median_ms"] for row in mine],
            )
        figure.update_layout(title=f"{size}, ms by words of the sentence, beam 4")
        figures.append(figure.update_xaxes(type="linear"))
    return figures


def _growth(report: dict[str, Any]) -> list[go.Figure]:
    """Times by output length and speed by batch."""
    figures = []
    for one in report.get("growth", []):
        figure = go.Figure()
        for search, engines in one["length"].items():
            for label, found in engines.items():
                name = f"{label}, {search} (slope ratio {found['slope_ratio']:.2f})"
                figure.add_scatter(name=name, x=[*found["ms"]], y=[*found["ms"].values()])
        figures.append(figure.update_layout(title=f"{one['size']}, ms by output tokens"))
        figure = go.Figure()
        for label, speeds in one["batch"].items():
            figure.add_scatter(name=label, x=[*speeds], y=[*speeds.values()])
        figures.append(figure.update_layout(title=f"{one['size']}, tokens a second by batch"))
    return figures


def _ratio(row: dict[str, Any], engine: str) -> str:
    found = row["ratios"].get(engine)
    return f"{found['ratio']:.2f}x" if found else ""
