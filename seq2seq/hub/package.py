"""A model folder that is to be uploaded: what belongs to it, and the card that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.config import ConfigError, read_json
from seq2seq.hub.card import license_of, with_metadata
from seq2seq.hub.errors import HubInputError
from seq2seq.hub.listing import (
    CARD,
    CONFIG,
    INDEX,
    Kind,
    kind_of,
    missing_from,
    needed,
    read_config,
    shards_in,
)

__all__ = ["Package", "read_package"]

_ASSETS = Path(__file__).resolve().parents[2] / "assets"


@dataclass(frozen=True, kw_only=True)
class Package:
    """What is about to be uploaded.

    Attributes:
        name: of the model.
        kind: of the model.
        files: all of it but the card.
        card: text of the card, with metadata.
    """

    name: str
    kind: Kind
    files: tuple[Path, ...]
    card: str

    @property
    def total_bytes(self) -> int:
        """Size of the files together."""
        return sum(path.stat().st_size for path in self.files)


def read_package(folder: Path, *, assets: Path = _ASSETS) -> Package:
    """Find out what belongs to a model folder.

    Args:
        folder: of one of our checkpoints, or of a Marian model.
        assets: where ``results/NAME.json`` has its scores and ``configs/NAME.json`` its data.

    Raises:
        HubInputError: it is no whole model, or it has no card that names a licence.
    """
    if not folder.is_dir():
        raise HubInputError(f"{folder}: is not a folder; give the folder of a checkpoint")
    names = {path.name for path in folder.iterdir() if path.is_file()}
    config = read_config(folder)
    kind = kind_of(config)
    if kind is None:
        raise HubInputError(
            f"{folder}: is not a checkpoint: its {CONFIG} is missing or of another kind of model"
        )
    files = needed(names, kind)
    shards = shards_in(folder) if INDEX in files else set()
    if shards is None:
        raise HubInputError(f"{folder / INDEX}: cannot be read; copy the whole checkpoint again")
    missing = missing_from(names, kind) or min(shards - set(files), default=None)
    if missing is not None:
        raise HubInputError(f"{folder / missing}: is missing; copy the whole checkpoint again")
    name = str(config.get("name") or folder.resolve().name)
    return Package(
        name=name,
        kind=kind,
        files=tuple(folder / file for file in files if file != CARD),
        card=_card(folder, name, kind, config, assets),
    )


def _card(folder: Path, name: str, kind: Kind, config: dict[str, Any], assets: Path) -> str:
    path = folder / CARD
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HubInputError(
            f"{path}: is missing; a model needs a card that says what it is and names its licence"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise HubInputError(f"{path}: cannot be read as UTF-8 text; correct it") from error
    try:
        if license_of(text) is None:
            raise HubInputError(
                f"{CARD}: names no licence; add 'license: cc-by-4.0', or whichever it is, between "
                "two lines --- at its top"
            )
        if kind == "marian":
            return with_metadata(text, name=name, library="transformers", tags=["marian"])
        experiment = _json(assets / "configs", name).get("data", {})
        return with_metadata(
            text,
            name=name,
            languages=config.get("languages", ()),
            datasets=sorted({file["path"].split("/")[0] for file in experiment.get("train", [])}),
            tags=["seq2seq", str(config.get("model", {}).get("architecture", "attention"))],
            results=_json(assets / "results", name),
        )
    except HubInputError as error:
        raise HubInputError(f"{folder / str(error)}") from error  # it begins with README.md


def _json(folder: Path, name: str) -> dict[str, Any]:
    """What is known here about a model of that name; empty for nothing."""
    try:
        return read_json(folder / f"{name}.json") if name.isprintable() and "/" not in name else {}
    except ConfigError:
        return {}
