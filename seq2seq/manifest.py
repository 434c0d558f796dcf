"""``config.json`` of a checkpoint: what has to be said about its model, and no text library."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from seq2seq.config import ConfigError, ModelConfig, SearchConfig, Settings, read_json
from seq2seq.stored import CheckpointError

__all__ = [
    "CONFIG",
    "FORMAT_VERSION",
    "AttentionChoice",
    "Checkpoint",
    "CheckpointInfo",
    "is_checkpoint",
    "read_checkpoint",
]

CONFIG = "config.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class AttentionChoice(Settings):
    """The attention map that is shown first: the one with the lowest alignment error.

    Attributes:
        layer, head: counted from 0; None means the mean over that axis.
    """

    layer: int | None = None
    head: int | None = None

    def __post_init__(self) -> None:
        self._require(self.layer is None or self.layer >= 0, "layer", "at least 0")
        self._require(self.head is None or self.head >= 0, "head", "at least 0")


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo(Settings):
    """What has to be said about a checkpoint beside its model.

    Attributes:
        name: for people, normally the folder's name.
        text: the text pipeline; ``moses-bpe`` is :class:`seq2seq.text.moses_bpe.MosesBpe`,
            ``marian`` is :class:`seq2seq.text.sentence_pieces.MarianText`.
        languages: codes that it can encode and decode.
        target_tags: the source begins with a piece that names the target language.
        directions: pairs of source and target language.
        search: settings tuned on the development set; the defaults of a translation.
        attention_default: shown first; None for the mean over everything, or no attention.
    """

    name: str
    text: Literal["moses-bpe", "marian"] = "moses-bpe"
    languages: tuple[str, ...]
    target_tags: bool = False
    directions: tuple[tuple[str, str], ...]
    search: SearchConfig = field(default_factory=SearchConfig)
    attention_default: AttentionChoice | None = None

    def __post_init__(self) -> None:
        self._require(self.name.strip() != "", "name", "a name")
        self._require(len(self.languages) > 0, "languages", "a list of at least one code")
        unique = len(set(self.languages)) == len(self.languages)
        self._require(unique, "languages", "a list without repetitions")
        self._require(len(self.directions) > 0, "directions", "a list of at least one pair")
        known = set(self.languages)
        for pair in self.directions:
            self._require(known.issuperset(pair), "directions", "among the languages")
            self._require(pair[0] != pair[1], "directions", "between two different languages")
        self._require(self.search.sampling is None, "search", "free of sampling")


@dataclass(frozen=True, kw_only=True)
class Checkpoint(CheckpointInfo):
    """All that ``config.json`` says.

    Attributes:
        format_version: of the folder's layout.
        model: architecture and sizes.
        storage: number format of the weights on disk.
    """

    format_version: int = FORMAT_VERSION
    model: ModelConfig
    storage: Literal["fp32", "fp16", "int8"]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.format_version == FORMAT_VERSION, "format_version", str(FORMAT_VERSION))


def is_checkpoint(folder: Path) -> bool:
    """Whether ``folder`` has a ``config.json`` that calls itself one of ours."""
    try:
        return "format_version" in read_json(folder / CONFIG)
    except ConfigError:
        return False


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read ``config.json`` alone, without loading any weights.

    Raises:
        CheckpointError: there is none, or it cannot be used.
    """
    path = folder / CONFIG
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: is not a folder; give the folder of a checkpoint")
    if not path.is_file():
        raise CheckpointError(f"{path}: is missing, so {folder} is not a checkpoint")
    try:
        values = read_json(path)
        version = values.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: format version {version} is newer than this program reads "
                f"({FORMAT_VERSION}); update the program"
            )
        if version is None:
            raise CheckpointError(f"{path}: has no 'format_version', so it is not a checkpoint")
        return Checkpoint.from_dict(values)
    except ConfigError as error:
        text = str(error)
        raise CheckpointError(text if str(path) in text else f"{path}: {text}") from error
