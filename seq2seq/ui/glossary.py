"""Terms of the field, explained where they occur."""

from __future__ import annotations

import re
from html import escape

from seq2seq.ui import wording

__all__ = ["explained"]


def explained(text: str) -> str:
    """``text`` as a paragraph of HTML in which the first use of every term tells what it means.

    The explanation shows when the term is pointed at, or reached with the Tab key.
    """
    terms = sorted(wording.GLOSSARY, key=len, reverse=True)
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, terms))})\b", re.IGNORECASE)
    seen: set[str] = set()

    def mark(found: re.Match[str]) -> str:
        term = next(name for name in terms if name.lower() == found[0].lower())
        if term in seen:
            return escape(found[0])
        seen.add(term)
        meaning = escape(wording.GLOSSARY[term], quote=True)
        label = f"{escape(found[0], quote=True)}: {meaning}"
        return (
            f'<span class="term" tabindex="0" role="note" aria-label="{label}" '
            f'data-meaning="{meaning}">{escape(found[0])}</span>'
        )

    parts, place = [], 0
    for found in pattern.finditer(text):
        parts += [escape(text[place : found.start()]), mark(found)]
        place = found.end()
    inside = "".join([*parts, escape(text[place:])])
    return f'<p data-text="{escape(text, quote=True)}">{inside}</p>'
