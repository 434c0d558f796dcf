"""Every text of the page, wherever it is written down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from seq2seq.ui import wording
from seq2seq.ui.layout import build_page

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "assets" / "scripts").glob("*.js"))
# Texts of the scripts: what is passed to the functions that show it.
_BEFORE = (
    r'make\("\w+",\s*"[\w -]*",',
    r"(?:button|field|foldedTable|tell|opener)\(",
    r'interactive\(\w+,\s*"\w+",',
    r'"aria-label",',
    r"(?:title|textContent)\s*=",
    r'field\("[^"]*",',
)
SHOWN = re.compile(rf"""(?:{"|".join(_BEFORE)})\s*"([^"\n]*[A-Za-z]{{2}}[^"\n]*)\"""")


def plain(template: str) -> str:
    """A template with the names of its fields alone: ``{count:,}`` as ``{count}``."""
    return re.sub(r"\{(\w+)[^}]*\}", r"{\1}", template)


def texts() -> set[str]:
    """All of them, in English."""
    found = {plain(text) for text in _of_wording()} | set(_of_components()) | set(_of_scripts())
    return {text for text in found if re.search("[A-Za-z]{2}", text)}


def _of_wording() -> Iterator[str]:
    for name in wording.__all__:
        value = getattr(wording, name)
        if not callable(value):
            yield from _strings(value, values_of_choices=name in ("PICTURES", "COLUMNS"))


def _strings(value: Any, *, values_of_choices: bool = False) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif values_of_choices:
        yield from (name for name, _ in value)
    elif isinstance(value, dict):
        if all(isinstance(one, str) for one in value.values()):
            yield from value
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)


def _of_components() -> Iterator[str]:
    with gr.Blocks(analytics_enabled=False) as demo:
        build_page({})
    for component in demo.config["components"]:
        props = component["props"]
        for key in ("label", "info", "placeholder"):
            if isinstance(props.get(key), str) and component["type"] != "html":
                yield props[key]
        if component["type"] == "button":
            yield props["value"]
        if component["type"] == "radio":
            yield from (name for name, _ in props["choices"])


def _of_scripts() -> Iterator[str]:
    for path in SCRIPTS:
        found = SHOWN.findall(path.read_text(encoding="utf-8"))
        yield from (text for text in found if text != "title")  # an attribute
