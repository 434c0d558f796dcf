"""The sentence itself as the page draws it: words, what else they could have been, and signs of
trouble. Plain JSON types, nothing escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seq2seq.diagnosis import Sign, diagnose
from seq2seq.path import PathStep, best_path, token_text
from seq2seq.text.encoding import Encoding, Word
from seq2seq.translation import Translation
from seq2seq.ui import wording
from seq2seq.ui.figures.style import visible
from seq2seq.ui.figures.table import Table, percent

__all__ = ["LEVELS", "MAX_OPTIONS", "level", "result_view", "uncertain_words"]

View = dict[str, Any]

LEVELS = ("0–20 %", "20–40 %", "40–60 %", "60–80 %", "80–100 %")
"""Classes of probability that words are coloured by, from unsure to sure."""
MAX_OPTIONS = 6
"""Pieces that are offered instead of one of the translation."""
_MARGIN = 0.25


def level(probability: float) -> int:
    """Index into :data:`LEVELS`."""
    return min(int(probability * len(LEVELS)), len(LEVELS) - 1)


def result_view(translation: Translation) -> View:
    """Both sentences with every word's probability, the n-best list and the facts."""
    unsure = uncertain_words(translation)
    value: View = {
        "languages": [translation.source_language, translation.target_language],
        "source": _segments(translation.source),
        "segments": _segments(translation.target, translation.word_probabilities, unsure),
        "complete": translation.complete,
        "legend_title": wording.LEGEND,
        "legend": list(LEVELS),
        "warnings": list(translation.warnings),
        "facts": "",
        "links": {
            "source": list(translation.source.word_of_piece),
            "target": list(translation.target.word_of_piece),
        },
        "options": [],
        "signs": [],
        "n_best": None,
        "words": None,
    }
    if translation.complete:
        path = best_path(translation)
        value["facts"] = _facts(translation)
        value["words"] = _word_table(translation).to_dict()
        value["options"] = [_options(translation, step) for step in path]
        value["signs"] = [_sign(translation, sign) for sign in diagnose(translation)]
        if len(translation.n_best) > 1:
            value["n_best"] = _n_best_table(translation).to_dict()
    return value


def uncertain_words(translation: Translation) -> frozenset[int]:
    """Words in which some piece was hardly more probable than another, or less so."""
    found = set()
    for piece, step in zip(translation.target.pieces, best_path(translation), strict=False):
        others = [
            candidate.probability
            for candidate in step.expansion.candidates
            if candidate.token != step.chosen.token
        ]
        if step.chosen.probability - max(others, default=0.0) < _MARGIN:
            found.add(piece.word)
    return frozenset(found)


# --- Words ------------------------------------------------------------------------------------


def _segments(
    encoding: Encoding,
    probabilities: Sequence[float] | None = None,
    unsure: frozenset[int] = frozenset(),
) -> list[View]:
    """The text in order: words with their index, and what stands between them."""
    segments: list[View] = []
    place = 0
    for index, word in enumerate(encoding.words):
        if word.special:
            segments.append(_plain(" "))
        elif word.start > place:
            segments.append(_plain(encoding.text[place : word.start]))
        place = max(place, word.end)
        segment = _plain(visible(word.text)) | {"word": index, "special": word.special}
        if probabilities is not None:
            segment |= {
                "level": level(probabilities[index]),
                "unsure": index in unsure,
                "hint": f"{_named(word)}: {percent(probabilities[index])}",
            }
        segments.append(segment)
    if place < len(encoding.text):
        segments.append(_plain(encoding.text[place:]))
    return segments


def _named(word: Word) -> str:
    """A text that looks like a special token is one only if the pipeline says so."""
    return wording.token_name(word.text) if word.special else visible(word.text)


def _plain(text: str) -> View:
    return {
        "text": text,
        "word": None,
        "level": None,
        "special": False,
        "unsure": False,
        "hint": "",
    }


# --- What could have been ---------------------------------------------------------------------


def _options(translation: Translation, step: PathStep) -> View:
    """The piece that was taken at a step, and the most probable ones that could be forced."""
    others = sorted(
        (c for c in step.expansion.candidates if c.token != step.chosen.token),
        key=lambda candidate: candidate.rank,
    )
    return {
        "step": step.position,
        "taken": visible(token_text(translation, step.chosen.token)),
        "probability": percent(step.chosen.probability),
        "others": [
            {
                "id": candidate.token,
                "text": visible(token_text(translation, candidate.token)),
                "probability": percent(candidate.probability),
            }
            for candidate in others[:MAX_OPTIONS]
        ],
    }


def _sign(translation: Translation, sign: Sign) -> View:
    title, text, hint = wording.SIGNS[sign.kind]
    named = ", ".join(translation.source.words[index].text for index in sign.source_words)
    value: View = {
        "kind": sign.kind,
        "title": title,
        "text": text.format(
            detail=wording.language_name(sign.detail), words=visible(named) if named else "–"
        ),
        "words": list(sign.words),
        "source_words": list(sign.source_words),
        "suggestion": None,
        "hint": "",
    }
    if sign.token is not None and sign.step is not None:
        piece = visible(token_text(translation, sign.token))
        value["suggestion"] = {"step": sign.step, "id": sign.token, "text": piece}
        probability = percent(sign.probability or 0.0)
        value["hint"] = wording.FORCE.format(piece=piece, probability=probability)
    elif hint:
        value["hint"] = hint
    return value


# --- Facts and tables -------------------------------------------------------------------------


def _facts(translation: Translation) -> str:
    model = translation.model
    return (
        f"{model.name} ({model.architecture}; {model.parameters:,} parameters) · "
        f"{model.device}, {model.precision} · "
        f"score {translation.score:.3f}, log-probability {translation.log_probability:.3f}"
    )


def _word_table(translation: Translation) -> Table:
    target = translation.target
    sizes = [target.word_of_piece.count(index) for index in range(len(target.words))]
    return Table(
        caption="Words of the translation with the model's own probability",
        columns=("word", "probability", "pieces"),
        rows=tuple(
            (visible(word.text), percent(probability), str(size))
            for word, probability, size in zip(
                target.words, translation.word_probabilities, sizes, strict=True
            )
        ),
    )


def _n_best_table(translation: Translation) -> Table:
    return Table(
        caption=(
            f"The {len(translation.n_best)} best translations found; the score is the "
            "log-probability normalised by length"
        ),
        columns=("#", "translation", "score", "log p"),
        rows=tuple(
            (str(rank), entry.target.text, f"{entry.score:.3f}", f"{entry.log_probability:.3f}")
            for rank, entry in enumerate(translation.n_best, start=1)
        ),
    )
