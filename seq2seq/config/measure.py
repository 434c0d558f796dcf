"""What models are measured on."""

from __future__ import annotations

from dataclasses import dataclass

from seq2seq.config.experiment import DataFile
from seq2seq.config.settings import Settings

__all__ = ["GoldFile", "MeasureConfig"]


@dataclass(frozen=True, kw_only=True)
class GoldFile(Settings):
    """Gold word alignments.

    Attributes:
        sentences: file of ``source ||| target`` lines.
        links: file of their links.
        languages: of source and target there; every model of one of the two directions is
            measured on it.
    """

    sentences: str
    links: str
    languages: tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class MeasureConfig(Settings):
    """Test files, relative to the data folder.

    Attributes:
        tests: pairs; a file is used in every direction that a model has and its columns hold.
        joined: paths of test files whose sentences are scored together by source length.
        alignments: gold files.
    """

    tests: tuple[DataFile, ...]
    joined: tuple[str, ...] = ()
    alignments: tuple[GoldFile, ...] = ()

    def __post_init__(self) -> None:
        self._require(len(self.tests) > 0, "tests", "a list of at least one file")
        known = {file.path for file in self.tests}
        self._require(set(self.joined) <= known, "joined", "among the tests")
