"""How many sentences come back unchanged after words and detokenisation, and how fast.

    python tests/bench/round_trip.py en,fr FILE.tsv [en,de FILE.tsv ...]

Prints, per column, the percentage of sentences for which ``decode(encode(s))`` equals
``normalise(s)``, the sentences per second of the fast path, and each failing sentence with what
came back. The vocabulary is learnt from the same files; it has no influence on the round trip,
because every character that it lacks is spelt in bytes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from seq2seq.text.encoding import TextError
from seq2seq.text.moses_bpe import MosesBpe


def main(arguments: list[str]) -> int:
    """Run on the command line's arguments; returns the exit status."""
    if not arguments or len(arguments) % 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        columns = [
            (language, path, sentences)
            for codes, path in zip(arguments[::2], arguments[1::2], strict=True)
            for language, sentences in read(Path(path), codes.split(","))
        ]
        languages = tuple(dict.fromkeys(language for language, _, _ in columns))
        corpus = [(language, s) for language, _, sentences in columns for s in sentences]
        text = MosesBpe.train(corpus, languages=languages, vocabulary_size=16_000)
    except (OSError, UnicodeDecodeError, TextError) as error:
        print(error, file=sys.stderr)
        return 2
    for language, path, sentences in columns:
        report(text, language, path, sentences)
    return 0


def read(path: Path, languages: list[str]) -> list[tuple[str, list[str]]]:
    """The columns of a tab-separated file, one per language."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    for number, row in enumerate(rows, start=1):
        if len(row) < len(languages):
            raise TextError(f"{path}, line {number}: {len(row)} of {len(languages)} columns")
    return [(language, [row[i] for row in rows]) for i, language in enumerate(languages)]


def report(text: MosesBpe, language: str, path: str, sentences: list[str]) -> None:
    """Print the result for one column."""
    started = time.perf_counter()
    ids = [text.ids(sentence, language=language) for sentence in sentences]
    seconds = time.perf_counter() - started
    failing = []
    for sentence, sequence in zip(sentences, ids, strict=True):
        clean = text.normalise(sentence, language=language)
        back = text.decode(sequence, language=language).text
        if back != clean:
            failing.append((clean, back))
    share = 100 * (1 - len(failing) / max(1, len(sentences)))
    rate = len(sentences) / seconds
    print(
        f"{language}  {share:.2f}% of {len(sentences)}  {rate:.0f} sentences/s  {Path(path).name}"
    )
    for clean, back in failing:
        print(f"    {clean}\n  → {back}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
