"""From text to training data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from seq2seq.commands.shared import (
    InputError,
    load_translator,
    progress_bar,
    run_folder,
    sampling_options,
    search_options,
)
from seq2seq.config import DataFile, Experiment, MeasureConfig, read_json
from seq2seq.training.augment import all_sentences, joined_pairs, plausible, sentences, write_pairs
from seq2seq.training.corpus import read_pairs
from seq2seq.training.overlap import shared_sentences
from seq2seq.training.prepare import prepare as write_dataset

__all__ = ["TrainingDataError", "backtranslate", "join", "overlap", "prepare"]


class TrainingDataError(RuntimeError):
    """Training data that is empty, or that would make scores worthless."""


def backtranslate(options: argparse.Namespace) -> None:
    """Translate text in one language into pairs for training the other way round."""
    if options.column < 1:
        raise InputError(f"--column: {options.column} is not above 0")
    translator = load_translator(options)
    source, target = translator.direction(options.source, options.target)
    column = options.column - 1
    held_out = all_sentences(options.without)
    texts = list(sentences(options.files, column=column, without=held_out))
    if not texts:
        raise InputError("no sentence is left to translate")
    settings = {**search_options(options), "source": source, "target": target}
    with progress_bar("sentence", len(texts)) as progress:
        made = translator.translate_many(
            texts, sample=sampling_options(options), progress=progress, **settings
        )
        count = _write(
            options.out,
            (
                (text, translation.text)
                for text, translation in zip(texts, made, strict=True)
                if plausible(text, translation.text) and translation.text not in held_out
            ),
            none="no translation is plausible; try a better model, or other sentences",
        )
    print(
        f"{options.out}: {count:,} pairs ({source}, {target}) of {len(texts):,} sentences",
        file=sys.stderr,
    )


def join(options: argparse.Namespace) -> None:
    """Pairs of two languages out of two files that have a third one in common."""
    files = [
        DataFile(path=str(path), columns=tuple(columns.split(",")))
        for path, columns in zip((options.first, options.second), options.columns, strict=True)
    ]
    pivots = set(files[0].columns) & set(files[1].columns)
    if len(pivots) != 1:
        raise InputError(
            f"{options.first} and {options.second} need exactly one language in common, "
            f"not {len(pivots)}"
        )
    (pivot,) = pivots
    ends = [next(code for code in file.columns if code != pivot) for file in files]
    held_out = all_sentences(options.without)
    apart = " outside the files of --without" if options.without else ""
    count = _write(
        options.out,
        (
            pair
            for pair in joined_pairs(
                *(
                    read_pairs(file, Path(), pivot, end)
                    for file, end in zip(files, ends, strict=True)
                )
            )
            if held_out.isdisjoint(pair)
        ),
        none=f"{options.first} and {options.second} have no sentence in {pivot!r} in "
        f"common{apart}; give files that share some, and name their columns in --columns",
    )
    print(f"{options.out}: {count:,} pairs ({', '.join(ends)})", file=sys.stderr)


def _write(path: Path, pairs: Iterator[tuple[str, str]], *, none: str) -> int:
    """Write pairs and count them; without a single one nothing is written, and ``none`` is said."""
    first = next(pairs, None)
    if first is None:
        raise TrainingDataError(none)
    return write_pairs(path, chain([first], pairs))


def overlap(options: argparse.Namespace) -> None:
    """Say which test sentences stand in training files; an error if there are any."""
    data = Experiment.read(options.config).data
    tests = MeasureConfig.from_dict(read_json(options.tests)).tests
    found = 0
    for one in shared_sentences(data, tests, options.data):
        found += one.sentences
        print(f"{one.train}\t{one.test}\t{one.language}\t{one.sentences}")
    if found:
        raise TrainingDataError(
            f"{options.config}: {found} test sentences stand in its training files"
        )


def prepare(options: argparse.Namespace) -> None:
    """Text to ids on disk."""
    experiment = Experiment.read(options.config)
    out = run_folder(options, experiment)
    report = write_dataset(experiment, data=options.data, out=out)
    print(
        f"{out / 'dataset'}: {report['train']:,} pairs to train on, "
        f"{sum(report['dev'].values()):,} to validate on, {report['vocabulary']:,} pieces",
        file=sys.stderr,
    )
