"""The tab that sends one sentence through several models."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import gradio as gr

from seq2seq.path import best_path, token_text
from seq2seq.text.surrogates import whole_characters
from seq2seq.translation import Translation
from seq2seq.translator import TranslatorError
from seq2seq.ui import wording
from seq2seq.ui.attention_tab import Measured, attention_panel, needs_occlusion
from seq2seq.ui.events import EVENT, FEW_USERS, SEND_TEXT
from seq2seq.ui.figures.heatmap import AttentionView
from seq2seq.ui.figures.style import visible
from seq2seq.ui.figures.table import Table, percent
from seq2seq.ui.form import Form, components
from seq2seq.ui.offers import Model
from seq2seq.ui.panel import panel
from seq2seq.ui.reading import read_request
from seq2seq.ui.results import ModelResults
from seq2seq.ui.sentence import result_view
from seq2seq.ui.service import Request, RequestError, Service, TooSlowError

__all__ = [
    "MOST_MODELS",
    "CompareTab",
    "build_compare_tab",
    "compare",
    "comparison_view",
    "connect_compare",
    "steps_table",
]

MOST_MODELS = 4
"""How many models are compared at once."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompareTab:
    """Components of the tab."""

    models: gr.CheckboxGroup
    go: gr.Button
    result: gr.HTML


def build_compare_tab(models: Sequence[Model]) -> CompareTab:
    """Lay the tab out; call inside a ``gr.Tab``."""
    names = [model.name for model in models]
    chosen = gr.CheckboxGroup(
        names,
        value=names[:MOST_MODELS],
        label=wording.COMPARE_MODELS.format(limit=MOST_MODELS),
        elem_id="compare-models",
    )
    go = gr.Button(wording.COMPARE, size="sm", elem_id="compare-go", min_width=160)
    result = panel(
        "compare", elem_id="comparison", label="Comparison", placeholder=wording.COMPARE_WAITING
    )
    return CompareTab(chosen, go, result)


def connect_compare(
    tab: CompareTab, form: Form, service: Service, results: Sequence[ModelResults]
) -> None:
    """Attach the tab's event."""

    def run(*values: Any) -> Iterator[dict[str, Any]]:
        yield from compare(service, results, lambda: read_request(*values[:-1]), values[-1])

    tab.go.click(
        run,
        [*components(form), tab.models],
        tab.result,
        js=SEND_TEXT,
        trigger_mode="once",
        concurrency_limit=FEW_USERS,
        **EVENT,
    )


def compare(
    service: Service,
    results: Sequence[ModelResults],
    request: Callable[[], Request],
    names: Any,
) -> Iterator[dict[str, Any]]:
    """Translate with one model after another; yields what is there after each.

    Args:
        service: the models.
        results: what was measured about them.
        request: reads the form; its model is replaced by each of ``names``.
        names: of the models, as the page sent them.
    """
    given = names if isinstance(names, list) else []
    chosen = [whole_characters(name) for name in given if isinstance(name, str)]
    try:
        asked = request()
        if not 2 <= len(chosen) <= MOST_MODELS:
            raise RequestError(wording.COMPARE_COUNT.format(limit=MOST_MODELS))
        done: list[dict[str, Any]] = []
        found: list[Translation] = []
        for name in chosen:
            yield {**comparison_view(done, found), "message": wording.COMPARING.format(name=name)}
            try:
                *_, translation = service.translate(replace(asked, model=name))
            except (ValueError, TooSlowError) as error:
                done.append({"model": name, "message": str(error)})
                continue
            found.append(translation)
            done.append(_column(service, results, translation))
        yield comparison_view(done, found)
    except (ValueError, TooSlowError) as error:
        yield {"message": str(error)}
    except Exception:
        _log.exception("a comparison failed")
        yield {"message": wording.FAILED}


def comparison_view(
    columns: Sequence[dict[str, Any]], translations: Sequence[Translation]
) -> dict[str, Any]:
    """All columns, and the steps of all models side by side."""
    table = steps_table(translations).to_dict() if translations else None
    return {"columns": list(columns), "steps": table, "message": ""}


def steps_table(translations: Sequence[Translation]) -> Table:
    """One row per output position: what each model wrote there, and how sure it was."""
    paths = [
        [
            f"{visible(token_text(one, step.chosen.token))}  {percent(step.chosen.probability)}"
            for step in best_path(one)
        ]
        for one in translations
    ]
    return Table(
        caption=wording.COMPARE_STEPS,
        columns=("step", *(one.model.name for one in translations)),
        rows=tuple(
            (str(number), *row)
            for number, row in enumerate(zip_longest(*paths, fillvalue=""), start=1)
        ),
    )


def _column(
    service: Service, results: Sequence[ModelResults], translation: Translation
) -> dict[str, Any]:
    attention = translation.attention
    view = AttentionView(
        layer=attention.layer if attention else None, head=attention.head if attention else None
    )
    occlusion = None
    if needs_occlusion(translation, "heatmap"):
        try:
            occlusion = service.occlusion(translation)
        except TranslatorError as error:
            return {"model": translation.model.name, "message": str(error)}
    shown = result_view(translation)
    return {
        "model": translation.model.name,
        "architecture": translation.model.architecture,
        "language": translation.target_language,
        "segments": shown["segments"],
        "signs": [sign["title"] for sign in shown["signs"]],
        "facts": wording.COMPARE_FACTS.format(
            milliseconds=1000 * translation.timing.total,
            score=translation.score,
            log_probability=translation.log_probability,
            parameters=translation.model.parameters,
        ),
        "chart": attention_panel(
            translation,
            view,
            "heatmap",
            measured=Measured.of(translation, results),
            occlusion=occlusion,
        ),
        "message": "",
    }
