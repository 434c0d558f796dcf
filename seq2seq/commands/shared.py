"""What several commands need: arguments to settings, progress, output."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from seq2seq.config import Experiment, SamplingConfig

if TYPE_CHECKING:
    from seq2seq.translator import Translator

__all__ = [
    "InputError",
    "download_bar",
    "load_translator",
    "print_json",
    "progress_bar",
    "run_folder",
    "sampling_options",
    "search_options",
]


class InputError(ValueError):
    """Input or arguments that cannot be used; the message names file and line."""


def load_translator(options: argparse.Namespace, name: str | None = None) -> Translator:
    """The model that the arguments name, or another one, with a worker per processor."""
    from seq2seq.catalogue import locate  # noqa: PLC0415
    from seq2seq.translator import Translator  # noqa: PLC0415

    with download_bar() as progress:
        folder = locate(options.model if name is None else name, progress=progress)
    return Translator.load(
        str(folder),
        device=options.device,
        threads=options.threads,
        batch_tokens=options.batch_tokens,
        workers=_processors() if options.workers is None else options.workers,
    )


def _processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux; knows about containers and taskset
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def search_options(options: argparse.Namespace) -> dict[str, Any]:
    """Languages and search settings for :meth:`Translator.translate`."""
    keys = ("source", "target", "beam", "length_penalty", "max_length")
    return {key: getattr(options, key, None) for key in keys}


def sampling_options(options: argparse.Namespace) -> SamplingConfig | None:
    """How to draw instead of searching; None to search."""
    keys = ("temperature", "top_k", "top_p", "seed")
    given = {key: getattr(options, key) for key in keys if getattr(options, key) is not None}
    if options.sample:
        return SamplingConfig(**given)
    if given:
        raise InputError(f"--{min(given).replace('_', '-')} needs --sample")
    return None


def run_folder(options: argparse.Namespace, experiment: Experiment) -> Path:
    """Where ``prepare`` and ``train`` write."""
    return options.out if options.out is not None else Path("runs") / experiment.name


def print_json(value: dict[str, Any] | Sequence[Any]) -> None:
    """Write a value to stdout."""
    sys.stdout.buffer.write(json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n")


@contextmanager
def download_bar() -> Iterator[Callable[[int, int, str], None]]:
    """A bar in bytes on stderr if that is a terminal; it appears when something is downloaded."""
    silent = not sys.stderr.isatty()
    with tqdm(unit="B", unit_scale=True, file=sys.stderr, disable=silent, delay=0.2) as bar:

        def show(done: int, total: int, file: str) -> None:
            bar.total = total
            bar.set_description(file, refresh=False)
            bar.update(done - bar.n)

        yield show


@contextmanager
def progress_bar(unit: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr if that is a terminal."""
    with tqdm(total=total, unit=unit, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:

        def advance(count: int) -> None:
            bar.update(count)

        yield advance
