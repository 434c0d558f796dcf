"""Seq2Seq Explorer: translate a sentence and see how.

``Translator`` and ``Translation`` are imported on first use, so that ``import seq2seq`` and
``python -m seq2seq --help`` do not wait for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seq2seq.translation import Translation
    from seq2seq.translator import Translator

__all__ = ["Translation", "Translator"]


def __getattr__(name: str) -> object:
    if name == "Translator":
        from seq2seq.translator import Translator  # noqa: PLC0415

        return Translator
    if name == "Translation":
        from seq2seq.translation import Translation  # noqa: PLC0415

        return Translation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
