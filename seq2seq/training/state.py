"""The state of a training on disk, so that a killed run goes on as if nothing had happened.

A state is a folder ``state-STEP`` with all tensors and the progress; it is written under a
temporary name and renamed, so the newest complete one can always be resumed from.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from seq2seq.config import ConfigError
from seq2seq.files import new_folder, write_json

__all__ = ["latest_state", "load_state", "save_state"]


def save_state(folder: Path, step: int, tensors: dict[str, Tensor], progress: Any) -> None:
    """Write a state and remove the older ones.

    Args:
        folder: of the run.
        step: updates done.
        tensors: by name.
        progress: plain JSON types.
    """
    final = folder / f"state-{step:09d}"
    with new_folder(final) as temporary:
        plain = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
        save_file(plain, temporary / "tensors.safetensors")
        write_json(temporary / "progress.json", progress)
    for old in folder.glob("state-*"):
        if old != final:
            shutil.rmtree(old, ignore_errors=True)


def latest_state(folder: Path) -> Path | None:
    """The newest complete state of a run, or None."""
    return max(folder.glob("state-*"), default=None)


def load_state(state: Path) -> tuple[dict[str, Tensor], Any]:
    """Read tensors and progress back; raises :class:`ConfigError` if they are damaged."""
    try:
        tensors = load_file(state / "tensors.safetensors")
        progress = json.loads((state / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigError(
            f"{state}: damaged training state ({error}); delete the folder to start anew"
        ) from error
    return tensors, progress
