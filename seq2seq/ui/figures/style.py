"""Colours, sizes and the one way to put a token's text into a figure."""

from __future__ import annotations

import unicodedata
from typing import Any

import plotly.graph_objects as go

__all__ = [
    "ACCENT",
    "AMBER",
    "DARK_DIVERGING",
    "DARK_SCALE",
    "FONT",
    "GRID",
    "LIGHT_DIVERGING",
    "LIGHT_SCALE",
    "MUTED",
    "SERIES",
    "escape",
    "index_axis",
    "label",
    "new_figure",
    "visible",
]

# Mid tones that keep a contrast of 3 to 1 on the light and on the dark page, and that people
# with any common colour blindness tell apart (blue, amber and grey also differ in lightness).
ACCENT = "#2b7bd6"
AMBER = "#c2680a"
MUTED = "#7d8794"

SERIES = (ACCENT, AMBER, "#2a8f6a", "#a855b5", "#7d8794", "#b0506a")
"""Lines of a chart with several; markers differ as well."""

GRID = "rgba(125,135,148,0.25)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK SC', sans-serif"

# Sequential and single-hued: the eye reads lightness, which every kind of colour vision keeps.
# Zero has the colour of the page, so the dark page needs the scale the other way round.
LIGHT_SCALE = [
    [0, "#f5f8fc"],
    [0.25, "#c3d9ef"],
    [0.5, "#74ace0"],
    [0.75, "#2f75bd"],
    [1, "#0b3467"],
]
DARK_SCALE = [
    [0, "#172032"],
    [0.25, "#1e4377"],
    [0.5, "#2c72bd"],
    [0.75, "#78b2ee"],
    [1, "#e6f2ff"],
]

# Two hues around the colour of the page: blue for more, amber for less.
LIGHT_DIVERGING = [
    [0, "#8a4500"],
    [0.25, "#dd9a55"],
    [0.5, "#f7f8fa"],
    [0.75, "#74ace0"],
    [1, "#0b3467"],
]
DARK_DIVERGING = [
    [0, "#ffd9ad"],
    [0.25, "#b86a1d"],
    [0.5, "#172032"],
    [0.75, "#2c72bd"],
    [1, "#e6f2ff"],
]

_MAX_LABEL = 14
_ARROWS = {"\n": "⏎", "\r": "⏎", "\t": "⇥"}
# Characters that would turn the direction of everything after them.
_DIRECTION = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def visible(text: str) -> str:
    """``text`` with characters that cannot be seen replaced by ones that can.

    Line ends and tabs become arrows, other control characters and direction marks their code
    points (``[U+0000]``), a lone space ``␣``, an empty string ``∅``.
    """
    if not text:
        return "∅"
    if set(text) == {" "}:
        return "␣" * len(text)
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in _ARROWS:
        return _ARROWS[character]
    code = ord(character)
    unseen = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    return f"[U+{code:04X}]" if unseen or code in _DIRECTION else character


def escape(text: str) -> str:
    """``text`` for a place that Plotly reads as pseudo-HTML, which is any place with text."""
    safe = visible(text)
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def label(text: str, *, longest: int = _MAX_LABEL) -> str:
    """``text`` as an escaped axis label, cut to ``longest`` characters."""
    return escape(text if len(text) <= longest else text[: longest - 1] + "…")


def index_axis(texts: list[str], **options: Any) -> dict[str, Any]:
    """An axis over integer positions, so that equal tokens never share a place.

    Args:
        texts: labels, not yet escaped, of the positions 0, 1, …
        options: further settings of the axis.
    """
    return {
        "tickmode": "array",
        "tickvals": list(range(len(texts))),
        "ticktext": [label(text) for text in texts],
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        **options,
    }


def new_figure(
    *,
    height: int,
    min_width: int = 0,
    max_width: int | None = None,
    marks: dict[str, Any] | None = None,
    **layout: Any,
) -> go.Figure:
    """An empty figure in the house style.

    The page takes over what depends on it: backgrounds, font colour, the dark colour scale
    (``layout.meta.dark_scale``) and the width between ``min_width`` and ``max_width`` there.

    Args:
        height: in pixels.
        min_width: in pixels; a narrower page scrolls the chart instead of squeezing it.
        max_width: in pixels; a wider page leaves the rest empty.
        marks: how the page finds what is selected in it: ``marks`` is ``cells`` (columns are
            source words, or pieces if ``pieces`` is true; rows are target ones, ``shift`` rows
            further down) or ``positions`` (x is an output position, counted from 1).
        layout: further settings of the layout.
    """
    settings: dict[str, Any] = {
        "template": "none",
        "height": height,
        "meta": {
            "min_width": min_width,
            "max_width": max_width,
            "dark_scale": DARK_SCALE,
            **(marks or {}),
        },
        "font": {"family": FONT, "size": 13},
        "margin": {"l": 16, "r": 16, "t": 16, "b": 16},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hoverlabel": {"align": "left", "font": {"family": FONT, "size": 13}},
        **layout,
    }
    return go.Figure(layout=settings)
