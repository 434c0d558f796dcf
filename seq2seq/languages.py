"""Names, codes and writing directions of languages (CLDR and ISO 639, by langcodes).

Models name their languages in many ways: ``de``, ``deu``, ``pt_br``, ``cmn_Hans``. Here each has
one code, the shortest of BCP 47, so that models can be compared and people asked.
"""

from __future__ import annotations

import re
from functools import cache

import langcodes

__all__ = ["is_group", "is_language", "language_name", "standard_code", "writes_right_to_left"]

_CODE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")
_RIGHT_TO_LEFT = frozenset({
    "Adlm", "Arab", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi",
})  # fmt: skip


@cache
def standard_code(code: str) -> str:
    """The shortest BCP 47 code of the same language: ``deu`` gives ``de``, ``pt_br`` ``pt-BR``.

    What is no code comes back in lower case.
    """
    if not _CODE.fullmatch(code):
        return code.lower()
    try:
        tag = str(langcodes.standardize_tag(code))
    except ValueError:
        return code.lower()
    return re.sub(r"^cmn\b", "zh", tag)  # Mandarin, which everybody else calls Chinese


@cache
def is_language(code: str) -> bool:
    """Whether a code stands for one language, not for a group of them and not for nothing."""
    return _known(code) and not is_group(code)


@cache
def is_group(code: str) -> bool:
    """Whether a code stands for several languages: ``mul``, ``roa`` (Romance languages)."""
    return code == "mul" or (_known(code) and language_name(code).endswith(" languages"))


@cache
def language_name(code: str, *, among: str = "en") -> str:
    """What a language is called in the language ``among``; the code itself if nobody knows."""
    if not _known(code):
        return code
    name = str(langcodes.Language.get(code).display_name(among))
    return code if name.startswith("Unknown") else name


@cache
def writes_right_to_left(code: str) -> bool:
    """Whether the language's usual script runs from right to left."""
    if not _known(code):
        return False
    return langcodes.Language.get(code).maximize().script in _RIGHT_TO_LEFT


def _known(code: str) -> bool:
    return bool(_CODE.fullmatch(code)) and bool(langcodes.tag_is_valid(code))
