"""Components whose content is drawn by the scripts in ``assets/scripts``.

A template of ``gr.HTML`` runs code that it finds in a value, so no value ever meets a
template here: the template is an empty element, and the script fills it with text nodes.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Literal

import gradio as gr
import plotly

__all__ = ["ASSETS", "address", "panel", "static_files", "wordings"]

ASSETS = Path(__file__).resolve().parents[2] / "assets"
_SCRIPTS = [
    ASSETS / "scripts" / f"{name}.js"
    for name in (
        "core",
        "charts",
        "selection",
        "steps",
        "result",
        "branches",
        "compare",
        "batch",
        "document",
        "tour",
        "language",
        "page",
    )
]
# The file that belongs to the installed plotly: gr.Plot bundles an older one.
_PLOTLY = Path(plotly.__file__).resolve().parent / "package_data" / "plotly.min.js"

Kind = Literal[
    "batch",
    "branches",
    "compare",
    "document",
    "file",
    "frames",
    "language",
    "player",
    "plot",
    "result",
    "saver",
    "status",
    "table",
    "tour",
]


def static_files() -> list[str]:
    """Files that the page loads from this server."""
    return [str(_PLOTLY), *map(str, _SCRIPTS), *map(str, wordings().values())]


def wordings() -> dict[str, Path]:
    """Files with the texts of the page in other languages, by language."""
    return {path.stem: path for path in sorted((ASSETS / "wording").glob("*.json"))}


def address(path: Path) -> str:
    """Where the page finds a file; relative, so that it holds behind a proxy with a folder."""
    return f"gradio_api/file={path}"


def panel(
    kind: Kind,
    *,
    elem_id: str,
    label: str = "",
    placeholder: str = "",
    value: Any = None,
) -> gr.HTML:
    """A component that takes JSON values and lets a function of the scripts draw them.

    A subclass of ``gr.HTML`` would say the same, but gradio writes a stub file beside every
    module that defines one.

    Args:
        kind: the function of ``window.Explorer`` that draws the value.
        elem_id: id in the page.
        label: what it is, for screen readers or as the text of its button.
        placeholder: shown while there is no value.
        value: drawn at first.
    """
    live = ' role="status" aria-live="polite"' if kind == "status" else ""
    return gr.HTML(
        value,
        html_template=(
            f'<div class="panel {kind}" data-label="{escape(label)}" '
            f'data-placeholder="{escape(placeholder)}"{live}></div>'
        ),
        js_on_load=f"Explorer.{kind}(element, props, watch, trigger);",
        head="".join(f'<script src="{address(path)}"></script>' for path in (_PLOTLY, *_SCRIPTS)),
        apply_default_css=False,
        elem_id=elem_id,
    )
