"""The components that a request for a translation is made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

__all__ = ["AVERAGE", "Form", "components"]

AVERAGE = -1
"""Value of a layer or head choice that means the mean over all."""


@dataclass(frozen=True)
class Form:
    """What a request for a translation is made of, in the order the handler takes it."""

    text: gr.Textbox
    model: gr.Dropdown
    direction: gr.Dropdown
    beam: gr.Slider
    length_penalty: gr.Slider
    n_best: gr.Slider
    max_length: gr.Slider
    sample: gr.Checkbox
    temperature: gr.Slider
    top_k: gr.Slider
    top_p: gr.Slider
    seed: gr.Number


def components(group: Any) -> list[gr.components.Component]:
    """The components that a dataclass holds, in the order of its fields."""
    return [getattr(group, field.name) for field in fields(group)]
