"""What was measured about models: the files that ``python -m seq2seq measure`` wrote."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.ui.panel import ASSETS

__all__ = ["Alignment", "HeadError", "LengthBin", "LengthCurve", "ModelResults", "TestScore",
           "load_results"]  # fmt: skip

_log = logging.getLogger(__name__)
_FOLDER = ASSETS / "results"


@dataclass(frozen=True)
class TestScore:
    """Scores on one test file."""

    file: str
    direction: tuple[str, str]
    sentences: int
    seconds: float
    bleu: float
    chrf: float
    ter: float
    failures: dict[str, int]


@dataclass(frozen=True)
class LengthBin:
    """Scores of the sentences whose source has ``first`` to ``last`` words (None: or more)."""

    first: int
    last: int | None
    sentences: int
    bleu: float | None

    @property
    def name(self) -> str:
        """``"6-10"``, ``"51+"``."""
        return f"{self.first}+" if self.last is None else f"{self.first}-{self.last}"


@dataclass(frozen=True)
class LengthCurve:
    """Bins of one direction in order."""

    direction: tuple[str, str]
    bins: tuple[LengthBin, ...]


@dataclass(frozen=True)
class HeadError:
    """Alignment error rates of one layer and head; None is the mean over that axis.

    See :class:`seq2seq.evaluation.heads.HeadScore`.
    """

    layer: int | None
    head: int | None
    reading: str
    error_rate: float
    relative_error_rate: float
    entropy: float


@dataclass(frozen=True)
class Alignment:
    """All heads of one direction on one gold file."""

    file: str
    direction: tuple[str, str]
    sentences: int
    best: HeadError
    best_relative: HeadError
    heads: tuple[HeadError, ...]


@dataclass(frozen=True)
class ModelResults:
    """All that is known about one model."""

    name: str
    architecture: str
    parameters: int
    tests: tuple[TestScore, ...]
    lengths: tuple[LengthCurve, ...]
    alignments: tuple[Alignment, ...]


def load_results(folder: Path = _FOLDER) -> list[ModelResults]:
    """Read every file, by name; one that cannot be read is logged and left out."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(_model(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("%s: cannot be read (%r)", path, error)
    return found


def _model(values: dict[str, Any]) -> ModelResults:
    return ModelResults(
        name=str(values["model"]["name"]),
        architecture=str(values["model"]["architecture"]),
        parameters=int(values["model"]["parameters"]),
        tests=tuple(map(_test, values["tests"])),
        lengths=tuple(_curves(values["lengths"])),
        alignments=tuple(_alignment(one) for one in values["alignments"] if "best" in one),
    )


def _direction(values: dict[str, Any]) -> tuple[str, str]:
    return (str(values["source"]), str(values["target"]))


def _test(values: dict[str, Any]) -> TestScore:
    return TestScore(
        file=str(values["settings"]["file"]),
        direction=_direction(values["settings"]),
        sentences=int(values["sentences"]),
        seconds=float(values["seconds"]),
        bleu=float(values["bleu"]),
        chrf=float(values["chrf"]),
        ter=float(values["ter"]),
        failures={str(name): int(count) for name, count in values["failures"].items()},
    )


def _curves(curves: list[dict[str, Any]]) -> Iterator[LengthCurve]:
    for curve in curves:
        bins = tuple(
            LengthBin(one["first"], one["last"], one["sentences"], one["bleu"])
            for one in curve["bins"]
        )
        yield LengthCurve(_direction(curve), bins)


def _alignment(values: dict[str, Any]) -> Alignment:
    return Alignment(
        file=str(values["file"]),
        direction=_direction(values),
        sentences=int(values["sentences"]),
        best=HeadError(**values["best"]),
        best_relative=HeadError(**values["best_relative"]),
        heads=tuple(HeadError(**one) for one in values["heads"]),
    )
