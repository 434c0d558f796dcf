"""How fast we are beside transformers and CTranslate2 at their best, in one run on one machine.

    python tests/bench/engines.py [--rows single,batch] [--sizes opus,small,gru] [--out FOLDER]

builds models of the sizes that are compared, with random weights, for every engine; checks that
all find the same tokens; and times them in turns, each engine with all its settings, in processes
of which one runs at a time. Every translation has the same number of decoder steps. Ratios are
another engine's time over ours, each at its best setting; ours returns the attention, the others
do not. The machine must have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from speed.compare import compare, same_tokens
from speed.machine import describe
from speed.models import SIZES
from speed.rows import row_groups

_GROUPS = ("equal", "single", "length", "batch")


def main() -> int:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default=",".join(_GROUPS), help="which, of %(default)s")
    parser.add_argument("--sizes", default="opus,small,gru", help=f"of {','.join(SIZES)}")
    parser.add_argument("--seconds", type=float, default=25, help="of a row, about")
    parser.add_argument("--rounds", type=int, default=12, help="of a row at most")
    parser.add_argument("--quick", action="store_true", help="three rounds of everything")
    parser.add_argument("--models", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for speed.json")
    options = parser.parse_args()
    wanted, sizes = options.rows.split(","), options.sizes.split(",")
    for name, known in ((wanted, _GROUPS), (sizes, tuple(SIZES))):
        if unknown := set(name) - set(known):
            parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(known)}")
    rounds = 3 if options.quick else options.rounds

    report: dict[str, Any] = {"machine": describe(), "rows": []}
    print(json.dumps(report["machine"]))
    if "equal" in wanted:
        report["equal"] = [
            same_tokens(SIZES[name], options.models) for name in sizes if not SIZES[name].recurrent
        ]
    for group, rows in row_groups(sizes).items():
        if group in wanted:
            report["rows"] += compare(rows, options.models, seconds=options.seconds, rounds=rounds)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / "speed.json"
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
