"""How well and how fast models translate."""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path
from typing import Any

from seq2seq.commands.shared import (
    InputError,
    load_translator,
    print_json,
    progress_bar,
    search_options,
)
from seq2seq.config import DataFile
from seq2seq.evaluation.metrics import TOKENIZERS, score
from seq2seq.training.corpus import read_pairs
from seq2seq.translator import TextTooLongError

__all__ = ["evaluate"]


def evaluate(options: argparse.Namespace) -> None:
    """Translate one column of a file and score it against another; prints one JSON object."""
    if options.tokenize is not None and options.tokenize not in TOKENIZERS:
        raise InputError(f"--tokenize: {options.tokenize!r} is not one of {', '.join(TOKENIZERS)}")
    translator = load_translator(options)
    source, target = translator.direction(options.source, options.target)
    pairs = _read_pairs(options, source, target)
    started = time.perf_counter()
    with progress_bar("sentence", len(pairs)) as progress:
        try:
            found = list(
                translator.translate_many(
                    [pair[0] for pair in pairs], progress=progress, **search_options(options)
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
    print_json(result)


def _read_pairs(options: argparse.Namespace, source: str, target: str) -> list[tuple[str, str]]:
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
