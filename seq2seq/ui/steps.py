"""The steps of the decoder, one after another, with all that was known at each."""

from __future__ import annotations

from typing import Any

from seq2seq.decoding.trace import Trace, TraceStep
from seq2seq.path import PathStep, best_path, token_text
from seq2seq.translation import Translation
from seq2seq.ui import wording
from seq2seq.ui.figures.style import visible
from seq2seq.ui.figures.table import Table, percent

__all__ = ["MAX_STEPS", "player_view"]

MAX_STEPS = 100
"""Most steps that the step-by-step view holds: the page keeps all of them at hand."""
_SHOWN = 8  # pieces of a hypothesis that a table shows


def player_view(translation: Translation) -> dict[str, Any]:
    """The pieces of the translation in order, each with what is known about its step."""
    path, trace = best_path(translation), translation.trace
    if not path or trace is None:
        return {"steps": [], "message": wording.NO_TRACE}
    texts = _hypotheses(translation, trace)
    left_out = wording.FIRST_STEPS.format(shown=MAX_STEPS, all=len(path))
    return {
        "message": left_out if len(path) > MAX_STEPS else "",
        "steps": [
            {
                "token": visible(token_text(translation, step.chosen.token)),
                "facts": _facts(translation, step),
                "table": _table(translation, trace.steps[step.position], step, texts).to_dict(),
            }
            for step in path[:MAX_STEPS]
        ],
    }


def _facts(translation: Translation, step: PathStep) -> str:
    chosen, before = step.chosen, step.expansion
    return (
        f"decoder input: {visible(token_text(translation, before.token))}; "
        f"probability {percent(chosen.probability)}, "
        f"rank {chosen.rank} for the model; "
        f"{chosen.fate}: {chosen.reason}; "
        f"score {before.cumulative:.3f} {chosen.step_score:+.3f} = {chosen.cumulative:.3f}, "
        f"normalised {chosen.normalised:.3f}; "
        f"uncertainty (entropy) {before.entropy:.2f} nats"
    )


def _table(
    translation: Translation, step: TraceStep, taken: PathStep, texts: dict[int, list[str]]
) -> Table:
    """What every live hypothesis did at a step."""
    return Table(
        caption=wording.HYPOTHESES.format(count=len(step.expansions)),
        columns=("so far", "score", "went on as", "given up"),
        rows=tuple(
            (
                ("▶ " if expansion is taken.expansion else "") + _ending(texts[expansion.node]),
                f"{expansion.cumulative:.3f}",
                ", ".join(
                    f"{visible(token_text(translation, c.token))} {percent(c.probability)}"
                    + (" (finished)" if c.fate == "finished" else "")
                    for c in expansion.candidates
                    if c.fate != "pruned"
                )
                or "–",
                str(sum(c.fate == "pruned" for c in expansion.candidates)),
            )
            for expansion in step.expansions
        ),
    )


def _hypotheses(translation: Translation, trace: Trace) -> dict[int, list[str]]:
    """The pieces of every hypothesis, by its node."""
    pieces: dict[int, list[str]] = {0: []}
    for step in trace.steps:
        for expansion in step.expansions:
            for candidate in expansion.candidates:
                if candidate.node is not None:
                    text = visible(token_text(translation, candidate.token))
                    pieces[candidate.node] = [*pieces[expansion.node], text]
    return pieces


def _ending(pieces: list[str]) -> str:
    text = " ".join(pieces[-_SHOWN:]) or "(start)"
    return f"… {text}" if len(pieces) > _SHOWN else text
