"""What the commands of the command line do. Errors are raised; :mod:`seq2seq.cli` reports them."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from seq2seq.catalogue import checkpoints_folder, embedded_folders
from seq2seq.checkpoint import CheckpointError, describe, read_checkpoint
from seq2seq.config import DataFile, Experiment, SamplingConfig
from seq2seq.translation import Translation
from seq2seq.translator import MAX_CHARACTERS, TextTooLongError, Translator
from seq2seq.weights import count_parameters

__all__ = ["InputError", "evaluate", "models", "package", "prepare", "train", "translate"]


_LONGEST_LINE = 4 * MAX_CHARACTERS + 10  # bytes: UTF-8 needs at most 4 a character


class InputError(ValueError):
    """Input or arguments that cannot be used; the message names file and line."""


def models(options: argparse.Namespace) -> None:
    """List the embedded checkpoints; a damaged one is named on stderr."""
    listing: list[dict[str, Any]] = []
    for name, folder in embedded_folders().items():
        try:
            info = read_checkpoint(folder)
        except CheckpointError as error:
            print(f"seq2seq: warning: {error}", file=sys.stderr)
            continue
        listing.append(
            {
                "name": name,
                "directions": [f"{source}-{target}" for source, target in info.directions],
                "architecture": describe(info.model),
                "parameters": count_parameters(folder, info.model),
                "folder": str(folder),
            }
        )
    if options.json:
        _print_json(listing)
        return
    if not listing:
        print(f"seq2seq: no models in {checkpoints_folder()}", file=sys.stderr)
    width = max((len(model["name"]) for model in listing), default=0)
    for model in listing:
        directions = ", ".join(model["directions"])
        print(
            f"{model['name']:{width}}  {directions}  {model['parameters'] / 1e6:.1f} M parameters  "
            f"{model['architecture']}"
        )


def translate(options: argparse.Namespace) -> None:
    """Lines from stdin to stdout, in order, in bounded memory."""
    if options.trace and not options.json:
        raise InputError("--trace needs --json: a line of text cannot hold it")
    sample = _sampling(options)
    translator = _translator(options)
    interactive = sys.stdin.isatty()
    chunk = 1 if interactive else 100 if options.json else 2000
    with _progress("line", None) as progress:
        translations = translator.translate_many(
            _lines(sys.stdin.buffer),
            n_best=options.n_best,
            sample=sample,
            trace=options.trace,
            attention=options.json,
            chunk=chunk,
            progress=progress,
            **_settings(options),
        )
        write = sys.stdout.buffer.write
        try:
            for translation in translations:
                write(_line(translation, as_json=options.json).encode("utf-8") + b"\n")
                if interactive:
                    sys.stdout.buffer.flush()
        except TextTooLongError as error:
            raise InputError(f"standard input: line {error.index + 1}: {error}") from error


def evaluate(options: argparse.Namespace) -> None:
    """Translate one column of a file and score it against another; prints one JSON object."""
    from seq2seq.evaluation.metrics import TOKENIZERS, score  # noqa: PLC0415

    if options.tokenize is not None and options.tokenize not in TOKENIZERS:
        raise InputError(f"--tokenize: {options.tokenize!r} is not one of {', '.join(TOKENIZERS)}")
    translator = _translator(options)
    source, target = translator.direction(options.source, options.target)
    pairs = _read_pairs(options, source, target)
    started = time.perf_counter()
    with _progress("sentence", len(pairs)) as progress:
        try:
            found = list(
                translator.translate_many(
                    [pair[0] for pair in pairs], progress=progress, **_settings(options)
                )
            )
        except TextTooLongError as error:
            raise InputError(f"{options.file}: line {error.index + 1}: {error}") from error
    seconds = time.perf_counter() - started
    scores = score(
        [translation.text for translation in found],
        [pair[1] for pair in pairs],
        target_language=target,
        tokenize=options.tokenize,
        bootstrap_samples=options.bootstrap_samples,
    )
    metrics = {"bleu": scores.bleu, "chrf": scores.chrf, "ter": scores.ter}
    result: dict[str, Any] = {name: round(value.value, 2) for name, value in metrics.items()}
    result["signatures"] = {name: value.signature for name, value in metrics.items()}
    result["confidence"] = {
        name: {"mean": round(value.mean, 2), "margin": round(value.margin, 2)}
        for name, value in metrics.items()
        if value.mean is not None and value.margin is not None
    }
    result["sentences"] = scores.sentences
    result["seconds"] = round(seconds, 2)
    card = translator.card
    result["model"] = {
        "name": card.name,
        "revision": card.revision,
        "architecture": card.architecture,
        "parameters": card.parameters,
        "device": card.device,
        "precision": card.precision,
    }
    result["settings"] = {
        "file": options.file.name,
        "source": source,
        "target": target,
        "search": found[0].search.to_dict(),
        "threads": options.threads,
    }
    _print_json(result)


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


# --- Arguments --------------------------------------------------------------------------------


def _out(options: argparse.Namespace, experiment: Experiment) -> Path:
    return options.out if options.out is not None else Path("runs") / experiment.name


def _translator(options: argparse.Namespace) -> Translator:
    return Translator.load(
        options.model,
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


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    keys = ("source", "target", "beam", "length_penalty", "max_length")
    return {key: getattr(options, key) for key in keys}


def _sampling(options: argparse.Namespace) -> SamplingConfig | None:
    keys = ("temperature", "top_k", "top_p", "seed")
    given = {key: getattr(options, key) for key in keys if getattr(options, key) is not None}
    if options.sample:
        return SamplingConfig(**given)
    if given:
        raise InputError(f"--{min(given).replace('_', '-')} needs --sample")
    return None


# --- Input and output -------------------------------------------------------------------------


def _lines(stream: BinaryIO) -> Iterator[str]:
    r"""Lines of UTF-8 text; only ``\n`` and ``\r\n`` end one, whatever else Unicode calls so."""
    for number, raw in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), start=1):
        if len(raw) == _LONGEST_LINE:  # no more of it is read into memory
            raise InputError(
                f"standard input: line {number} has more than {MAX_CHARACTERS} characters; "
                "give it in parts"
            )
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"standard input: line {number} is not UTF-8 text") from error
        yield line.removesuffix("\n").removesuffix("\r")


def _line(translation: Translation, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(translation.to_dict(), ensure_ascii=False, allow_nan=False)
    texts = [alternative.target.text for alternative in translation.n_best]
    return "\t".join(" ".join(text.splitlines()).replace("\t", " ") for text in texts)


def _read_pairs(options: argparse.Namespace, source: str, target: str) -> list[tuple[str, str]]:
    from seq2seq.training.corpus import read_pairs  # noqa: PLC0415

    columns = tuple(column.strip() for column in options.columns.split(","))
    for language in (source, target):
        if language not in columns:
            raise InputError(f"--columns: {options.columns!r} does not name {language!r}")
    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit: {options.limit} is not above 0")
    file = DataFile(path=str(options.file), columns=columns)
    pairs = list(islice(read_pairs(file, Path(), source, target), options.limit))
    if not pairs:
        raise InputError(f"{options.file}: holds no sentence pairs")
    return pairs


def _print_json(value: dict[str, Any] | Sequence[Any]) -> None:
    sys.stdout.buffer.write(json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n")


@contextmanager
def _progress(unit: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr if that is a terminal."""
    with tqdm(total=total, unit=unit, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:

        def advance(count: int) -> None:
            bar.update(count)

        yield advance
