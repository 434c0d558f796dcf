"""What is asked of a translator, checked and encoded before the model runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq.config import ConfigError, SamplingConfig, SearchConfig
from seq2seq.text.encoding import Encoding, TextPipeline

__all__ = [
    "MAX_CHARACTERS",
    "MAX_PIECES",
    "BusyError",
    "Job",
    "Prefix",
    "Reader",
    "Request",
    "TextTooLongError",
    "TranslatorError",
    "checked",
    "choose_direction",
    "search_settings",
]

MAX_CHARACTERS = 5000
"""Longest text of one call, in characters."""
MAX_PIECES = 256
"""Longest text of one call, in pieces of the model's vocabulary, end-of-sentence included."""


_SHOWN = 30  # languages or directions that a message lists
Prefix = str | Sequence[int | str]
"""What a translation has to begin with: text, or ids of pieces and texts in their order."""


class TranslatorError(ValueError):
    """A request that cannot be served; one line names the culprit and what is accepted."""


class BusyError(TranslatorError):
    """Too many requests at once; the same one can succeed later."""


class TextTooLongError(TranslatorError):
    """A text beyond the limit that the message states; nothing is ever cut silently.

    Attributes:
        index: which text of a list it was, counted from 0.
    """

    def __init__(self, message: str, *, index: int) -> None:
        super().__init__(message)
        self.index = index


@dataclass(frozen=True)
class Request:
    """What is the same for all texts of one call.

    Attributes:
        source, target: languages.
        config: how to search.
        trace, attention: what to keep.
    """

    source: str
    target: str
    config: SearchConfig
    trace: bool
    attention: bool


@dataclass(frozen=True)
class Job:
    """One text, ready for the model.

    Attributes:
        index: its place in the list that was asked for.
        source: the encoded text.
        prefix: target ids that the translation begins with.
        blank: there is nothing to translate.
        seconds: spent on encoding.
    """

    index: int
    source: Encoding
    prefix: tuple[int, ...]
    blank: bool
    seconds: float


def choose_direction(
    directions: Sequence[tuple[str, str]], *, source: str | None, target: str | None, name: str
) -> tuple[str, str]:
    """The one direction that fits what is given.

    Raises:
        TranslatorError: an unknown language, no direction that fits, or several; says which
            there are and names the model.
    """
    for role, code, side in (("source", source, 0), ("target", target, 1)):
        known = sorted({pair[side] for pair in directions})
        if code is not None and code not in known:
            shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
            raise TranslatorError(f"{name}: {role} language {code!r} is not one of {shown}")
    listing = ", ".join(f"{a}-{b}" for a, b in directions[:_SHOWN])
    listing += ", …" if len(directions) > _SHOWN else ""
    fitting = [
        pair for pair in directions if source in (None, pair[0]) and target in (None, pair[1])
    ]
    if not fitting:
        raise TranslatorError(f"{name}: does not translate {source} to {target}, only {listing}")
    if len(fitting) > 1:
        raise TranslatorError(
            f"{name}: source and target language are needed to choose among {listing}"
        )
    return fitting[0]


def checked(config: SearchConfig) -> SearchConfig:
    """The same settings; a program may have made them of anything.

    Raises:
        ConfigError: a value of a wrong type.
    """
    return SearchConfig.from_dict(config.to_dict())


def search_settings(
    base: SearchConfig,
    *,
    beam: int | None = None,
    length_penalty: float | None = None,
    max_length: int | None = None,
    n_best: int | None = None,
    sample: SamplingConfig | None = None,
) -> SearchConfig:
    """``base`` with everything that is not None in its place; sampling sets the beam to 1.

    Args:
        base: as :func:`checked` gives it.

    Raises:
        ConfigError: a value out of range, or sampling with a beam.
    """
    if sample is not None:
        if beam not in (None, 1):
            raise ConfigError(f"beam: sampling needs beam 1, not {beam}")
        beam = 1
    drawing = sample.to_dict() if isinstance(sample, SamplingConfig) else sample
    values = {
        "sampling": drawing,
        "beam": beam,
        "length_penalty": length_penalty,
        "max_length": max_length,
        "n_best": n_best,
    }
    given = {key: value for key, value in values.items() if value is not None}
    return base.changed(**given) if given else base


@dataclass(frozen=True)
class Reader:
    """Encodes texts within the limits.

    Attributes:
        text: the model's text pipeline.
        max_pieces: most pieces of a source text, or of a target with its prefix.
    """

    text: TextPipeline
    max_pieces: int = MAX_PIECES

    def job(self, text: str, *, prefix: Prefix | None, request: Request, index: int = 0) -> Job:
        """One text.

        Raises:
            TextTooLongError: the text or the prefix is beyond a limit.
            TranslatorError: not a string, or a prefix that is none.
        """
        started = time.perf_counter()
        self._check_text("text", text, index)
        source = self.text.encode(text, language=request.source, target_language=request.target)
        forced = self._forced(prefix, request.target, index)
        for what, pieces in (("text", len(source.pieces)), ("prefix", len(forced) + 1)):
            if pieces > self.max_pieces:
                raise TextTooLongError(
                    f"the {what} has {pieces} pieces for the model, at most {self.max_pieces} are "
                    "translated at once; give it in parts",
                    index=index,
                )
        blank = all(word.special for word in source.words)
        return Job(index, source, forced, blank, time.perf_counter() - started)

    def _check_text(self, what: str, value: object, index: int) -> None:
        if not isinstance(value, str):
            raise TranslatorError(
                f"{what} number {index + 1} is a {type(value).__name__}, not a str"
            )
        if len(value) > MAX_CHARACTERS:
            raise TextTooLongError(
                f"the {what} has {len(value)} characters, at most {MAX_CHARACTERS} are "
                "translated at once; give it in parts",
                index=index,
            )

    def _forced(self, prefix: Prefix | None, language: str, index: int) -> tuple[int, ...]:
        """Ids of a prefix. Ids that it holds are taken as they are; only the last may end it."""
        forced: list[int] = []
        if not isinstance(prefix, str | Sequence | None):
            raise TranslatorError(f"the prefix is a {type(prefix).__name__}, no text and no list")
        parts = [prefix] if isinstance(prefix, str) else list(prefix or ())
        for place, part in enumerate(parts, start=1):
            if type(part) is int:
                never = {self.text.pad_id, self.text.bos_id}
                if place < len(parts):
                    never.add(self.text.eos_id)
                if part in never or not 0 <= part < self.text.vocabulary_size:
                    raise TranslatorError(
                        f"the prefix holds id {part} at place {place}, where no translation has it"
                    )
                forced.append(part)
            else:
                self._check_text("prefix", part, index)
                text = str(part)
                whole = text != text.rstrip()
                forced += self.text.encode_prefix(text, language=language, complete=whole)
        return tuple(forced)

    def jobs(
        self,
        texts: Sequence[str],
        *,
        prefix: str | Sequence[Prefix | None] | None,
        request: Request,
    ) -> list[Job]:
        """Many texts; one prefix for all, or one each. Raises as :meth:`job`."""
        prefixes: Sequence[Prefix | None]
        if prefix is None or isinstance(prefix, str):
            prefixes = [prefix] * len(texts)
        elif len(prefix) != len(texts):
            raise TranslatorError(f"there are {len(prefix)} prefixes for {len(texts)} texts")
        else:
            prefixes = prefix
        return [
            self.job(text, prefix=start, request=request, index=index)
            for index, (text, start) in enumerate(zip(texts, prefixes, strict=True))
        ]
