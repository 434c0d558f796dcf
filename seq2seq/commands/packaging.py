"""From a training run to a checkpoint."""

from __future__ import annotations

import argparse

from seq2seq.training.package import package as write_package

__all__ = ["package"]


def package(options: argparse.Namespace) -> None:
    """A trained run to a checkpoint folder."""
    write_package(options.run, options.folder, storage=options.storage, results=options.results)
