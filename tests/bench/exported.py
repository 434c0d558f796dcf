"""An exported model scores the same in transformers and in CTranslate2.

    python tests/bench/exported.py --model fr-en-transformer FILE.tsv --columns en,fr

translates the first lines of a file with all three, each with the model's own beam and length
penalty, and prints BLEU, how many translations are equal to ours, and seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import sacrebleu
import torch
from transformers import MarianMTModel

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from seq2seq import Translator
from seq2seq.catalogue import locate
from seq2seq.formats import load_model
from seq2seq.marian.export import export_marian, new_ids
from seq2seq.text.moses_bpe import MosesBpe

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("file", type=Path)
    parser.add_argument("--columns", default="en,fr")
    parser.add_argument("--direction", default="fr-en")
    parser.add_argument("--lines", type=int, default=1000)
    options = parser.parse_args()
    columns, (source, target) = options.columns.split(","), options.direction.split("-")
    rows = [line.split("\t") for line in options.file.read_text(encoding="utf-8").splitlines()]
    rows = rows[: options.lines]
    lines = [row[columns.index(source)] for row in rows]
    references = [row[columns.index(target)] for row in rows]

    checkpoint = load_model(locate(options.model))
    text = checkpoint.text
    assert isinstance(text, MosesBpe)
    order = new_ids(text)
    new = {old: number for number, old in enumerate(order)}
    sources = [
        [new[n] for n in text.encode(line, language=source, target_language=target).ids]
        for line in lines
    ]

    def read(ids: Sequence[int]) -> str:
        kept = [order[number] for number in ids if 0 < number < len(order) - 1]
        return text.decode(kept, language=target).text

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "marian"
        export_marian(checkpoint, folder)
        translator = Translator.load(options.model, precision="fp32")
        search = checkpoint.info.search
        engines: dict[str, Callable[[], list[str]]] = {
            "seq2seq": lambda: [
                found.text
                for found in translator.translate(
                    lines, source=source, target=target, attention=False
                )
            ],
            "transformers": lambda: by_transformers(folder, sources, read),
            "ctranslate2": lambda: by_ctranslate2(
                folder, sources, read, search.beam, search.length_penalty
            ),
        }
        report: dict[str, Any] = {"lines": len(lines), "beam": search.beam}
        ours: list[str] = []
        for name, engine in engines.items():
            started = time.perf_counter()
            found = engine()
            ours = ours or found
            bleu = sacrebleu.corpus_bleu(found, [references])
            report[name] = {
                "bleu": round(bleu.score, 2),
                "equal": sum(a == b for a, b in zip(found, ours, strict=True)),
                "seconds": round(time.perf_counter() - started, 1),
            }
    print(json.dumps(report, indent=2))


def by_transformers(
    folder: Path, sources: Sequence[Sequence[int]], read: Callable[[Sequence[int]], str]
) -> list[str]:
    model: Any = MarianMTModel.from_pretrained(folder).eval()
    pad = model.config.pad_token_id
    found: dict[int, str] = {}
    by_length = sorted(range(len(sources)), key=lambda n: len(sources[n]))
    for first in range(0, len(by_length), BATCH):
        part = by_length[first : first + BATCH]
        width = max(len(sources[n]) for n in part)
        ids = torch.tensor([[*sources[n], *[pad] * (width - len(sources[n]))] for n in part])
        with torch.inference_mode():
            output = model.generate(input_ids=ids, attention_mask=(ids != pad).long())
        found.update(zip(part, map(read, output[:, 1:].tolist()), strict=True))
    return [found[n] for n in range(len(sources))]


def by_ctranslate2(
    folder: Path,
    sources: Sequence[Sequence[int]],
    read: Callable[[Sequence[int]], str],
    beam: int,
    length_penalty: float,
) -> list[str]:
    converted = folder.parent / "ct2"
    ctranslate2.converters.TransformersConverter(str(folder)).convert(str(converted))
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    names = {number: piece for piece, number in vocabulary.items()}
    engine = ctranslate2.Translator(str(converted), compute_type="float32")
    results = engine.translate_batch(
        [[names[n] for n in ids] for ids in sources],
        beam_size=beam,
        length_penalty=length_penalty,
        patience=2,  # goes on as long as the others do
        max_batch_size=BATCH,
    )
    return [read([vocabulary[piece] for piece in one.hypotheses[0]]) for one in results]


if __name__ == "__main__":
    main()
