"""How often each sign of trouble is seen in the translations of a file.

    python tests/bench/diagnose.py --model fr-en-transformer --columns en,fr FILE.tsv

A sign that is seen in most good translations says nothing: the thresholds of
``seq2seq/diagnosis.py`` were set so that on sentences of the kind a model was trained on each
stays rare.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from seq2seq import Translator
from seq2seq.config import DataFile
from seq2seq.diagnosis import diagnose
from seq2seq.training.corpus import read_pairs


def main() -> None:
    """Translate, diagnose, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--columns", required=True)
    parser.add_argument("--source")
    parser.add_argument("--target")
    parser.add_argument("--limit", type=int, default=500)
    options = parser.parse_args()
    translator = Translator.load(options.model)
    source, target = translator.direction(options.source, options.target)
    file = DataFile(path=str(options.file), columns=tuple(options.columns.split(",")))
    texts = [pair[0] for pair in islice(read_pairs(file, Path(), source, target), options.limit)]
    seen: Counter[str] = Counter()
    found = translator.translate_many(texts, source=source, target=target, attention=True)
    for translation in found:
        seen.update({sign.kind for sign in diagnose(translation)})
    print(f"{options.model}, {len(texts)} sentences of {options.file.name}:")
    for kind, count in seen.most_common():
        print(f"  {kind:10} {count:5} ({count / len(texts):.1%})")


if __name__ == "__main__":
    main()
