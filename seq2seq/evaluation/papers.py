"""Text in the form that the papers on Multi30k score."""

from __future__ import annotations

from collections.abc import Iterable

from sacremoses import MosesPunctNormalizer, MosesTokenizer

__all__ = ["lowercased_tokenised"]


def lowercased_tokenised(texts: Iterable[str], *, language: str) -> list[str]:
    """Lower-case, normalise punctuation and tokenise, as the files ``lc.norm.tok`` were made.

    Quotes and apostrophes come out as entities, as Moses writes them.
    """
    normalise = MosesPunctNormalizer(lang=language).normalize
    tokenise = MosesTokenizer(lang=language).tokenize
    return [
        tokenise(normalise(text.lower()), return_str=True, escape=True) if text.strip() else ""
        for text in texts
    ]
