"""The beam tree: every hypothesis of the search, what it could have become, and why it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from seq2seq.decoding.trace import Candidate, Trace
from seq2seq.path import PathStep, greedy_path, path_nodes, path_to, token_text
from seq2seq.translation import Translation
from seq2seq.ui.figures.style import (
    ACCENT,
    AMBER,
    MUTED,
    SERIES,
    escape,
    label,
    new_figure,
    visible,
)
from seq2seq.ui.figures.table import Table, percent

__all__ = ["MAX_COLUMNS", "BeamTree", "Branch", "Pruned", "beam_tree", "tree_figure", "tree_table"]

Pruned = Literal["none", "near", "all"]

NEAR = 5
MAX_COLUMNS = 60
_ROW, _COLUMN = 36, 70
_TEXT = 9
_PATHS = 6  # translations whose way can be shown


@dataclass(frozen=True)
class Branch:
    """One candidate with its place in the drawing.

    Attributes:
        column: output position, 1 for the first piece; the root stands at 0.
        row: 0 at the top; survivors of a step by cumulative score, then the pruned ones.
        parent_column, parent_row: place of the hypothesis that it grew from.
        text: the piece.
        before: the text of the hypothesis before it.
        candidate: its scores and fate.
        best: it lies on the way to the translation.
    """

    column: int
    row: int
    parent_column: int
    parent_row: int
    text: str
    before: str
    candidate: Candidate
    best: bool


@dataclass(frozen=True)
class BeamTree:
    """The drawing.

    Attributes:
        branches: column by column, from the top.
        weighed: how many candidates the trace holds, drawn or not.
        positions: how many output positions the search had; at most :data:`MAX_COLUMNS` are
            drawn, since more would bring a browser to its knees.
    """

    branches: tuple[Branch, ...]
    weighed: int
    positions: int


def beam_tree(translation: Translation, *, pruned: Pruned = "near") -> BeamTree:
    """Place every candidate: a column per step, the best cumulative score at the top.

    Args:
        translation: with a trace; without one the tree is empty.
        pruned: draw no pruned candidates, the five per step that came nearest, or all.
    """
    trace = translation.trace or Trace(steps=(), finished=())
    best = path_nodes(translation)
    places: dict[int, tuple[int, int, str]] = {0: (0, 0, "")}
    branches: list[Branch] = []
    weighed = sum(len(e.candidates) for step in trace.steps for e in step.expansions)
    for step in trace.steps[:MAX_COLUMNS]:
        grown = [(e.node, c) for e in step.expansions for c in e.candidates]
        alive = sorted((g for g in grown if g[1].fate != "pruned"), key=_by_score)
        dead = sorted((g for g in grown if g[1].fate == "pruned"), key=_by_score)
        limit = {"none": 0, "near": NEAR, "all": len(dead)}[pruned]
        for row, (parent, candidate) in enumerate([*alive, *dead[:limit]]):
            column, parent_row, before = places.get(parent, (step.position, 0, ""))
            text = token_text(translation, candidate.token)
            branches.append(
                Branch(
                    column=column + 1,
                    row=row,
                    parent_column=column,
                    parent_row=parent_row,
                    text=text,
                    before=before,
                    candidate=candidate,
                    best=candidate.node in best,
                )
            )
            if candidate.node is not None:
                places[candidate.node] = (column + 1, row, f"{before} {text}".strip())
    return BeamTree(branches=tuple(branches), weighed=weighed, positions=len(trace.steps))


def tree_figure(translation: Translation, *, pruned: Pruned = "near") -> go.Figure:
    """Fate is shown by colour, by the shape of the mark and by the kind of line at once.

    Kept: circle and solid line. Finished: square and dashed line. Pruned: cross and dotted
    line. The way to the translation is drawn thick.
    """
    branches = beam_tree(translation, pruned=pruned).branches
    others = list(_other_paths(translation, branches))
    columns = max((branch.column for branch in branches), default=0)
    rows = max((branch.row for branch in branches), default=0) + 1
    figure = new_figure(
        height=120 + _ROW * rows + 18 * len(others),
        min_width=60 + _COLUMN * columns,
        max_width=160 + 2 * _COLUMN * columns,
        marks={"marks": "positions"},
        margin={"l": 12, "r": 12, "t": 44, "b": 56 + 18 * len(others)},
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 0, "yanchor": "top", "yref": "paper"},
        dragmode="pan",
        hovermode="closest",
        hoverdistance=12,
        xaxis={
            "side": "top",
            "range": [-0.35, columns + 0.6],
            "tickvals": list(range(1, columns + 1)),
            "title": {"text": "output position", "standoff": 6, "font": {"size": 12}},
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={"range": [rows - 0.5, -0.9], "visible": False},
    )
    for trace in (
        *_edges(branches, "pruned"),
        *_edges(branches, "kept"),
        *_edges(branches, "finished"),
        *_best_edges(branches),
        *others,
        _root(),
        *_marks(branches, "pruned"),
        *_marks(branches, "kept"),
        *_marks(branches, "finished"),
    ):
        figure.add_trace(trace)
    return figure


def tree_table(translation: Translation, *, pruned: Pruned = "near") -> Table:
    """The tree as text: one row per drawn candidate."""
    tree = beam_tree(translation, pruned=pruned)
    return Table(
        caption="Candidates of the search, step by step",
        columns=(
            "position",
            "token",
            "after",
            "probability",
            "cumulative score",
            "normalised score",
            "fate",
            "in the translation",
        ),
        rows=tuple(
            (
                str(branch.column),
                visible(branch.text),
                visible(branch.before) if branch.before else "(start)",
                percent(branch.candidate.probability),
                f"{branch.candidate.cumulative:.3f}",
                f"{branch.candidate.normalised:.3f}",
                f"{branch.candidate.fate}: {branch.candidate.reason}",
                "yes" if branch.best else "no",
            )
            for branch in tree.branches
        ),
    )


# --- Plotly traces ----------------------------------------------------------------------------

_STYLE: dict[str, dict[str, Any]] = {
    "kept": {"color": ACCENT, "dash": "solid", "width": 1.5, "symbol": "circle", "size": 9},
    "finished": {"color": AMBER, "dash": "dash", "width": 1.5, "symbol": "square", "size": 10},
    "pruned": {"color": MUTED, "dash": "dot", "width": 1, "symbol": "x-thin", "size": 7},
}


def _by_score(grown: tuple[int, Candidate]) -> float:
    return -grown[1].cumulative


def _line(branches: list[Branch], **options: Any) -> go.Scatter:
    """All edges as one trace; None lifts the pen."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for branch in branches:
        xs += [branch.parent_column, branch.column, None]
        ys += [branch.parent_row, branch.row, None]
    return go.Scatter(x=xs, y=ys, mode="lines", hoverinfo="skip", showlegend=False, **options)


