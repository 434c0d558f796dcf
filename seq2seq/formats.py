"""Model folders of either kind: our own checkpoints, and Marian's as the Hub keeps them."""

from __future__ import annotations

from pathlib import Path

from seq2seq.checkpoint import (
    Checkpoint,
    LoadedCheckpoint,
    is_checkpoint,
    load_checkpoint,
    read_checkpoint,
)

__all__ = ["folder_name", "is_model", "load_model", "read_model"]


def folder_name(folder: Path) -> str:
    """What a model is called: its repository's id inside the Hub's cache, else its folder's name.

    The cache keeps ``owner/name`` in ``models--owner--name/snapshots/<commit>``.
    """
    repository = folder.parent.parent.name
    if folder.parent.name == "snapshots" and repository.startswith("models--"):
        return repository.removeprefix("models--").replace("--", "/", 1)
    return folder.resolve().name


def is_model(folder: Path) -> bool:
    """Whether a folder's ``config.json`` calls it a model that can be read."""
    from seq2seq.marian.settings import is_marian  # noqa: PLC0415  (needed by few)

    return is_checkpoint(folder) or is_marian(folder)


def read_model(folder: Path) -> Checkpoint:
    """What a model's ``config.json`` says, without loading any weights.

    Raises:
        CheckpointError: there is none, or it cannot be used.
    """
    from seq2seq.marian.settings import is_marian  # noqa: PLC0415

    if is_marian(folder):
        from seq2seq.marian.folder import read_marian  # noqa: PLC0415

        return read_marian(folder, name=folder_name(folder))
    return read_checkpoint(folder)


def load_model(folder: Path, *, whole: bool = True) -> LoadedCheckpoint:
    """Read a model.

    Args:
        folder: of the model.
        whole: read the weights at once; see :func:`load_checkpoint`.

    Raises:
        CheckpointError: anything is missing, damaged, unsafe or does not fit together.
    """
    from seq2seq.marian.settings import is_marian  # noqa: PLC0415

    if is_marian(folder):
        from seq2seq.marian.folder import load_marian  # noqa: PLC0415

        return load_marian(folder, name=folder_name(folder), whole=whole)
    return load_checkpoint(folder, whole=whole)
