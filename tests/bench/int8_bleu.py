"""What 8-bit weights and activations cost: BLEU of a model in fp32 and in int8.

    python tests/bench/int8_bleu.py --model fr-en-transformer FILE.tsv --columns en,fr

translates a test file in every direction of the model that its columns hold, or in the one that
``--direction fr-en`` names, with the model's own settings, and prints both scores, what int8
loses, and how many translations differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import sacrebleu

from seq2seq import Translator


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="name or checkpoint folder")
    parser.add_argument("file", type=Path)
    parser.add_argument("--columns", default="en,fr")
    parser.add_argument("--direction", help="all that the columns hold")
    parser.add_argument("--lines", type=int, help="only the first ones")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    columns = options.columns.split(",")
    rows = [line.split("\t") for line in options.file.read_text(encoding="utf-8").splitlines()]
    rows = rows[: options.lines]
    translators = {
        kind: Translator.load(options.model, precision=kind, threads=1, workers=options.workers)
        for kind in ("fp32", "int8")
    }
    for source, target in translators["fp32"].directions:
        named = options.direction in (None, f"{source}-{target}")
        if named and {source, target} <= set(columns):
            lines = [row[columns.index(source)] for row in rows]
            references = [row[columns.index(target)] for row in rows]
            found = {
                kind: [
                    one.text
                    for one in translator.translate_many(
                        lines, source=source, target=target, attention=False
                    )
                ]
                for kind, translator in translators.items()
            }
            said = {"model": options.model, "direction": f"{source}-{target}"}
            print(json.dumps({**said, **compared(found, references, target=target)}))
    return 0


def compared(found: dict[str, list[str]], references: list[str], *, target: str) -> dict[str, Any]:
    """Both scores, what int8 loses, and how many lines differ."""
    tokenise = "zh" if target == "zh" else "13a"
    scores = {
        kind: sacrebleu.corpus_bleu(lines, [references], tokenize=tokenise).score
        for kind, lines in found.items()
    }
    return {
        "lines": len(references),
        **{f"bleu_{kind}": round(score, 2) for kind, score in scores.items()},
        "lost": round(scores["fp32"] - scores["int8"], 2),
        "different": sum(a != b for a, b in zip(found["fp32"], found["int8"], strict=True)),
    }


if __name__ == "__main__":
    sys.exit(main())
