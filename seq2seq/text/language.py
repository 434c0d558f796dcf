"""Which language a text is written in, by its letters (py3langid; Lui and Baldwin 2012)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cache
from typing import Any

from py3langid.langid import MODEL_FILE, LanguageIdentifier

__all__ = ["guess_language", "recognises"]


def guess_language(text: str, *, among: Sequence[str]) -> str:
    """The most probable of some languages; one word alone is often guessed wrongly.

    Args:
        text: a sentence.
        among: codes to choose from, at least one.
    """
    code: str = _identifier(tuple(sorted(among))).classify(text)[0]
    return code


def recognises(language: str) -> bool:
    """Whether texts in a language can be told from others."""
    return language in _classes()


@cache
def _classes() -> frozenset[str]:
    return frozenset(_everything().nb_classes)


@cache
def _everything() -> Any:
    """The identifier of all languages; unpacking its file takes half a second."""
    return LanguageIdentifier.from_model_file(MODEL_FILE)


@cache
def _identifier(languages: tuple[str, ...]) -> Any:
    # Each choice of languages has an identifier of its own, so threads never change another's;
    # they share the large tables, which are only read.
    identifier = copy(_everything())
    identifier.set_languages(list(languages))
    return identifier
