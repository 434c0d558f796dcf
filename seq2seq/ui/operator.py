"""What whoever runs the page decides about models, by environment variables."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, cast, get_args

from seq2seq.hub import HubError, RepositoryId
from seq2seq.ui.panel import ASSETS

__all__ = ["NO_HUB", "HubUse", "Listed", "Operator", "OperatorError"]

_MEBIBYTE = 2**20
_DIRECTION = re.compile("([a-z]{2,8})-([a-z]{2,8}(?:-[A-Za-z0-9]{1,8})*)")
HubUse = Literal["any", "listed", "off"]


class OperatorError(ValueError):
    """A variable or file of the operator that cannot be followed; names it."""


@dataclass(frozen=True)
class Listed:
    """A model of the Hub that the page offers before it is here.

    Attributes:
        id: ``owner/name`` or ``owner/name@revision``.
        directions: what its name or card says that it translates.
    """

    id: str
    directions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Settings of the page.

    Attributes:
        models: repositories of the Hub that take the place of the embedded models.
        hub: which other models of the Hub can be used: ``any`` that somebody types in, the
            ``listed`` ones, or none.
        listed: those that are offered.
        memory_bytes: of all models in memory together.
        download_bytes: largest model that is downloaded.
    """

    models: tuple[str, ...] = ()
    hub: HubUse = "any"
    listed: tuple[Listed, ...] = field(default=())
    memory_bytes: int = 2048 * _MEBIBYTE
    download_bytes: int = 1024 * _MEBIBYTE

    @classmethod
    def from_environment(cls) -> Self:
        """Read ``SEQ2SEQ_MODELS``, ``SEQ2SEQ_HUB``, ``SEQ2SEQ_HUB_LIST`` and the two limits.

        Raises:
            OperatorError: a value that cannot be followed.
        """
        hub = os.environ.get("SEQ2SEQ_HUB", "").strip().lower() or "any"
        if hub not in get_args(HubUse):
            known = ", ".join(get_args(HubUse))
            raise OperatorError(f"SEQ2SEQ_HUB is {hub[:40]!r}; it must be one of {known}")
        names = os.environ.get("SEQ2SEQ_MODELS", "").replace(",", " ").split()
        try:
            models = tuple(str(RepositoryId.parse(name)) for name in names)
        except HubError as error:
            raise OperatorError(f"SEQ2SEQ_MODELS: {error}") from error
        path = Path(os.environ.get("SEQ2SEQ_HUB_LIST") or ASSETS / "hub_models.json")
        return cls(
            models=models,
            hub=cast(HubUse, hub),
            listed=() if hub == "off" else _read_list(path),
            memory_bytes=_mebibytes("SEQ2SEQ_MEMORY_MB", 2048),
            download_bytes=_mebibytes("SEQ2SEQ_DOWNLOAD_MB", 1024),
        )


NO_HUB = Operator(hub="off")
"""Embedded models alone."""


def _mebibytes(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip() or str(default)
    if not re.fullmatch("[0-9]{1,7}", text) or int(text) < 1:
        raise OperatorError(f"{variable} is {text[:40]!r}; it must be a number of MiB")
    return int(text) * _MEBIBYTE


def _read_list(path: Path) -> tuple[Listed, ...]:
    """``[{"id": "owner/name", "directions": ["en-de"]}]``."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, list):
            raise TypeError
        listed = {}
        for entry in values:
            name = str(RepositoryId.parse(entry["id"]))
            listed[name] = Listed(name, _pairs(entry["directions"]))
        return tuple(listed.values())
    except OSError as error:
        raise OperatorError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OperatorError(
            f"{path}: must hold a list of models like "
            '{"id": "Helsinki-NLP/opus-mt-en-de", "directions": ["en-de"]}'
        ) from error


def _pairs(directions: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(directions, list) or not directions:
        raise TypeError
    pairs = []
    for direction in directions:
        found = _DIRECTION.fullmatch(direction)
        if found is None:
            raise ValueError
        pairs.append((found[1], found[2]))
    return tuple(pairs)
