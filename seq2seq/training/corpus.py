"""Sentence pairs of every direction: read, cleaned, enriched and mixed."""

from __future__ import annotations

import gzip
import random
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from seq2seq.config import ConfigError, DataConfig, DataFile, Share, TextFile

__all__ = [
    "Corpus",
    "Direction",
    "Pair",
    "clean",
    "copy_pairs",
    "find_folder",
    "gather",
    "gather_text",
    "join_pairs",
    "mask_spans",
    "mix",
    "read_pairs",
    "read_text",
]

Pair = tuple[str, str]
Direction = tuple[str, str]
Corpus = dict[Direction, list[Pair]]
"""Pairs of each direction, source first."""

# Characters that no translation changes: symbols, emoji, and letters of scripts that a European
# vocabulary does not hold.
_RARE_RANGES = (
    (0x1F300, 0x1F5FF), (0x1F600, 0x1F64F), (0x1F680, 0x1F6C5), (0x1F90D, 0x1F9FF),
    (0x2600, 0x26FF), (0x2190, 0x21FF), (0x0391, 0x03A1), (0x03B1, 0x03C9), (0x0410, 0x044F),
    (0x05D0, 0x05EA), (0x0621, 0x063A), (0x0E01, 0x0E2E), (0x3042, 0x3093), (0x4E00, 0x9FA5),
    (0xAC00, 0xD7A3),
)  # fmt: skip
_MOST_JOINED = 5
_LONGEST_SPAN = 5  # a mean of 3 pieces, as BART's


def gather(config: DataConfig, files: Iterable[DataFile], folders: Sequence[Path]) -> Corpus:
    """Read the pairs of all files, each in every direction that it serves.

    Args:
        config: names the directions.
        files: to read.
        folders: where the files are looked for, in this order.

    Raises:
        ConfigError: a file is missing, not UTF-8, or has a line with too few columns.
    """
    corpus: Corpus = {direction: [] for direction in config.directions}
    for file in files:
        folder = find_folder(file.path, folders)
        for direction in config.directions:
            if file.serves(direction):
                corpus[direction] += read_pairs(file, folder, *direction)
    return corpus


def find_folder(path: str, folders: Sequence[Path]) -> Path:
    """The first folder that holds the file ``path``; the first of all if none does."""
    return next((folder for folder in folders if (folder / path).exists()), folders[0])


def read_pairs(file: DataFile, folder: Path, source: str, target: str) -> Iterator[Pair]:
    """Yield (source, target) of each line of a tab-separated file, plain or gzip."""
    columns = file.columns.index(source), file.columns.index(target)
    for cells in _rows(folder / file.path, file.columns):
        yield cells[columns[0]].strip(), cells[columns[1]].strip()


def read_text(file: TextFile, folder: Path) -> Iterator[str]:
    """Yield the sentence of each line of a file of text in one language."""
    column = file.columns.index(file.language) if file.columns else 0
    for cells in _rows(folder / file.path, file.columns):
        yield cells[column].strip()


def gather_text(config: DataConfig, folders: Sequence[Path]) -> Corpus:
    """The sentences that are to be repaired, as pairs of equal sides, by language.

    Raises:
        ConfigError: as :func:`gather`.
    """
    chance = random.Random(config.seed)  # noqa: S311
    corpus: Corpus = {}
    for file in config.repair:
        sentences = list(read_text(file, find_folder(file.path, folders)))
        if file.most is not None and file.most < len(sentences):
            sentences = chance.sample(sentences, file.most)
        pairs = corpus.setdefault((file.language, file.language), [])
        pairs += zip(sentences, sentences, strict=True)
    return corpus


def _rows(path: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """Cells of every line of a file, plain or gzip; without ``columns`` a line is one cell."""
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                cells = line.split("\t") if columns else [line]
                if len(cells) < len(columns):
                    raise ConfigError(
                        f"{path}: line {number} has {len(cells)} columns, "
                        f"{len(columns)} are needed ({', '.join(columns)})"
                    )
                yield cells
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read ({reason})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: line {number} is not UTF-8 text") from error


def clean(corpus: Corpus, dev: Corpus, *, max_ratio: float) -> tuple[Corpus, Counter[str]]:
    """Leave out pairs that would not help.

    Dropped: an empty side, a side that also stands in a dev set, sides whose lengths in
    characters differ by more than ``max_ratio`` (short ones are spared), and repetitions.

    Returns:
        The kept pairs in order and how many went for which reason.
    """
    held_out = {
        (language, text)
        for direction, pairs in dev.items()
        for pair in pairs
        for language, text in zip(direction, pair, strict=True)
    }
    counts: Counter[str] = Counter(kept=0)
    result: Corpus = {}
    for direction, pairs in corpus.items():
        seen: set[Pair] = set()
        result[direction] = kept = []
        for pair in pairs:
            shorter, longer = sorted(len(side) + 10 for side in pair)
            if not all(pair):
                counts["empty side"] += 1
            elif not held_out.isdisjoint(zip(direction, pair, strict=True)):
                counts["stands in the dev set"] += 1
            elif longer > max_ratio * shorter:
                counts["lengths differ"] += 1
            elif pair in seen:
                counts["repeated"] += 1
            else:
                seen.add(pair)
                kept.append(pair)
        counts["kept"] += len(kept)
    return result, counts


def mix(corpus: Corpus, *, temperature: float, shares: Iterable[Share] = (), seed: int) -> Corpus:
    """Repeat the pairs of small directions (Arivazhagan 2019, section 4.2).

    A direction of n pairs shall be met in proportion to n**(1 / temperature), while the largest
    one stays as it is; what does not make a whole repetition is drawn. ``shares`` give more or
    less of single directions.
    """
    factors = {share.direction: share.factor for share in shares}
    chance = random.Random(seed)  # noqa: S311
    largest = max(map(len, corpus.values()))
    result: Corpus = {}
    for direction, pairs in corpus.items():
        even = largest * (len(pairs) / largest) ** (1 / temperature)
        wanted = max(round(even * factors.get(direction, 1.0)), min(len(pairs), 1))
        whole, rest = divmod(wanted, len(pairs)) if pairs else (0, 0)
        result[direction] = pairs * whole + chance.sample(pairs, rest)
    return result


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


def join_pairs(pairs: list[Pair], direction: Direction, *, rate: float, seed: int) -> list[Pair]:
    """Several pairs in a row as one, two to five (Kondo 2021).

    A model that has only met single short sentences loses its way in a longer input.
    """
    chance = random.Random(seed)  # noqa: S311
    gaps = ["" if language == "zh" else " " for language in direction]
    result = []
    for _ in range(round(rate * len(pairs))):
        drawn = chance.choices(pairs, k=chance.randint(2, _MOST_JOINED))
        source, target = (
            gap.join(side) for gap, side in zip(gaps, zip(*drawn, strict=True), strict=True)
        )
        result.append((source, target))
    return result


def mask_spans(ids: Sequence[int], *, mask: int, rate: float, chance: random.Random) -> list[int]:
    """Spans of one to five pieces each replaced by one ``mask``, ``rate`` of all pieces in sum.

    Text infilling as BART does it (Lewis 2020, section 2.2); one piece stays at least.
    """
    left, wanted = list(ids), min(round(rate * len(ids)), len(ids) - 1)
    while wanted > 0:
        length = min(chance.randint(1, _LONGEST_SPAN), wanted)
        first = chance.randrange(len(left) - length + 1)
        if mask in left[first : first + length]:
            wanted -= 1  # ends even where spans no longer fit between the others
            continue
        left[first : first + length] = [mask]
        wanted -= length
    return left
