"""Whether a test set is one: none of its sentences may stand in the training text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from seq2seq.config import DataConfig, DataFile
from seq2seq.training.corpus import find_folder, read_pairs, read_text

__all__ = ["SharedSentences", "shared_sentences"]


@dataclass(frozen=True)
class SharedSentences:
    """How many different sentences of one language a training and a test file share."""

    train: str
    test: str
    language: str
    sentences: int


def shared_sentences(
    data: DataConfig, tests: Sequence[DataFile], folders: Sequence[Path]
) -> Iterator[SharedSentences]:
    """Compare every column of every training file with those of the same language in the tests.

    Yields one item per training file, test file and language in common.

    Raises:
        ConfigError: a file cannot be read.
    """
    held_out = [(file, _columns(file, folders)) for file in tests]
    pairs = ((file.path, _columns(file, folders)) for file in data.train)
    text = (
        (file.path, {file.language: set(read_text(file, find_folder(file.path, folders)))})
        for file in data.repair
    )
    for path, found in chain(pairs, text):
        for language, sentences in found.items():
            for test, columns in held_out:
                if language in columns:
                    shared = len(sentences & columns[language])
                    yield SharedSentences(path, test.path, language, shared)


def _columns(file: DataFile, folders: Sequence[Path]) -> dict[str, set[str]]:
    folder = find_folder(file.path, folders)
    found: dict[str, set[str]] = {language: set() for language in file.columns}
    first, *others = file.columns
    for other in others:
        for left, right in read_pairs(file, folder, first, other):
            found[first].add(left)
            found[other].add(right)
    return found
