"""What the trace and the attention cost: time with both over time without.

    python tests/bench/trace.py --model fr-en-transformer [--beam 5 --beam 1] [--threads 1]

Sample sentences are decoded one at a time and in batches of 32, with and without, in turns, so
that what else the machine does falls upon both alike. Printed are the median of the times and of
the ratios of neighbours. A trace keeps what the search found, and writes its steps and the texts of
its pieces when they are looked at, which the last column has, too. The process must have the
processor to itself for the figures to mean anything.
"""

from __future__ import annotations

import argparse
import operator
import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from latency import samples

from seq2seq import Translator
from seq2seq.config import SearchConfig

Sources = list[list[int]]

BATCH = 32
MODES = ("without", "kept", "written")
MOST = 0.15
"""Of the time without."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, action="append", help="name or folder")
    parser.add_argument("--source", default="fr")
    parser.add_argument("--target", default="en")
    parser.add_argument("--beam", type=int, action="append", help="default: 5 and 1")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each figure")
    options = parser.parse_args()
    print(
        f"{'model':22} beam  sentences  ms without  ms with  more (at most {MOST:.0%})  and written"
    )
    for name in options.model:
        translator = Translator.load(name, threads=options.threads)
        translator._runner.model.wait()
        ids = [
            list(translator.encode(line, language=options.source, target=options.target).ids)
            for line in samples(options.source)
        ]
        for beam in options.beam or (5, 1):
            run = partial(decode, translator, SearchConfig(beam=beam))
            for size in (1, BATCH):
                times = race(run, ids, size=size, seconds=options.seconds)
                without, kept = (statistics.median(times[mode]) for mode in MODES[:2])
                more, all_more = (
                    statistics.median(map(operator.truediv, times[mode], times[MODES[0]])) - 1
                    for mode in MODES[1:]
                )
                print(
                    f"{name:22} {beam:4}  {size:9}  {without:10.2f}  {kept:7.2f}  {more:19.1%}"
                    f"  {all_more:11.1%}",
                    flush=True,
                )
    return 0


def decode(translator: Translator, config: SearchConfig, some: Sources, mode: str) -> None:
    """Search; with trace and attention for a document; and with the steps of every trace."""
    both = mode != "without"
    outcome = translator._runner.run(
        some, config=config, prefixes=[()] * len(some), trace=both, attention=both
    )
    for result in outcome.results:
        texts = translator._engine._writer._piece_texts(result.trace)  # a document holds them
        if mode == "written":
            _ = result.trace and result.trace.steps, len(texts)


def race(
    run: Callable[[Sources, str], None], ids: Sources, *, size: int, seconds: float
) -> dict[str, list[float]]:
    """Milliseconds in every mode; those at the same place are of the same sentences."""
    draw = random.Random(1)
    times: dict[str, list[float]] = {mode: [] for mode in MODES}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[MODES[0]]) < 5:
        some = draw.sample(ids, size)
        run(some, MODES[0])  # a warm-up with these lengths
        for mode in draw.sample(MODES, len(MODES)):
            begun = time.perf_counter()
            run(some, mode)
            times[mode].append(1000 * (time.perf_counter() - begun))
    return times


if __name__ == "__main__":
    sys.exit(main())
