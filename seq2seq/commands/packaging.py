"""From a training run to a checkpoint, and from a checkpoint to what other programs read."""

from __future__ import annotations

import argparse
import sys

from seq2seq.checkpoint import describe
from seq2seq.training.package import package as write_package

__all__ = ["export", "package"]


def package(options: argparse.Namespace) -> None:
    """A trained run to a checkpoint folder, or a checkpoint again."""
    info, parameters = write_package(
        options.run, options.folder, storage=options.storage, results=options.results
    )
    print(
        f"{options.folder}: {describe(info.model)}, {parameters:,} parameters in {info.storage}",
        file=sys.stderr,
    )


def export(options: argparse.Namespace) -> None:
    """A checkpoint to a folder for other programs."""
    from seq2seq.catalogue import locate  # noqa: PLC0415
    from seq2seq.formats import load_model  # noqa: PLC0415
    from seq2seq.marian.export import export_marian  # noqa: PLC0415

    export_marian(load_model(locate(options.model)), options.folder)
    print(options.folder)
