"""Which models can be loaded, and where a name leads."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.checkpoint import Checkpoint, CheckpointError, is_checkpoint, read_checkpoint
from seq2seq.formats import is_model

if TYPE_CHECKING:
    from seq2seq.hub.report import Progress

__all__ = [
    "FOLDER_VARIABLE",
    "ModelNotFoundError",
    "checkpoints_folder",
    "embedded",
    "embedded_folders",
    "is_repository",
    "locate",
]

FOLDER_VARIABLE = "SEQ2SEQ_CHECKPOINTS"


class ModelNotFoundError(ValueError):
    """A name that leads to no model; the message lists the ones that are there."""


def checkpoints_folder() -> Path:
    """Where the embedded checkpoints lie: ``SEQ2SEQ_CHECKPOINTS``, or beside the package."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen)
    return Path(__file__).resolve().parent.parent / "checkpoints"


def embedded_folders() -> dict[str, Path]:
    """Folders of the embedded checkpoints by name, whether or not they can be read."""
    root = checkpoints_folder()
    try:
        folders = sorted(root.iterdir()) if root.is_dir() else []
    except OSError:  # no folder that can be looked into
        folders = []
    return {folder.name: folder for folder in folders if is_checkpoint(folder)}


def embedded() -> dict[str, Checkpoint]:
    """All embedded checkpoints that can be read, by name; reads no weights."""
    found: dict[str, Checkpoint] = {}
    for name, folder in embedded_folders().items():
        try:
            found[name] = read_checkpoint(folder)
        except CheckpointError:
            continue  # a damaged one must not hide the others; loading it says what is wrong
    return found


def is_repository(name: str) -> bool:
    """Whether a name stands for a repository of the Hub: ``owner/name``, no model folder here."""
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        return False
    try:
        return not is_model(Path(name))
    except (OSError, ValueError):  # too long, or a NUL inside: no path at all
        return True


def locate(name: str, *, progress: Progress | None = None) -> Path:
    """The folder that an embedded name, a path or a repository of the Hub stands for.

    A repository, ``OWNER/NAME`` or ``OWNER/NAME@REVISION``, is taken from the Hub's cache if it is
    there, without asking the Hub whether there is a newer version; else it is downloaded. Where
    there is a folder ``OWNER``, a path is meant unless that model is in the cache already.

    Args:
        name: of a model.
        progress: called while a download goes on.

    Raises:
        ModelNotFoundError: nothing of that name is known.
        HubError: a repository that cannot be had.
    """
    known = embedded_folders()
    if name in known:
        return known[name]
    if is_repository(name) and not _means_a_path(name):
        from seq2seq import hub  # noqa: PLC0415  (its libraries take longer to load than a model)

        return hub.cached(name) or hub.pull(name, progress=progress)
    try:
        if name and Path(name).is_dir():
            return Path(name)
    except (OSError, ValueError):
        pass
    raise ModelNotFoundError(_explain(name, sorted(known)))


def _means_a_path(name: str) -> bool:
    """Whether ``a/b`` is plainly a path: ``a`` is a folder here, and no such model was pulled.

    With a revision it never is.
    """
    if "@" in name:
        return False
    try:
        if not Path(name.partition("/")[0]).is_dir():
            return False
    except (OSError, ValueError):  # too long, or a NUL inside: no path at all
        return False
    from seq2seq import hub  # noqa: PLC0415

    try:
        return hub.cached(name) is None
    except hub.HubInputError:  # nor a name that a repository can have
        return True


def _explain(name: str, known: list[str]) -> str:
    shown = name if len(name) <= 80 else name[:80] + "…"
    listing = ", ".join(known) if known else f"none in {checkpoints_folder()}"
    if is_repository(name):
        return (
            f"there is no model folder {shown!r}; embedded models: {listing}; if a model of the "
            f"Hugging Face Hub is meant, pull it first (python -m seq2seq pull {shown})"
        )
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        return f"there is no checkpoint folder {shown!r}; embedded models: {listing}"
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return (
        f"unknown model {shown!r}{hint} (embedded models: {listing}; or give a folder, or "
        "OWNER/NAME of the Hugging Face Hub)"
    )
