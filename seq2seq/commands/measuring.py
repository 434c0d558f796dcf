"""How well and how fast models translate."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.catalogue import embedded_folders
from seq2seq.commands.forced import forced_attention
from seq2seq.commands.shared import (
    InputError,
    load_translator,
    print_json,
    progress_bar,
    search_options,
)
from seq2seq.config import DataFile, GoldFile, MeasureConfig, read_json
from seq2seq.evaluation.alignment import (
    READINGS,
    alignment_error_rate,
    joined_links,
    read_gold,
)
from seq2seq.evaluation.failures import count_failures
from seq2seq.evaluation.heads import HeadScore, head_map, score_heads
from seq2seq.evaluation.lengths import score_by_length
from seq2seq.evaluation.metrics import TOKENIZERS, compare, score
from seq2seq.files import write_json
from seq2seq.text.normalise import LANGUAGES
from seq2seq.training.corpus import find_folder, read_pairs
from seq2seq.translation import Translation
from seq2seq.translator import TextTooLongError, Translator

__all__ = ["evaluate", "measure"]


@dataclass(frozen=True)
class _Outcome:
    """A model's translations of a test file."""

    pairs: list[tuple[str, str]]
    found: list[Translation]
    seconds: float

    @property
    def sources(self) -> list[str]:
        return [source for source, _ in self.pairs]

    @property
    def references(self) -> list[str]:
        return [reference for _, reference in self.pairs]

    @property
    def texts(self) -> list[str]:
        return [translation.text for translation in self.found]


# --- evaluate ---------------------------------------------------------------------------------


def evaluate(options: argparse.Namespace) -> None:
    """Translate one column of a file and score it against another; prints one JSON object."""
    if options.tokenize is not None and options.tokenize not in TOKENIZERS:
        raise InputError(f"--tokenize: {options.tokenize!r} is not one of {', '.join(TOKENIZERS)}")
    translator = load_translator(options)
    source, target = translator.direction(options.source, options.target)
    pairs = _asked_pairs(options, source, target)
    direction = (source, target)
    outcome = _translate(translator, pairs, options, direction, file=options.file)
    result = _report(translator, outcome, options, file=options.file.name)
    if options.bootstrap is not None:
        other = load_translator(options, options.bootstrap)
        theirs = _translate(other, pairs, options, direction, file=options.file)
        comparison = compare(
            outcome.texts,
            theirs.texts,
            outcome.references,
            target_language=target,
            tokenize=options.tokenize,
            samples=max(options.bootstrap_samples, 2),
        )
        result["compared_with"] = {
            "model": {"name": other.card.name, "revision": other.card.revision},
            **{name: dataclasses.asdict(value) for name, value in comparison.items()},
        }
    print_json(result)


def _asked_pairs(options: argparse.Namespace, source: str, target: str) -> list[tuple[str, str]]:
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


def _translate(
    translator: Translator,
    pairs: list[tuple[str, str]],
    options: argparse.Namespace,
    direction: tuple[str, str],
    *,
    file: Path,
) -> _Outcome:
    source, target = direction
    settings = {**search_options(options), "source": source, "target": target}
    started = time.perf_counter()
    with progress_bar("sentence", len(pairs)) as progress:
        try:
            found = list(
                translator.translate_many(
                    [pair[0] for pair in pairs], progress=progress, **settings
                )
            )
        except TextTooLongError as error:
            raise InputError(f"{file}: line {error.index + 1}: {error}") from error
    return _Outcome(pairs, found, time.perf_counter() - started)


