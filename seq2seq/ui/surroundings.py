"""Folders that can be written to, on a Space, in a container, below a read-only home."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

__all__ = ["settle"]

_CACHE_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")


def settle() -> None:
    """Choose folders for models of the Hub and for gradio's files; never fails.

    What the environment names stays, unless nothing can be written there. A cache that cannot be
    written but holds models stays as well: they can be used. Call this before gradio and
    huggingface_hub are imported, which look at their environment once.
    """
    cache = _hub_cache()
    if cache is None or not (_writable(cache) or _holds_models(cache)):
        _move(_CACHE_VARIABLES[0], "hub")
    if not _writable(_gradio_folder()):
        _move("GRADIO_TEMP_DIR", "gradio")


def _hub_cache() -> Path | None:
    """The cache folder by the rules of huggingface_hub; None if there is no home folder."""
    for name in _CACHE_VARIABLES:
        if chosen := os.environ.get(name):
            return _path(chosen)
    if home := os.environ.get("HF_HOME"):
        return _path(f"{home}/hub")
    return _path(f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface/hub")


def _gradio_folder() -> Path | None:
    if chosen := os.environ.get("GRADIO_TEMP_DIR"):
        return Path(chosen)
    try:
        return Path(tempfile.gettempdir()) / "gradio"
    except FileNotFoundError:
        return None


def _path(text: str) -> Path | None:
    try:
        return Path(os.path.expandvars(text)).expanduser()
    except RuntimeError:  # a user without a home folder, as containers have
        return None


def _writable(folder: Path | None) -> bool:
    """Whether files can be made in a folder, or it can be made itself."""
    if folder is None:
        return False
    try:
        nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    except OSError:  # a folder above it may not even be looked into
        return False


def _holds_models(folder: Path) -> bool:
    try:
        return any(folder.glob("models--*"))
    except OSError:
        return False


def _move(variable: str, name: str) -> None:
    """Let a variable name a folder among the temporary ones."""
    with contextlib.suppress(OSError):  # nothing at all can be written: the page translates still
        os.environ[variable] = str(_own_folder() / name)


def _own_folder() -> Path:
    """A folder that is the same at the next start, as long as nobody else has made it.

    Raises:
        OSError: there is no place for temporary files.
    """
    user = getattr(os, "getuid", int)()  # Windows has none
    folder = Path(tempfile.gettempdir()) / f"seq2seq-explorer-{user}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix="seq2seq-explorer-"))
