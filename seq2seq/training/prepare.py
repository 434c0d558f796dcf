"""Text to ids on disk: read, clean, learn the vocabulary, encode.

The dataset folder holds ``dataset.json`` (what was done, with counts), ``tokenizer.json``,
``vocabulary.json`` and memory-mapped ids; training reads these and no text.
"""

from __future__ import annotations

import gzip
import random
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from seq2seq.config import ConfigError, DataConfig, DataFile, Experiment
from seq2seq.files import new_folder, write_json
from seq2seq.text.moses_bpe import MosesBpe
from seq2seq.training.data import write_ids

__all__ = ["clean", "copy_pairs", "prepare", "read_pairs"]

Pair = tuple[str, str]

# Characters that no translation changes: symbols, emoji, and letters of scripts that a European
# vocabulary does not hold.
_RARE_RANGES = (
    (0x1F300, 0x1F5FF), (0x1F600, 0x1F64F), (0x1F680, 0x1F6C5), (0x1F90D, 0x1F9FF),
    (0x2600, 0x26FF), (0x2190, 0x21FF), (0x0391, 0x03A1), (0x03B1, 0x03C9), (0x0410, 0x044F),
    (0x05D0, 0x05EA), (0x0621, 0x063A), (0x0E01, 0x0E2E), (0x3042, 0x3093), (0x4E00, 0x9FA5),
    (0xAC00, 0xD7A3),
)  # fmt: skip


def prepare(experiment: Experiment, *, data: Path, out: Path) -> None:
    """Write the dataset folder ``out/dataset`` for an experiment.

    Args:
        experiment: its ``data`` section says what to read and how to clean.
        data: folder that the file names are relative to.
        out: folder of the run.

    Raises:
        ConfigError: a file is missing, not UTF-8, or has a line with too few columns.
    """
    config = experiment.data
    dev = [pair for pair in _read_all(config, config.dev, data) if all(pair)]
    if not dev:
        raise ConfigError(f"{config.dev[0].path}: holds no sentence pair")
    pairs, counts = clean(_read_all(config, config.train, data), dev, max_ratio=config.max_ratio)
    if not pairs:
        raise ConfigError("no training pair is left after cleaning")
    languages = (config.source, config.target)
    text = MosesBpe.train(
        (item for pair in pairs for item in zip(languages, pair, strict=True)),
        languages=languages,
        vocabulary_size=config.vocabulary,
    )
    pairs += copy_pairs(pairs, rate=config.copy_rate, seed=config.seed)
    counts["copied characters"] = len(pairs) - counts["kept"]
    with new_folder(out / "dataset") as folder:
        text.save(folder)
        write_json(folder / "vocabulary.json", list(text.pieces))
        kept = _write_split(folder, "train", pairs, text, config)
        counts["too long"] = len(pairs) - kept
        write_json(
            folder / "dataset.json",
            {
                "data": config.to_dict(),
                "vocabulary": text.vocabulary_size,
                "train": kept,
                "dev": _write_split(folder, "dev", dev, text, config, keep_all=True),
                "cleaning": dict(counts),
            },
        )


def read_pairs(file: DataFile, folder: Path, source: str, target: str) -> Iterator[Pair]:
    """Yield (source, target) of each line of a tab-separated file, plain or gzip."""
    path = folder / file.path
    columns = file.columns.index(source), file.columns.index(target)
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                fields = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                cells = fields.split("\t")
                if len(cells) < len(file.columns):
                    raise ConfigError(
                        f"{path}: line {number} has {len(cells)} columns, "
                        f"{len(file.columns)} are needed ({', '.join(file.columns)})"
                    )
                yield cells[columns[0]].strip(), cells[columns[1]].strip()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read ({reason})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: line {number} is not UTF-8 text") from error


def _read_all(config: DataConfig, files: Iterable[DataFile], folder: Path) -> Iterator[Pair]:
    for file in files:
        yield from read_pairs(file, folder, config.source, config.target)


def clean(
    pairs: Iterable[Pair], dev: Iterable[Pair], *, max_ratio: float
) -> tuple[list[Pair], Counter[str]]:
    """Leave out pairs that would not help.

    Dropped: an empty side, a side that also stands in the dev set, sides whose lengths in
    characters differ by more than ``max_ratio`` (short ones are spared), and repetitions.

    Returns:
        The kept pairs in order and how many went for which reason.
    """
    dev_sources, dev_targets = map(set, zip(*dev, strict=True))
    seen: set[Pair] = set()
    kept: list[Pair] = []
    counts: Counter[str] = Counter()
    for source, target in pairs:
        pair = (source, target)
        shorter, longer = sorted((len(source) + 10, len(target) + 10))
        if not source or not target:
            counts["empty side"] += 1
        elif source in dev_sources or target in dev_targets:
            counts["stands in the dev set"] += 1
        elif longer > max_ratio * shorter:
            counts["lengths differ"] += 1
        elif pair in seen:
            counts["repeated"] += 1
        else:
            seen.add(pair)
            kept.append(pair)
    counts["kept"] = len(kept)
    return kept, counts


def copy_pairs(pairs: list[Pair], *, rate: float, seed: int) -> list[Pair]:
    """Pairs with the same rare characters put into both sides, at the start or the end.

    A model trained on them carries an emoji or a foreign letter over instead of dropping it.
    """
    chance = random.Random(seed)  # noqa: S311
    result = []
    for source, target in chance.choices(pairs, k=round(rate * len(pairs))):
        first, last = chance.choice(_RARE_RANGES)
        rare = "".join(chr(chance.randint(first, last)) for _ in range(chance.randint(1, 2)))
        if chance.random() < 0.7:
            result.append((f"{source} {rare}", f"{target} {rare}"))
        else:
            result.append((f"{rare} {source}", f"{rare} {target}"))
    return result


def _write_split(
    folder: Path, name: str, pairs: list[Pair], text: MosesBpe, config: DataConfig,
    *, keep_all: bool = False,
) -> int:  # fmt: skip
    sources, targets = [], []
    for source, target in tqdm(pairs, desc=f"encode {name}", unit="pair", disable=None):
        source_ids = text.ids(source, language=config.source, target_language=config.target)
        target_ids = text.ids(target, language=config.target)
        if keep_all or max(len(source_ids), len(target_ids)) <= config.max_pieces:
            sources.append(source_ids)
            targets.append(target_ids)
    write_ids(folder, f"{name}.source", sources)
    write_ids(folder, f"{name}.target", targets)
    return len(sources)
