"""Text to ids on disk: read, clean, learn the vocabulary, encode.

The dataset folder holds ``dataset.json`` (what was done, with counts), ``tokenizer.json``,
``vocabulary.json`` and memory-mapped ids; training reads these and no text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from tqdm import tqdm

from seq2seq.config import ConfigError, DataConfig, Experiment
from seq2seq.files import new_folder, write_json
from seq2seq.text.encoding import TextError
from seq2seq.text.moses_bpe import MosesBpe
from seq2seq.training.beginning import check_model, check_text, text_folder
from seq2seq.training.corpus import (
    Corpus,
    Direction,
    clean,
    copy_pairs,
    gather,
    gather_text,
    join_pairs,
    mask_spans,
    mix,
)
from seq2seq.training.data import dev_split, train_split, write_ids

__all__ = ["prepare"]


def prepare(experiment: Experiment, *, data: Sequence[Path], out: Path) -> dict[str, Any]:
    """Write the dataset folder ``out/dataset`` for an experiment.

    Args:
        experiment: its ``data`` section says what to read and how to clean.
        data: folders in which its files are looked for, in this order.
        out: folder of the run.

    Returns:
        What ``dataset.json`` says.

    Raises:
        ConfigError: a file is missing, not UTF-8, or has a line with too few columns; what is
            begun with does not fit.
    """
    config = experiment.data
    text = _taken_over(experiment, out.parent)
    dev_pairs = gather(config, config.dev, data)
    dev = {
        direction: [pair for pair in dev_pairs[direction] if all(pair)]
        for direction in config.validated
    }
    corpus, counts = clean(gather(config, config.train, data), dev, max_ratio=config.max_ratio)
    for what, pairs_of in (("dev", dev), ("training", corpus)):
        for (source, target), pairs in pairs_of.items():
            if not pairs:
                raise ConfigError(f"no {what} pair from {source} to {target} is left")
    if text is None:
        text = _learn(config, corpus)
    corpus = mix(corpus, temperature=config.temperature, shares=config.shares, seed=config.seed)
    seeds = count(config.seed)
    for direction, pairs in corpus.items():
        joined = join_pairs(pairs, direction, rate=config.join_rate, seed=next(seeds))
        copied = copy_pairs(pairs, rate=config.copy_rate, seed=next(seeds))
        counts["joined"] += len(joined)
        counts["copied characters"] += len(copied)
        pairs.extend(joined + copied)
    broken, _ = clean(gather_text(config, data), dev, max_ratio=config.max_ratio)
    counts["to repair"] = sum(map(len, broken.values()))
    corpus |= broken
    with new_folder(out / "dataset") as folder:
        text.save(folder)
        write_json(folder / "vocabulary.json", list(text.pieces))
        for variant in range(config.variants):
            cut = _cutter(text, config, variant)
            kept = _write_split(folder, train_split(variant), corpus, cut, config.max_pieces)
        counts["too long"] = sum(map(len, corpus.values())) - kept
        for direction, pairs in dev.items():
            _write_split(folder, dev_split(direction), {direction: pairs}, _cutter(text))
        report = {
            "data": config.to_dict(),
            "vocabulary": text.vocabulary_size,
            "train": kept,
            "dev": {"-".join(direction): len(pairs) for direction, pairs in dev.items()},
            "cleaning": dict(counts),
        }
        write_json(folder / "dataset.json", report)
    return report


def _learn(config: DataConfig, corpus: Corpus) -> MosesBpe:
    return MosesBpe.train(
        (
            item
            for direction, pairs in corpus.items()
            for pair in pairs
            for item in zip(direction, pair, strict=True)
        ),
        languages=config.languages,
        vocabulary_size=config.vocabulary,
        target_tags=config.target_tags,
    )


def _taken_over(experiment: Experiment, runs: Path) -> MosesBpe | None:
    """The vocabulary of the run or checkpoint that is begun with, if one is and it fits."""
    if experiment.begin is None:
        return None
    config, begin = experiment.data, runs / experiment.begin
    check_text(begin, config)
    folder = text_folder(begin)
    try:
        text = MosesBpe.load(folder, languages=config.languages, target_tags=config.target_tags)
    except TextError as error:
        raise ConfigError(f"begin: {error}") from error
    size = text.vocabulary_size
    check_model(begin, experiment.model_config(source_vocabulary=size, target_vocabulary=size))
    return text


_Cut = Callable[[str, Direction, bool], list[int]]
"""Ids of a sentence of a direction, end-of-sentence included; True for the source."""


def _cutter(text: MosesBpe, config: DataConfig | None = None, variant: int = 0) -> _Cut:
    """How sentences become ids: always alike, or at random as ``config`` says."""
    dropout = config.bpe_dropout if config else 0.0
    chance = random.Random(f"{config.seed if config else 0} {variant}")  # noqa: S311

    @cache  # many pairs have a sentence in common, and small directions are repeated
    def encode(sentence: str, language: str) -> tuple[int, ...]:
        return text.encode_prefix(sentence, language=language)

    def cut(sentence: str, direction: Direction, is_source: bool) -> list[int]:
        language = direction[0 if is_source else 1]
        tag = text.tag(direction[1]) if is_source else ()
        ids: Sequence[int] = (
            text.sample_ids(sentence, language=language, dropout=dropout, random=chance)
            if dropout
            else encode(sentence, language)
        )
        if config and is_source and direction[0] == direction[1]:
            ids = mask_spans(ids, mask=text.unk_id, rate=config.masked, chance=chance)
        return [*tag, *ids, text.eos_id]

    return cut


def _write_split(
    folder: Path, name: str, corpus: Corpus, cut: _Cut, max_pieces: int | None = None
) -> int:
    """Write the ids of all pairs, those with a longer side left out; returns how many."""
    rows = [(direction, pair) for direction, pairs in corpus.items() for pair in pairs]
    sources, targets = [], []
    for direction, (source, target) in tqdm(rows, desc=f"encode {name}", unit="pair", disable=None):
        source_ids, target_ids = cut(source, direction, True), cut(target, direction, False)
        if max_pieces is None or max(len(source_ids), len(target_ids)) <= max_pieces:
            sources.append(source_ids)
            targets.append(target_ids)
    write_ids(folder, f"{name}.source", sources)
    write_ids(folder, f"{name}.target", targets)
    return len(sources)
