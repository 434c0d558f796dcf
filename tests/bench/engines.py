"""How fast we are beside transformers and CTranslate2 at their best, in one run on one machine.

    python tests/bench/engines.py [--rows single,batch] [--sizes opus,small,gru] [--out FOLDER]

builds models of the sizes that are compared, with random weights, for every engine; checks that
all find the same tokens; and times them in turns, each engine with all its settings, in processes
of which one runs at a time. Every translation has the same number of decoder steps. Ratios are
another engine's time over ours, each at its best setting; ours returns the attention, the others
do not. Further rows: what a start costs in time and memory, how cost grows with length, beam and
batch, and one step of our decoder against what the machine allows. The machine must have nothing
else to do; rounds in which other programs were busy are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from speed.compare import compare, same_tokens
from speed.growth import growth
from speed.machine import describe, speeds
from speed.models import SIZES
from speed.real import real
from speed.report import write
from speed.rows import row_groups
from speed.starts import starts
from speed.step import step_profile

from seq2seq import kernels
from seq2seq.catalogue import locate

ROOT = Path(__file__).resolve().parents[2]
_GROUPS = ("equal", "single", "length", "batch", "start", "growth", "step", "users")


def main() -> int:
    """Measure, print and write down."""
    options = _options()
    wanted, sizes, threads = options.rows, options.sizes, options.threads
    rounds = 3 if options.quick else options.rounds
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)  # if not, say so now
    kernels.build()
    report: dict[str, Any] = {"machine": describe(), "rows": []}
    report["machine"]["speeds"] = speeds(threads)
    print(json.dumps(report["machine"]))
    chosen = [SIZES[name] for name in sizes]
    if "equal" in wanted:
        report["equal"] = [
            same_tokens(size, options.models) for size in chosen if not size.recurrent
        ]
    if options.checkpoint:
        folder = locate(options.checkpoint)
        report["real"] = real(folder, options.models, lines=100, rounds=min(rounds, 5))
        if "users" in wanted:
            report["users"] = users(folder)
    for group, rows in row_groups(sizes).items():
        if group in wanted and rows:
            report["rows"] += compare(
                rows, options.models, threads=threads, seconds=options.seconds, rounds=rounds
            )
    if "start" in wanted:
        runs = 1 if options.quick else 3
        report["start"] = [starts(size, options.models, runs=runs) for size in chosen]
    if "growth" in wanted:
        rounds = min(rounds, 5)
        report["growth"] = [growth(size, options.models, rounds=rounds) for size in chosen]
    if "step" in wanted:
        report["step"] = [
            step_profile(size, options.models, beam=beam) for size in chosen for beam in (1, 4)
        ]
    if options.out:
        write(report, options.out)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default=",".join(_GROUPS), help="which, of %(default)s")
    parser.add_argument("--sizes", default="opus,small,gru", help=f"of {','.join(SIZES)}")
    parser.add_argument("--checkpoint", help="a model of ours: its texts, and users at once")
    parser.add_argument("--threads", help="numbers to try (default: 1 and one per core)")
    parser.add_argument("--seconds", type=float, default=25, help="of a row, about")
    parser.add_argument("--rounds", type=int, default=12, help="of a row at most")
    parser.add_argument("--quick", action="store_true", help="three rounds of everything")
    parser.add_argument("--models", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for speed.json and speed.html")
    options = parser.parse_args()
    options.rows, options.sizes = options.rows.split(","), options.sizes.split(",")
    for names, known in ((options.rows, _GROUPS), (options.sizes, tuple(SIZES))):
        if unknown := set(names) - set(known):
            parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(known)}")
    counts = options.threads or f"1,{len(os.sched_getaffinity(0))}"
    options.threads = sorted(set(map(int, counts.split(","))))
    return options


def users(checkpoint: Path) -> Any:
    """What ``users.py`` beside this file says of a model."""
    command = [sys.executable, str(Path(__file__).with_name("users.py")), "--model"]
    done = subprocess.run(
        [*command, str(checkpoint)], stdout=subprocess.PIPE, text=True, check=True
    )
    print(done.stdout, end="")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
