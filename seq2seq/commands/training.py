"""Training on prepared data. Needs no text library: it may run on a machine that has none."""

from __future__ import annotations

import argparse
import sys

from seq2seq.commands.shared import InputError, run_folder
from seq2seq.config import Experiment
from seq2seq.training.trainer import train as run_training

__all__ = ["train"]


def train(options: argparse.Namespace) -> None:
    """Train a model on prepared data."""
    if options.minutes is not None and not options.minutes > 0:
        raise InputError(f"--minutes: {options.minutes} is not above 0")
    if options.threads is not None and options.threads < 1:
        raise InputError(f"--threads: {options.threads} is not above 0")
    experiment = Experiment.read(options.config)
    folder = run_folder(options, experiment)
    progress = run_training(
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
