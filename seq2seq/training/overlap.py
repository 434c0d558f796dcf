"""Whether a test set is one: none of its sentences may stand in the training text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2seq.config import DataConfig, DataFile
from seq2seq.training.corpus import find_folder, read_pairs

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
    for file in data.train:
        for language, sentences in _columns(file, folders).items():
            for test, columns in held_out:
                if language in columns:
                    shared = len(sentences & columns[language])
                    yield SharedSentences(file.path, test.path, language, shared)


def _columns(file: DataFile, folders: Sequence[Path]) -> dict[str, set[str]]:
    folder = find_folder(file.path, folders)
    found: dict[str, set[str]] = {language: set() for language in file.columns}
    first, *others = file.columns
    for other in others:
        for left, right in read_pairs(file, folder, first, other):
            found[first].add(left)
            found[other].add(right)
    return found
