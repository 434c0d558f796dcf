"""BLEU of a model over beam widths and length penalties, on a development file.

    python tests/bench/tune_search.py --model fr-en-transformer --source fr --target en \\
        --columns en,fr FILE.tsv [--beams 1,5,8] [--penalties 0,0.5,1,1.5]

The best pair goes into the ``search`` section of the model's settings. Never run it on a test
file: settings chosen there make the score there worthless.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from seq2seq import Translator
from seq2seq.config import DataFile
from seq2seq.evaluation.metrics import score
from seq2seq.training.corpus import read_pairs


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="BLEU over beam widths and length penalties.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", required=True, help="name or checkpoint folder")
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--columns", required=True)
    parser.add_argument("--beams", default="1,3,5,8")
    parser.add_argument("--penalties", default="0,0.5,1,1.5")
    options = parser.parse_args()
    file = DataFile(path=str(options.file), columns=tuple(options.columns.split(",")))
    pairs = list(read_pairs(file, Path(), options.source, options.target))
    sources, references = ([pair[side] for pair in pairs] for side in (0, 1))
    translator = Translator.load(options.model, threads=1, workers=os.cpu_count())
    print(f"{options.model}, {len(pairs)} sentences of {options.file.name}")
    print("beam  length penalty   BLEU   chrF  length ratio  seconds")
    for beam in map(int, options.beams.split(",")):
        # Greedy search has nothing to normalise.
        penalties = [1.0] if beam == 1 else map(float, options.penalties.split(","))
        for penalty in penalties:
            started = time.perf_counter()
            found = [
                translation.text
                for translation in translator.translate_many(
                    sources,
                    source=options.source,
                    target=options.target,
                    beam=beam,
                    length_penalty=penalty,
                )
            ]
            seconds = time.perf_counter() - started
            scores = score(found, references, target_language=options.target, bootstrap_samples=0)
            ratio = sum(map(len, found)) / sum(map(len, references))
            print(
                f"{beam:4} {penalty:15g} {scores.bleu.value:6.2f} {scores.chrf.value:6.2f} "
                f"{ratio:13.3f} {seconds:8.1f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
