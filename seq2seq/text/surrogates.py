"""Halves of characters: a browser or JSON can send them, no encoding can write them."""

from __future__ import annotations

__all__ = ["whole_characters"]


def whole_characters(text: str) -> str:
    """``text`` with every lone surrogate as U+FFFD, so that it can be stored and sent."""
    if text.isascii():
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text if whole == text else whole  # hundreds of thousands of pieces are held once
