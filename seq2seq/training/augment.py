"""More pairs: text in one language with a machine's translation, pairs with a sentence in common.

Back-translation: Sennrich 2016.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from seq2seq.config import ConfigError

__all__ = ["all_sentences", "joined_pairs", "plausible", "sentences", "write_pairs"]

_MOST_REPEATS = 3


def sentences(
    files: Iterable[Path], *, column: int = 0, without: Collection[str] = ()
) -> Iterator[str]:
    """Yield one column of tab-separated files (or plain lines), each text once.

    Args:
        files: plain or gzip.
        column: counted from 0; lines with fewer are left out.
        without: texts that are never yielded, for instance those of dev and test sets.

    Raises:
        ConfigError: a file cannot be read or is not UTF-8.
    """
    seen: set[str] = set()
    for path in files:
        for cells in _rows(path):
            text = cells[column] if column < len(cells) else ""
            if text and text not in seen and text not in without:
                seen.add(text)
                yield text


def all_sentences(files: Iterable[Path]) -> set[str]:
    """The texts of all columns. Raises as :func:`sentences`."""
    return {text for path in files for cells in _rows(path) for text in cells if text}


def _rows(path: Path) -> Iterator[list[str]]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for raw in stream:
                yield [cell.strip() for cell in raw.decode("utf-8").rstrip("\r\n").split("\t")]
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read ({reason})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error


def plausible(text: str, made: str, *, max_ratio: float = 2.5) -> bool:
    """Whether a machine's translation of a text can be one.

    Left out: empty ones, copies, those much shorter or longer, and loops (the same two words in
    a row more than three times).
    """
    shorter, longer = sorted((len(text) + 10, len(made) + 10))
    words = made.split()
    repeats = max(Counter(pairwise(words)).values(), default=0)
    return (
        bool(made) and made != text and longer <= max_ratio * shorter and (repeats <= _MOST_REPEATS)
    )


def joined_pairs(
    first: Iterable[tuple[str, str]], second: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Pairs of the right sides of pairs with the same left side, each once.

    Two translations of one sentence translate each other, if more loosely.
    """
    right: dict[str, list[str]] = {}
    for pivot, text in second:
        right.setdefault(pivot, []).append(text)
    seen: set[tuple[str, str]] = set()
    for pivot, text in first:
        for other in right.get(pivot, ()):
            pair = (text, other)
            if pivot and text and other and pair not in seen:
                seen.add(pair)
                yield pair


def write_pairs(path: Path, pairs: Iterable[tuple[str, str]]) -> int:
    """Write tab-separated pairs, gzip if the name ends so, whole or not at all; returns how many.

    The same pairs give the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as raw:
            packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
            for left, right in pairs:
                packed.write(f"{left}\t{right}\n".encode())
                count += 1
            if packed is not raw:
                packed.close()
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count
