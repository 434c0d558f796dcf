"""The rows of the comparison: which work, which contenders, and what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from speed.adapters import BATCH, Contender
from speed.models import SIZES, Size

__all__ = ["Row", "contenders", "row_groups"]


@dataclass(frozen=True)
class Row:
    """Work that all contenders do.

    Attributes:
        group: rows that are run together: ``single``, ``length``, ``batch``.
        size: of the model.
        name: for people.
        count: sentences.
        length: source pieces of each, with end-of-sentence.
        tokens: steps of the decoder.
        beam: 1 is greedy.
        wanted: by engine, how many times as long it shall take as we do: the least and the goal.
        wanted_ms: the same of our own milliseconds.
    """

    group: str
    size: Size
    name: str
    count: int
    length: int
    tokens: int
    beam: int
    wanted: dict[str, tuple[float, float]] = field(default_factory=dict)
    wanted_ms: tuple[float, float] | None = None


_WANTED = {
    ("single", "opus", 1): {"ctranslate2": (3.0, 5.0), "transformers": (4.5, 10.0)},
    ("single", "opus", 4): {"ctranslate2": (2.2, 4.0), "transformers": (3.5, 8.0)},
    ("single", "small", 1): {"ctranslate2": (0.8, 1.3)},
    ("single", "small", 4): {"ctranslate2": (0.7, 1.3)},
    ("batch", "opus", 1): {"ctranslate2": (1.3, 2.0)},
    ("batch", "opus", 4): {"ctranslate2": (1.1, 2.0)},
    ("batch", "small", 1): {"ctranslate2": (0.8, 1.3)},
    ("batch", "small", 4): {"ctranslate2": (0.7, 1.3)},
}


_OTHER_KERNELS = (
    {"CT2_USE_MKL": "0"},
    {"CT2_USE_MKL": "1"},
    {"CT2_USE_EXPERIMENTAL_PACKED_GEMM": "1"},
)
"""Settings of CTranslate2 that may suit a processor better than those that it chooses."""


def row_groups(sizes: list[str]) -> dict[str, list[Row]]:
    """All rows by group, of the models named."""
    found: dict[str, list[Row]] = {"single": [], "length": [], "batch": []}
    for size in (SIZES[name] for name in sizes):
        if size.recurrent:
            words, beam = 10, 5
            name = f"{words} words, beam {beam}"
            count = _pieces(words)
            row = Row("single", size, name, 1, count, count, beam, wanted_ms=(12.0, 5.0))
            found["single"].append(row)
            continue
        for beam in (1, 4, 10):
            search = "greedy" if beam == 1 else f"beam {beam}"
            wanted = _WANTED.get(("single", size.name, beam), {})
            row = Row("single", size, f"20 pieces in, 24 out, {search}", 1, 20, 24, beam, wanted)
            found["single"].append(row)
            if beam < 10:
                wanted = _WANTED.get(("batch", size.name, beam), {})
                name = f"{2 * BATCH} sentences, {search}"
                found["batch"].append(Row("batch", size, name, 2 * BATCH, 20, 24, beam, wanted))
        for words in (5, 10, 20, 50, 100):
            count = _pieces(words)
            found["length"].append(
                Row("length", size, f"{words} words, beam 4", 1, count, count, 4)
            )
    return found


def contenders(group: str, size: Size, *, threads: Sequence[int]) -> list[Contender]:
    """Engines with all settings among which each has its best.

    Args:
        threads: numbers of threads to try; with the largest one all cores are busy.
    """
    most = max(threads)
    if group == "batch":
        found = [
            Contender("ours", "int8", workers=most),
            Contender("ours", "int8", processes=most),
            Contender("ours", "int8", threads=most),
            Contender("ctranslate2", "int8", workers=most),
            Contender("ctranslate2", "int8", threads=most),
            Contender("transformers", "bf16", threads=most),
            *(
                Contender("ctranslate2", "int8", workers=most, environment=one)
                for one in _OTHER_KERNELS
            ),
        ]
        found = list(dict.fromkeys(found))
    else:
        found = [
            Contender(engine, kind, threads=count)
            for engine, kinds in (
                ("ours", ("int8",)),
                ("ctranslate2", ("int8", "fp32")),
                ("transformers", ("bf16", "fp32")),
            )
            for kind in kinds
            for count in threads
        ]
        found += [Contender("ctranslate2", "int8", environment=one) for one in _OTHER_KERNELS]
    return [one for one in found if one.engine == "ours" or not size.recurrent]


def _pieces(words: int) -> int:
    """Pieces of a sentence of so many words, with the end of the sentence."""
    return round(1.2 * words) + 1
