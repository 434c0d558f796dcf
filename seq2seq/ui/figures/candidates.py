"""What the decoder weighed at one step: the most probable next pieces as bars."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from seq2seq.path import PathStep, best_path, token_text
from seq2seq.translation import Translation
from seq2seq.ui.figures.style import ACCENT, GRID, MUTED, escape, index_axis, new_figure, visible
from seq2seq.ui.figures.table import Table, percent

__all__ = ["OTHERS", "Bar", "candidate_bars", "candidates_figures", "candidates_tables"]

OTHERS = "all others"
_SHOWN = 10
_ROW = 26


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        text: the piece, or :data:`OTHERS`.
        probability: the model's own.
        rank: by the model; None for the rest of the vocabulary.
        chosen: the translation took this piece.
        note: what the search did with it and why.
        score: log-probability from the start up to this piece, and the same normalised by
            length; None for the rest of the vocabulary.
    """

    text: str
    probability: float
    rank: int | None
    chosen: bool
    note: str
    score: tuple[float, float] | None = None


def candidate_bars(translation: Translation, step: PathStep) -> tuple[Bar, ...]:
    """The most probable pieces in order, the chosen one among them, and all others as one.

    Probabilities add up to 1 over all bars.
    """
    ordered = sorted(step.expansion.candidates, key=lambda candidate: candidate.rank)
    shown = ordered[:_SHOWN]
    if step.chosen not in shown:
        shown = [*shown[: _SHOWN - 1], step.chosen]
    bars = [
        Bar(
            text=token_text(translation, candidate.token),
            probability=candidate.probability,
            rank=candidate.rank,
            chosen=candidate == step.chosen,
            note=f"{candidate.fate}: {candidate.reason}",
            score=(candidate.cumulative, candidate.normalised),
        )
        for candidate in shown
    ]
    rest = max(0.0, 1.0 - sum(bar.probability for bar in bars))
    return (*bars, Bar(OTHERS, rest, None, False, "the rest of the vocabulary together"))


def candidates_figures(
    translation: Translation, *, limit: int | None = None
) -> tuple[go.Figure, ...]:
    """One figure per step of the translation's way; none without a trace.

    All have the same axes and the same height, so that nothing jumps from step to step.

    Args:
        translation: with a trace.
        limit: most steps to draw, None for all.
    """
    steps = [candidate_bars(translation, step) for step in best_path(translation)[:limit]]
    rows = max((len(bars) for bars in steps), default=0)
    longest = max((min(len(bar.text), 14) for bars in steps for bar in bars), default=0)
    return tuple(_figure(bars, rows=rows, margin=28 + 9 * longest) for bars in steps)


def candidates_tables(translation: Translation, *, limit: int | None = None) -> tuple[Table, ...]:
    """The bars of every step as text, at most ``limit`` of them."""
    return tuple(
        Table(
            caption=f"Candidates for token {step.position + 1}",
            columns=("token", "probability", "rank", "score", "normalised", "what became of it"),
            rows=tuple(
                (
                    visible(bar.text),
                    percent(bar.probability),
                    _rank(bar),
                    *_scores(bar),
                    f"taken ({bar.note})" if bar.chosen else bar.note,
                )
                for bar in candidate_bars(translation, step)
            ),
        )
        for step in best_path(translation)[:limit]
    )


def _figure(bars: tuple[Bar, ...], *, rows: int, margin: int) -> go.Figure:
    figure = new_figure(
        height=64 + _ROW * rows,
        # A fixed left margin would cut long pieces, an automatic one would make the bars jump.
        margin={"l": margin, "r": 12, "t": 8, "b": 44},
        bargap=0.3,
        xaxis={
            "range": [0, 1.35],
            "tickvals": [0, 0.5, 1],
            "ticktext": ["0", "50 %", "100 %"],
            "tickangle": 0,
            "title": {"text": "probability", "standoff": 8, "font": {"size": 12}},
            "gridcolor": GRID,
            "zeroline": False,
            "fixedrange": True,
        },
        yaxis=index_axis(
            [bar.text for bar in bars],
            range=[rows - 0.5, -0.5],
            fixedrange=True,
            ticklabelstandoff=6,
        ),
    )
    figure.add_trace(
        go.Bar(
            orientation="h",
            x=[bar.probability for bar in bars],
            y=list(range(len(bars))),
            text=[f"{percent(bar.probability)}{' ◀' if bar.chosen else ''}" for bar in bars],
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": [ACCENT if bar.chosen else MUTED for bar in bars],
                "pattern": {"shape": ["/" if bar.rank is None else "" for bar in bars]},
            },
            customdata=[
                [escape(bar.text), _rank(bar), escape(bar.note), *_scores(bar)] for bar in bars
            ],
            hovertemplate=(
                "%{customdata[0]}<br>probability: %{x:.4f}<br>rank: %{customdata[1]}"
                "<br>score: %{customdata[3]}, normalised: %{customdata[4]}"
                "<br>%{customdata[2]}<extra></extra>"
            ),
        )
    )
    return figure


def _scores(bar: Bar) -> tuple[str, str]:
    return ("–", "–") if bar.score is None else (f"{bar.score[0]:.3f}", f"{bar.score[1]:.3f}")


def _rank(bar: Bar) -> str:
    return "–" if bar.rank is None else str(bar.rank)