def _report(
    translator: Translator, outcome: _Outcome, options: argparse.Namespace, *, file: str
) -> dict[str, Any]:
    """Scores of one model on one file, with all that is needed to repeat them."""
    first = outcome.found[0]
    scores = score(
        outcome.texts,
        outcome.references,
        target_language=first.target_language,
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
    result["seconds"] = round(outcome.seconds, 2)
    result["model"] = _about(translator)
    result["settings"] = {
        "file": file,
        "source": first.source_language,
        "target": first.target_language,
        "search": first.search.to_dict(),
        "threads": options.threads,
    }
    return result


def _about(translator: Translator) -> dict[str, Any]:
    card = translator.card
    return {
        "name": card.name,
        "revision": card.revision,
        "architecture": card.architecture,
        "parameters": card.parameters,
        "device": card.device,
        "precision": card.precision,
    }


# --- measure ----------------------------------------------------------------------------------


def measure(options: argparse.Namespace) -> None:
    """Write ``MODEL.json`` with all that is measured, for each model."""
    config = MeasureConfig.from_dict(read_json(options.config))
    for name in options.models or list(embedded_folders()):
        translator = load_translator(options, name)
        print(f"{translator.card.name}:", file=sys.stderr)
        path = options.out / f"{translator.card.name}.json"
        if options.only == "alignments":
            before = read_json(path)
            _same_model(before, translator, path)
            tests, lengths = before["tests"], before["lengths"]
        else:
            tests, lengths = _tests(translator, config, options)
        result = {
            "model": _about(translator),
            "tests": tests,
            "lengths": lengths,
            "alignments": [
                found
                for gold in config.alignments
                for found in _alignments(translator, gold, options.data)
            ],
        }
        options.out.mkdir(parents=True, exist_ok=True)
        write_json(path, result)


def _same_model(before: dict[str, Any], translator: Translator, path: Path) -> None:
    """Whether a file is about a model of this name and size: the rest of it is kept.

    A retrained one is not told apart: packaging again changes the revision, too.

    Raises:
        InputError: it is about another one, or nothing that ``measure`` wrote.
    """
    about = _about(translator)
    said = before.get("model", {})
    same = ("name", "architecture", "parameters")
    known = isinstance(said, dict) and all(said.get(key) == about[key] for key in same)
    if not known or not {"tests", "lengths"} <= before.keys():
        raise InputError(f"{path}: is not about {about['name']}; measure all of it")


def _tests(
    translator: Translator, config: MeasureConfig, options: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Scores per file and direction; scores by source length per direction."""
    tests, lengths = [], []
    for source, target in translator.directions:
        joined = _Outcome([], [], 0.0)
        for file in config.tests:
            if not file.serves((source, target)):
                continue
            folder = find_folder(file.path, options.data)
            pairs = list(islice(read_pairs(file, folder, source, target), options.limit))
            outcome = _translate(
                translator, pairs, options, (source, target), file=folder / file.path
            )
            report = _report(translator, outcome, options, file=file.path)
            failures = count_failures(
                outcome.sources,
                outcome.texts,
                outcome.references,
                target_language=target,
                languages=LANGUAGES,
            )
            tests.append({**report, "failures": dataclasses.asdict(failures)})
            print(f"  {source}-{target} {file.path}: BLEU {report['bleu']}", file=sys.stderr)
            if file.path in config.joined:
                joined.pairs.extend(outcome.pairs)
                joined.found.extend(outcome.found)
        if joined.found:
            bins = score_by_length(
                joined.sources,
                joined.texts,
                joined.references,
                source_language=source,
                target_language=target,
            )
            lengths.append(
                {"source": source, "target": target, "bins": [*map(dataclasses.asdict, bins)]}
            )
    return tests, lengths


def _alignments(
    translator: Translator, file: GoldFile, folders: Sequence[Path]
) -> Iterator[dict[str, Any]]:
    """Error rates of every head in each direction, and of both directions joined."""
    folder = find_folder(file.sentences, folders)
    gold = read_gold(folder / file.sentences, folder / file.links)
    best: dict[tuple[str, str], list[np.ndarray]] = {}
    for direction in (file.languages, file.languages[::-1]):
        if direction not in translator.directions:
            continue
        turned = direction != file.languages
        pairs = [pair.reversed for pair in gold] if turned else gold
        source, target = direction
        forced = list(forced_attention(translator, pairs, source=source, target=target))
        if not forced:
            continue
        scores: list[HeadScore] = []
        for reading in READINGS:
            maps = [one.words(reading=reading) for one in forced]
            scores += score_heads(maps, pairs, reading=reading)
        plain = min(scores, key=lambda one: one.error_rate)
        winner = min(scores, key=lambda one: one.relative_error_rate)
        best[direction] = [
            head_map(one.words(reading=winner.reading), layer=winner.layer, head=winner.head)
            for one in forced
        ]
        yield {
            "file": file.sentences,
            "source": source,
            "target": target,
            "sentences": len(pairs),
            "best": dataclasses.asdict(plain),
            "best_relative": dataclasses.asdict(winner),
            "heads": [dataclasses.asdict(one) for one in scores],
        }
    if len(best) == 2:
        joined = [*map(joined_links, best[file.languages], best[file.languages[::-1]])]
        yield {
            "file": file.sentences,
            "source": file.languages[0],
            "target": file.languages[1],
            "sentences": len(gold),
            "symmetrised": round(alignment_error_rate(joined, gold), 4),
        }
