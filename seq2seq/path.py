"""The way through a trace that led to the translation."""

from __future__ import annotations

from dataclasses import dataclass

from seq2seq.decoding.trace import Candidate, Expansion, Trace
from seq2seq.translation import Translation

__all__ = ["PathStep", "best_path", "greedy_path", "path_nodes", "path_to", "token_text"]

_START = "␣"


@dataclass(frozen=True)
class PathStep:
    """One step of the translation's own way: what it grew from and which piece it took.

    Attributes:
        position: 0 for the first piece.
        expansion: the hypothesis before the step, with all it could have become.
        chosen: the candidate that the translation took.
    """

    position: int
    expansion: Expansion
    chosen: Candidate


def best_path(translation: Translation) -> tuple[PathStep, ...]:
    """The steps from the root to the last piece of the translation; empty without a trace."""
    trace = translation.trace
    return () if trace is None else path_to(trace, _last_node(translation, trace))


def path_to(trace: Trace, node: int | None) -> tuple[PathStep, ...]:
    """The steps from the root to the hypothesis ``node``."""
    grown = {
        candidate.node: PathStep(step.position, expansion, candidate)
        for step in trace.steps
        for expansion in step.expansions
        for candidate in expansion.candidates
        if candidate.node is not None
    }
    steps: list[PathStep] = []
    while node in grown and len(steps) < len(trace.steps):
        steps.append(grown[node])
        node = grown[node].expansion.node
    return tuple(reversed(steps))


def greedy_path(trace: Trace) -> tuple[PathStep, ...]:
    """Where taking the most probable piece at every step leads, as far as the search followed.

    The last step may be a candidate that the search pruned: there greedy search and beam search
    part, and what would have come after was never computed.
    """
    steps: list[PathStep] = []
    node: int | None = 0
    for step in trace.steps:
        expansion = next((e for e in step.expansions if e.node == node), None)
        if expansion is None or not expansion.candidates:
            break
        chosen = min(expansion.candidates, key=lambda candidate: candidate.rank)
        steps.append(PathStep(step.position, expansion, chosen))
        node = chosen.node
    return tuple(steps)


def path_nodes(translation: Translation) -> frozenset[int]:
    """Numbers of the hypotheses on the translation's way, the root included."""
    steps = best_path(translation)
    grown = {step.chosen.node for step in steps if step.chosen.node is not None}
    return frozenset(grown | {step.expansion.node for step in steps})


def token_text(translation: Translation, token: int) -> str:
    """How the piece ``token`` of the trace is shown: a dot marks one that continues a word.

    The text pipeline marks the opposite, the start of a word, which is most pieces and harder
    to read. Languages without spaces have no such marks and get no dots.
    """
    text = translation.piece_texts.get(token, f"#{token}")
    if text.startswith(_START) and len(text) > 1:
        return text[1:]
    marked = any(other.startswith(_START) for other in translation.piece_texts.values())
    special = len(text) > 2 and text.startswith("<") and text.endswith(">")
    return f"·{text}" if marked and not special and text != _START else text


def _last_node(translation: Translation, trace: Trace) -> int | None:
    if translation.n_best and translation.n_best[0].node is not None:
        return translation.n_best[0].node
    return trace.finished[0].node if trace.finished else None
