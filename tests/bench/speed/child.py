"""A process with one engine; takes requests as lines of JSON and answers with lines of JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve()
sys.path[:0] = [str(_HERE.parents[3]), str(_HERE.parents[1])]

from speed.adapters import Contender, load  # noqa: E402


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the engines print is no answer
    folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    adapter = load(folder, Contender(**settings))

    def answer(**values: Any) -> None:
        answers.write(json.dumps({**values, "cpu": time.process_time(), **memory()}) + "\n")
        answers.flush()

    answer()
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("ready"):
            adapter.ready()
            answer()
            continue
        if request.get("forget"):  # the peak begins anew
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            answer()
            continue
        work = {key: request[key] for key in ("sources", "beam", "tokens")}
        times, found = [], []
        for number in range(request["skip"] + request["repeat"]):
            begun = time.perf_counter()
            found = adapter.translate(**work)
            if number >= request["skip"]:
                times.append(time.perf_counter() - begun)
        answer(seconds=times, tokens=found)


def memory() -> dict[str, float]:
    """Resident memory now and at its peak, in MB; nothing where the system does not say."""
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    names = {"resident": "VmRSS", "peak": "VmHWM"}
    return {ours: int(lines[name].split()[0]) / 1024 for ours, name in names.items()}


if __name__ == "__main__":
    main()
