"""Models from the Hugging Face Hub, and to it."""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from seq2seq import hub
from seq2seq.commands.shared import download_bar

__all__ = ["pull", "push"]


def pull(options: argparse.Namespace) -> None:
    """A model of the Hub to a folder, which is printed."""
    with download_bar() as progress:
        folder = hub.pull(
            options.repository, offline=options.offline, progress=progress, note=_note
        )
    print(folder)


def push(options: argparse.Namespace) -> None:
    """A model folder to the Hub; its name and commit are printed."""
    with download_bar() as progress:
        name = hub.push(
            options.folder,
            options.repository,
            private=options.private,
            message=options.message,
            replace_card=options.replace_card,
            progress=progress,
            note=_note,
        )
    print(name)


def _note(text: str) -> None:
    tqdm.write(f"seq2seq: {text}", file=sys.stderr)
