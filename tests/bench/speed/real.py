"""A checkpoint of ours beside the others: same texts in fp32, then whole translations in int8."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from seq2seq import Translator
from seq2seq.formats import load_model
from seq2seq.text.moses_bpe import MosesBpe
from speed.models import export

__all__ = ["real"]

_DATA = Path(__file__).resolve().parents[2] / "data"


def real(checkpoint: Path, root: Path, *, lines: int, rounds: int) -> dict[str, Any]:
    """Translate sample sentences with the model's own beam, one after the other, one thread each.

    Ours goes from text to a translation with its attention; CTranslate2 from pieces to pieces.

    Args:
        checkpoint: folder of a model that can be exported.
        root: where the exports go.
        lines: of the samples.
        rounds: of the timing.
    """
    import ctranslate2

    loaded = load_model(checkpoint)
    text, search = loaded.text, loaded.info.search
    assert isinstance(text, MosesBpe)
    source, target = loaded.info.directions[0]
    folder = root / "real"
    shutil.rmtree(folder, ignore_errors=True)
    export(checkpoint, folder)
    names = {n: p for p, n in json.loads((folder / "marian/vocab.json").read_text()).items()}
    order = json.loads((folder / "ids.json").read_text())
    piece = {old: names[new] for new, old in enumerate(order)}
    number = {name: old for old, name in piece.items()}
    samples = _samples(source)[:lines]
    inputs = [
        [piece[n] for n in text.encode(line, language=source, target_language=target).ids]
        for line in samples
    ]

    def theirs(engine: Any, row: list[str]) -> list[int]:
        found = engine.translate_batch(
            [row], beam_size=search.beam, length_penalty=search.length_penalty, patience=2
        )[0]
        return [number[name] for name in found.hypotheses[0]]

    exact = Translator.load(str(checkpoint), precision="fp32", threads=1)
    engine = ctranslate2.Translator(
        str(folder / "ct2-float32"), compute_type="float32", intra_threads=1
    )
    ours = [exact.translate(line, source=source, target=target).text for line in samples]
    equal = sum(
        text.decode(theirs(engine, row), language=target).text == line
        for row, line in zip(inputs, ours, strict=True)
    )
    fast = Translator.load(str(checkpoint), precision="int8", threads=1)
    engine = ctranslate2.Translator(str(folder / "ct2-int8"), compute_type="int8", intra_threads=1)
    times: dict[str, list[float]] = {"ours": [], "ctranslate2": []}
    for turn in range(rounds + 1):
        for line, row in zip(samples, inputs, strict=True):
            begun = time.perf_counter()
            fast.translate(line, source=source, target=target)
            between = time.perf_counter()
            theirs(engine, row)
            if turn:
                times["ours"].append(between - begun)
                times["ctranslate2"].append(time.perf_counter() - between)
    middle = {name: 1000 * statistics.mean(found) for name, found in times.items()}
    report = {
        "model": loaded.info.name, "lines": len(samples), "equal_texts": equal,
        "beam": search.beam, "mean_ms": middle, "ratio": middle["ctranslate2"] / middle["ours"],
    }  # fmt: skip
    print(json.dumps(report))
    return report


def _samples(language: str) -> list[str]:
    other = language if language != "en" else "fr"
    rows = (_DATA / f"sample.en-{other}.tsv").read_text(encoding="utf-8").splitlines()
    return [row.split("\t")[language != "en"] for row in rows]
