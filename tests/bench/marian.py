"""One sentence through transformers and through us, from one Marian folder.

    python tests/bench/marian.py FOLDER "Ein Satz."

prints both translations, both pictures of the attention (mean of all layers and heads, a row per
target piece), and how far the two are apart. FOLDER is what `python -m seq2seq pull` printed. What
`python -m seq2seq export` wrote has to get words cut by Moses, each with a space before it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import MarianMTModel, MarianTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from seq2seq import Translator

SHADES = " ░▒▓█"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sentence")
    parser.add_argument("--beam", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = readable(options.folder, Path(scratch) / options.folder.name)
        theirs = by_transformers(folder, options.sentence, options.beam)
        ours = by_us(folder, options.sentence, options.beam)
    for name, (text, pieces, weights) in (("transformers", theirs), ("seq2seq", ours)):
        print(f"{name}: {text}")
        for piece, row in zip(pieces, weights, strict=True):
            cells = "".join(SHADES[min(int(w * 2 * len(SHADES)), len(SHADES) - 1)] * 2 for w in row)
            print(f"  {piece:>14} |{cells}|")
    print(
        json.dumps(
            {
                "same text": theirs[0] == ours[0],
                "same pieces": theirs[1] == ours[1],
                "largest difference of attention": float(np.abs(theirs[2] - ours[2]).max())
                if theirs[2].shape == ours[2].shape
                else None,
            }
        )
    )


def readable(folder: Path, copy: Path) -> Path:
    """A copy that says nothing about its text being cut into words: here it is given so."""
    shutil.copytree(folder, copy)
    path = copy / "tokenizer_config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values.pop("words", None)
    path.write_text(json.dumps(values), encoding="utf-8")
    return copy


def by_transformers(folder: Path, sentence: str, beam: int) -> tuple[str, list[str], np.ndarray]:
    tokenizer: Any = MarianTokenizer.from_pretrained(folder)
    model: Any = MarianMTModel.from_pretrained(folder, attn_implementation="eager").eval()
    batch = tokenizer(sentence, return_tensors="pt")
    with torch.no_grad():
        found = model.generate(**batch, num_beams=beam)
        output = model(**batch, decoder_input_ids=found[:, :-1], output_attentions=True)
    weights = torch.stack(output.cross_attentions).mean(dim=(0, 2))[0].numpy()
    text = tokenizer.decode(found[0], skip_special_tokens=True)
    return text, tokenizer.convert_ids_to_tokens(found[0, 1:]), weights


def by_us(folder: Path, sentence: str, beam: int) -> tuple[str, list[str], np.ndarray]:
    translator = Translator.load(str(folder), precision="fp32")
    found = translator.translate(sentence, beam=beam)
    assert found.attention is not None
    separate = folder / "target_vocab.json"
    path = separate if separate.is_file() else folder / "vocab.json"
    pieces = json.loads(path.read_text(encoding="utf-8"))
    names = {number: piece for piece, number in pieces.items()}
    return (
        found.text,
        [names[number] for number in found.target.ids],
        found.attention.weights.mean(axis=(1, 2)),
    )


if __name__ == "__main__":
    main()
