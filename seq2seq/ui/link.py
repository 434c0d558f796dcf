"""A link that says what to translate and how: read back from what the browser found in it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from seq2seq.text.surrogates import whole_characters
from seq2seq.ui.form import Form
from seq2seq.ui.layout import direction_choices, model_line, samples
from seq2seq.ui.offers import Model
from seq2seq.ui.service import MAX_SENT
from seq2seq.ui.settings import SETTINGS, SettingError

__all__ = ["form_updates", "link_of"]

# Settings of drawing at random (True) and of searching (False); the others concern both.
_DRAWN = {
    "beam": False,
    "length_penalty": False,
    "temperature": True,
    "top_k": True,
    "top_p": True,
    "seed": True,
}


def form_updates(form: Form, link: Any, models: dict[str, Model]) -> dict[Any, Any]:
    """New values of the form for what a link holds; whatever makes no sense is left out.

    Args:
        form: the components.
        link: names and texts, as in the address.
        models: that there are.
    """
    if not isinstance(link, dict):
        return {}
    updates: dict[Any, Any] = {}
    text = link.get("text")
    if isinstance(text, str):
        updates[form.text] = whole_characters(text[:MAX_SENT])
    model = models.get(str(link.get("model")))
    if model is not None:
        choices = direction_choices(model)
        wanted = str(link.get("direction"))
        known = wanted in [value for _, value in choices]
        value = wanted if known else choices[0][1]
        updates[form.model] = gr.update(choices=list(models), value=model.name)
        updates[form.direction] = gr.update(choices=choices, value=value)
    sampled = link.get("sample") == "yes"
    if sampled:
        updates[form.sample] = True
    for name in SETTINGS:
        number = _number(name, link.get(name))
        shown = {True: sampled, False: not sampled, None: True}[_DRAWN.get(name)]
        if number is not None:
            updates[getattr(form, name)] = gr.update(value=number, visible=shown)
        elif sampled:
            updates[getattr(form, name)] = gr.update(visible=shown)
    return updates


def link_of(link: Any, models: dict[str, Model]) -> dict[str, Any]:
    """What else on the page belongs to the model of a link: its line and its examples."""
    model = models.get(str(link.get("model"))) if isinstance(link, dict) else None
    if model is None:
        return {}
    language, _ = model.pair(str(link.get("direction"))) or model.directions[0]
    return {"line": model_line(model), "samples": samples(language)}


def _number(name: str, value: Any) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        return SETTINGS[name].read(float(value))
    except (ValueError, SettingError):
        return None
