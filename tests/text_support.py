"""Real sample sentences and one small vocabulary learnt from them, for the tests of text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from seq2seq.text.moses_bpe import MosesBpe

LANGUAGES = ("en", "fr", "de", "zh")

_DATA = Path(__file__).parent / "data"


@cache
def sample(language: str) -> tuple[str, ...]:
    """150 sentences (450 in English) from Tatoeba."""
    files = ("fr", "de", "zh") if language == "en" else (language,)
    column = 0 if language == "en" else 1
    lines = [
        line
        for name in files
        for line in (_DATA / f"sample.en-{name}.tsv").read_text(encoding="utf-8").splitlines()
    ]
    return tuple(line.split("\t")[column] for line in lines)


@cache
def pipeline(*, target_tags: bool = False) -> MosesBpe:
    """One vocabulary for all four languages; characters seen twice are in it."""
    sentences = [(language, text) for language in LANGUAGES for text in sample(language)]
    return MosesBpe.train(
        sentences,
        languages=LANGUAGES,
        vocabulary_size=2000,
        target_tags=target_tags,
        minimum_character_count=2,
    )
