"""How long one sentence takes, and how much faster many lines are together.

    python tests/bench/latency.py --model fr-en-transformer [--source fr] [--threads 1] [--beam 5]

Prints the median and the 95th percentile of the time for a sentence of ten words with the whole
trace, after a warm-up, and the lines per second of the sample sentences (repeated to make
1,000) translated one by one and in batches as ``python -m seq2seq translate`` does. The process
must have the processor to itself for the figures to mean anything.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from seq2seq import Translator

SENTENCES = {
    "en": "My sister has been looking for her old car keys.",
    "fr": "Ma sœur cherche les clés de sa vieille voiture rouge.",
    "de": "Meine Schwester sucht die Schlüssel für ihr altes rotes Auto.",
    "zh": "我姐姐正在找她那辆旧红色汽车的钥匙。",
}
SAMPLES = Path(__file__).resolve().parents[1] / "data"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Latency and throughput of a model.")
    parser.add_argument("--model", required=True, help="name or checkpoint folder")
    parser.add_argument("--source", default="fr")
    parser.add_argument("--target", default="en")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--batch-tokens", type=int)
    options = parser.parse_args()
    translator = Translator.load(
        options.model,
        device=options.device,
        threads=options.threads,
        workers=options.workers,
        batch_tokens=options.batch_tokens,
    )
    settings = {"source": options.source, "target": options.target, "beam": options.beam}
    card = translator.card
    print(
        f"{card.name} ({card.architecture}, {card.parameters / 1e6:.1f} M parameters) on "
        f"{card.device}, {card.precision}, {options.threads} thread(s) per operation, "
        f"beam {options.beam}"
    )

    sentence = SENTENCES[options.source]
    times = []
    for run in range(options.runs + 5):
        started = time.perf_counter()
        found = translator.translate(sentence, trace=True, **settings)
        if run >= 5:  # after the warm-up
            times.append(1000 * (time.perf_counter() - started))
    cuts = statistics.quantiles(times, n=20)
    print(
        f"one sentence, {len(found.source.pieces)} pieces to {len(found.target.pieces)}, with "
        f"trace: p50 {statistics.median(times):.1f} ms, p95 {cuts[18]:.1f} ms ({found.text!r})"
    )

    lines = list(itertools.islice(itertools.cycle(samples(options.source)), options.lines))
    some = lines[: max(options.lines // 10, 1)]
    started = time.perf_counter()
    for line in some:
        translator.translate(line, attention=False, **settings)
    single = len(some) / (time.perf_counter() - started)
    started = time.perf_counter()
    count = sum(1 for _ in translator.translate_many(lines, **settings))
    batched = count / (time.perf_counter() - started)
    print(
        f"{count} lines: {single:.1f} lines/s one by one, {batched:.1f} lines/s in batches by "
        f"{options.workers} worker(s), {batched / single:.1f} times as many"
    )
    return 0


def samples(language: str) -> list[str]:
    """The project's sample sentences of a language."""
    other = language if language != "en" else "fr"
    rows = (SAMPLES / f"sample.en-{other}.tsv").read_text(encoding="utf-8").splitlines()
    return [row.split("\t")[language != "en"] for row in rows]


if __name__ == "__main__":
    sys.exit(main())
