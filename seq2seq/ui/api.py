"""Named endpoints for programs: gradio_client, plain HTTP, and MCP where it is installed.

Their names, parameters and docstrings are what a client sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from seq2seq.diagnosis import diagnose
from seq2seq.text.surrogates import whole_characters
from seq2seq.translation import Translation
from seq2seq.ui import wording
from seq2seq.ui.batch import MAX_LINES, Line, translate_lines
from seq2seq.ui.compare_tab import MOST_MODELS
from seq2seq.ui.events import FEW_USERS, USERS
from seq2seq.ui.service import Request, RequestError, Service
from seq2seq.ui.settings import SETTINGS

__all__ = ["Endpoints", "connect_api"]

_INTERVAL = 1.0  # nobody sees partial translations; they only tell whether it takes too long


def connect_api(service: Service) -> None:
    """Offer the endpoints; call inside a ``gr.Blocks``."""
    endpoints = Endpoints(service)
    limits = {"translate": USERS, "explain": USERS, "compare": FEW_USERS, "batch": FEW_USERS}
    for name, limit in limits.items():
        gr.api(getattr(endpoints, name), api_name=name, concurrency_limit=limit)


@dataclass(frozen=True)
class Endpoints:
    """The functions behind the endpoints. Errors come back as ``gr.Error`` with one sentence."""

    service: Service

    def translate(
        self,
        text: str,
        model: str = "",
        direction: str = "",
        beam: int = 5,
        length_penalty: float = 1.0,
        prefix: str = "",
    ) -> dict[str, Any]:
        """Translate one sentence.

        Args:
            text: what to translate, at most 500 characters.
            model: name of a model; empty for the first one.
            direction: source and target language, such as "fr-en"; empty for the model's first.
            beam: width of the beam search, 1 to 20; 1 is greedy.
            length_penalty: exponent of the length normalisation, 0 to 2.
            prefix: text that the translation has to begin with.

        Returns:
            The translation, its normalised score and log-probability, every word with its own
            probability, and signs of trouble.
        """
        return _short(self._run(text, model, direction, beam, length_penalty, prefix))

    def explain(
        self,
        text: str,
        model: str = "",
        direction: str = "",
        beam: int = 5,
        length_penalty: float = 1.0,
        prefix: str = "",
    ) -> dict[str, Any]:
        """Translate one sentence and give the complete record of how it was done.

        Args:
            text: what to translate, at most 500 characters.
            model: name of a model; empty for the first one.
            direction: source and target language, such as "fr-en"; empty for the model's first.
            beam: width of the beam search, 1 to 20; 1 is greedy.
            length_penalty: exponent of the length normalisation, 0 to 2.
            prefix: text that the translation has to begin with.

        Returns:
            The Translation document: pieces, words, attention of every layer and head, the n-best
            list, and the trace of the search with every candidate that was weighed.
        """
        return self._run(text, model, direction, beam, length_penalty, prefix).to_dict()

    def compare(
        self, text: str, models: list[str], direction: str = "fr-en", beam: int = 5
    ) -> list[dict[str, Any]]:
        """Translate one sentence with several models.

        Args:
            text: what to translate, at most 500 characters.
            models: names of one to four models.
            direction: source and target language, such as "fr-en".
            beam: width of the beam search, 1 to 20.

        Returns:
            What `translate` gives, for each model in order.
        """
        if not isinstance(models, list) or not 1 <= len(models) <= MOST_MODELS:
            raise gr.Error(wording.COMPARE_COUNT.format(limit=MOST_MODELS), print_exception=False)
        return [_short(self._run(text, name, direction, beam, 1.0, "")) for name in models]

    def batch(
        self, texts: list[str], model: str = "", direction: str = "", beam: int = 5
    ) -> list[dict[str, Any]]:
        """Translate many sentences.

        Args:
            texts: at most 1,000 sentences.
            model: name of a model; empty for the first one.
            direction: source and target language, such as "fr-en"; empty for the model's first.
            beam: width of the beam search, 1 to 20.

        Returns:
            One row per sentence in order: translation, score, its least probable word, signs of
            trouble, and a message where it was not translated.
        """
        try:
            lines = _lines(texts)
            request = self._request("", model, direction, beam, 1.0, "")
            *_, last = translate_lines(self.service, request, lines)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        rows: list[dict[str, Any]] = last["rows"]
        return rows

    # --- Parts --------------------------------------------------------------------------------

    def _run(self, text: str, *settings: Any) -> Translation:
        try:
            request = self._request(text, *settings)
            *_, translation = self.service.translate(request, interval=_INTERVAL)
        except (ValueError, RuntimeError) as error:
            raise gr.Error(str(error), print_exception=False) from None
        return translation

    def _request(
        self,
        text: Any,
        model: Any,
        direction: Any,
        beam: Any,
        length_penalty: Any,
        prefix: Any,
    ) -> Request:
        for value in (text, model, direction, prefix):
            if not isinstance(value, str):
                raise RequestError(wording.NOT_TEXT.format(value=ascii(value)[:40]))
        text, model, direction, prefix = map(whole_characters, (text, model, direction, prefix))
        models = self.service.models
        name = model or next(iter(models), "")
        if not direction and name in models:
            direction = "-".join(models[name].directions[0])
        return Request(
            text=text,
            model=name,
            direction=direction,
            beam=int(SETTINGS["beam"].read(beam)),
            length_penalty=SETTINGS["length_penalty"].read(length_penalty),
            prefix=(prefix,) if prefix else (),
        )


def _lines(texts: Any) -> list[Line]:
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        raise RequestError(wording.BATCH_EMPTY)
    if len(texts) > MAX_LINES:
        raise RequestError(wording.BATCH_TOO_LONG.format(count=len(texts), limit=MAX_LINES))
    return [Line(number, whole_characters(text)) for number, text in enumerate(texts, start=1)]


def _short(translation: Translation) -> dict[str, Any]:
    words = zip(translation.target.words, translation.word_probabilities, strict=True)
    return {
        "model": translation.model.name,
        "text": translation.text,
        "score": translation.score,
        "log_probability": translation.log_probability,
        "words": [
            {"text": word.text, "probability": probability}
            for word, probability in words
            if not word.special
        ],
        "signs": [wording.SIGNS[sign.kind][0] for sign in diagnose(translation)],
        "milliseconds": 1000 * translation.timing.total,
    }
