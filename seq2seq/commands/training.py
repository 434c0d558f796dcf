"""From text to a checkpoint."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seq2seq.commands.shared import InputError
from seq2seq.config import Experiment

__all__ = ["package", "prepare", "train"]


def prepare(options: argparse.Namespace) -> None:
    """Text to ids on disk."""
    from seq2seq.training.prepare import prepare as run  # noqa: PLC0415

    experiment = Experiment.read(options.config)
    run(experiment, data=options.data, out=_out(options, experiment))


def train(options: argparse.Namespace) -> None:
    """Train a model on prepared data."""
    from seq2seq.training.trainer import train as run  # noqa: PLC0415

    if options.minutes is not None and not options.minutes > 0:
        raise InputError(f"--minutes: {options.minutes} is not above 0")
    if options.threads is not None and options.threads < 1:
        raise InputError(f"--threads: {options.threads} is not above 0")
    experiment = Experiment.read(options.config)
    folder = _out(options, experiment)
    progress = run(
        experiment,
        folder=folder,
        minutes=options.minutes,
        resume=options.resume,
        threads=options.threads,
        device=options.device,
    )
    try:
        from seq2seq.ui.figures.loss_curve import write_loss_curve  # noqa: PLC0415
    except ImportError:  # a training machine without plotly
        print("plotly is not installed: no loss curve is drawn", file=sys.stderr)
    else:
        write_loss_curve(progress.curve, folder / "loss.html", title=experiment.name)


def package(options: argparse.Namespace) -> None:
    """A trained run to a checkpoint folder."""
    from seq2seq.training.package import package as run  # noqa: PLC0415

    run(options.run, options.folder, storage=options.storage, scores=options.scores)


def _out(options: argparse.Namespace, experiment: Experiment) -> Path:
    return options.out if options.out is not None else Path("runs") / experiment.name
