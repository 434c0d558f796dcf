"""How every event of the page is sent."""

from __future__ import annotations

from typing import Any

from seq2seq.ui.service import MAX_SENT

__all__ = ["EVENT", "FEW_USERS", "SEND_TEXT", "USERS"]

USERS = 32
"""Translations of one sentence that are under way at once. They have to be: those that wait for
the same model are decoded together, while gradio would let one wait for the other."""
FEW_USERS = 4
"""The same for what takes long: comparisons and batches."""

# gradio would check values against what this server remembers of the page, which is nothing after
# a restart or a long sleep, and answer with "Error". The handlers check them and answer in words.
EVENT: dict[str, Any] = {
    "preprocess": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}

# A request must stay below the server's limit to get a sentence as its answer; the box keeps all.
SEND_TEXT = f"(text, ...rest) => [(text || '').slice(0, {MAX_SENT}), ...rest]"
