"""How many requests a second one translator answers, with 1, 8 and 32 users at once.

    python tests/bench/users.py --model fr-en-transformer [--beam 5 --beam 1] [--workers 2]

Every user translates one sample sentence after the other, with attention and the trace of the
search as the page asks for them, and asks for the next as soon as the last is there. Prints
requests per second and the median and 95th percentile of the time a user waits, and how many
times as many requests that is as the same sentences one at a time, by one caller; then all of it
as one line of JSON. The numbers of users take turns, several rounds, and the median round counts:
a machine that is slower for a while is so for all of them. ``--plain`` leaves out the trace. The
process must have the processor to itself for the figures to mean anything.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from seq2seq import Translator

SAMPLES = Path(__file__).resolve().parents[1] / "data"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Throughput under load.")
    parser.add_argument("--model", required=True, help="name or checkpoint folder")
    parser.add_argument("--source", default="fr")
    parser.add_argument("--target", default="en")
    parser.add_argument("--beam", type=int, action="append", help="default: 5 and 1")
    parser.add_argument("--users", type=int, action="append", help="default: 1, 8 and 32")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-tokens", type=int)
    parser.add_argument("--plain", action="store_true", help="without the trace")
    options = parser.parse_args()
    translator = Translator.load(
        options.model,
        device=options.device,
        threads=options.threads,
        workers=options.workers,
        batch_tokens=options.batch_tokens,
    )
    lines = samples(options.source)
    found = []
    print(f"{options.model}, {options.workers} worker(s), {options.threads} thread(s)")
    print("beam  users  requests/s  p50 ms  p95 ms  times one at a time")
    for beam in options.beam or (5, 1):

        def translate(text: str, beam: int = beam) -> None:
            translator.translate(
                text,
                source=options.source,
                target=options.target,
                beam=beam,
                trace=not options.plain,
            )

        for line in lines[:30]:
            translate(line)
        translator._runner.model.wait()  # for what is made in the background
        numbers = options.users or (1, 8, 32)
        rounds = [
            {
                users: measure(translate, lines, users=users, seconds=options.seconds)
                for users in numbers
            }
            for _ in range(options.rounds)
        ]
        for users in numbers:
            keys = rounds[0][users]
            row = {key: statistics.median(one[users][key] for one in rounds) for key in keys}
            ratio = None
            if 1 in numbers:  # each against the one beside it
                rate = "requests_per_second"
                ratio = statistics.median(one[users][rate] / one[1][rate] for one in rounds)
            row |= {"model": options.model, "beam": beam, "times_one_at_a_time": ratio}
            found.append(row)
            print(
                f"{beam:4}  {users:5}  {row['requests_per_second']:10.1f}  "
                f"{row['p50_ms']:6.0f}  {row['p95_ms']:6.0f}  "
                + (f"{ratio:.2f}" if ratio else "-"),
                flush=True,
            )
    print(json.dumps({"workers": options.workers, "threads": options.threads, "rows": found}))
    return 0


def samples(language: str) -> list[str]:
    """The project's sample sentences of a language, in random order."""
    other = language if language != "en" else "fr"
    rows = (SAMPLES / f"sample.en-{other}.tsv").read_text(encoding="utf-8").splitlines()
    lines = [row.split("\t")[language != "en"] for row in rows]
    random.Random(1).shuffle(lines)
    return lines


def measure(
    translate: Callable[[str], None], lines: list[str], *, users: int, seconds: float
) -> dict[str, Any]:
    """Requests per second, and milliseconds per request, of users who all ask all the time."""
    texts, lock = itertools.cycle(lines), threading.Lock()
    waits: list[float] = []
    begin = threading.Barrier(users + 1)
    end = 0.0

    def user() -> None:
        begin.wait()
        while time.perf_counter() < end:
            with lock:
                text = next(texts)
            started = time.perf_counter()
            translate(text)
            waits.append(1000 * (time.perf_counter() - started))

    threads = [threading.Thread(target=user) for _ in range(users)]
    for thread in threads:
        thread.start()
    started = time.perf_counter()
    end = started + seconds
    begin.wait()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - started  # until the last answer
    return {
        "users": users,
        "requests_per_second": len(waits) / spent,
        "p50_ms": statistics.median(waits),
        "p95_ms": statistics.quantiles(waits, n=20)[18],
    }


if __name__ == "__main__":
    sys.exit(main())