def _edges(branches: tuple[Branch, ...], fate: str) -> list[go.Scatter]:
    chosen = [b for b in branches if b.candidate.fate == fate and not b.best]
    style = _STYLE[fate]
    line = {"color": style["color"], "dash": style["dash"], "width": style["width"]}
    faded = 0.5 if fate == "pruned" else 0.8
    return [_line(chosen, line=line, opacity=faded)] if chosen else []


def _best_edges(branches: tuple[Branch, ...]) -> list[go.Scatter]:
    chosen = [branch for branch in branches if branch.best]
    if not chosen:
        return []
    lines = _line(chosen, line={"color": ACCENT, "width": 5}, name="way to the translation")
    lines.showlegend = True
    return [lines]


def _other_paths(translation: Translation, branches: tuple[Branch, ...]) -> Iterator[go.Scatter]:
    """Greedy search's way, and those to the other translations, shown by a click on the legend."""
    trace = translation.trace
    if trace is None:
        return
    places = {(id(b.candidate)): b for b in branches}
    greedy = [places[id(s.chosen)] for s in greedy_path(trace) if id(s.chosen) in places]
    if greedy and not all(branch.best for branch in greedy):
        yield _way(greedy, name="greedy would have gone here", color=AMBER, dash="dash")
    for number, other in enumerate(translation.n_best[1:_PATHS], start=1):
        steps: tuple[PathStep, ...] = path_to(trace, other.node)
        way = [places[id(s.chosen)] for s in steps if id(s.chosen) in places]
        if way:
            name = f"{number + 1}: {label(other.target.text, longest=40)}"
            line = _way(way, name=name, color=SERIES[(number + 1) % len(SERIES)], dash="solid")
            line.visible = "legendonly"
            yield line


def _way(branches: list[Branch], *, name: str, color: str, dash: str) -> go.Scatter:
    line = _line(branches, line={"color": color, "width": 3, "dash": dash}, name=name)
    line.showlegend = True
    return line


def _root() -> go.Scatter:
    return go.Scatter(
        x=[0],
        y=[0],
        mode="markers",
        marker={"symbol": "circle-open", "size": 11, "color": ACCENT, "line": {"width": 2}},
        hovertemplate="start of the sentence<extra></extra>",
        showlegend=False,
    )


def _marks(branches: tuple[Branch, ...], fate: str) -> list[go.Scatter]:
    chosen = [branch for branch in branches if branch.candidate.fate == fate]
    if not chosen:
        return []
    style = _STYLE[fate]
    return [
        go.Scatter(
            x=[branch.column for branch in chosen],
            y=[branch.row for branch in chosen],
            mode="markers+text",
            name=fate,
            text=[_caption(branch) for branch in chosen],
            textposition="top center",
            textfont={"size": 11 if fate == "pruned" else 12},
            marker={
                "symbol": style["symbol"],
                "size": style["size"],
                "color": style["color"],
                "line": {"width": 2 if fate == "pruned" else 0, "color": style["color"]},
            },
            cliponaxis=True,
            customdata=[_details(branch) for branch in chosen],
            hovertemplate=(
                "<b>%{customdata[0]}</b><br>after: %{customdata[1]}"
                "<br>probability: %{customdata[2]} (rank %{customdata[3]})"
                "<br>cumulative score: %{customdata[4]}"
                "<br>normalised score: %{customdata[5]}"
                "<br>%{customdata[6]}<extra></extra>"
            ),
        )
    ]


def _caption(branch: Branch) -> str:
    text = label(branch.text, longest=_TEXT)
    return f"<b>{text}</b>" if branch.best else text


def _details(branch: Branch) -> list[str]:
    candidate = branch.candidate
    return [
        escape(branch.text),
        escape(branch.before[-60:]) if branch.before else "(start)",
        percent(candidate.probability),
        str(candidate.rank),
        f"{candidate.cumulative:.3f}",
        f"{candidate.normalised:.3f}",
        escape(f"{candidate.fate}: {candidate.reason}"),
    ]
