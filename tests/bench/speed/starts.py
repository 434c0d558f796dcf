"""From nothing to the first translation: seconds, and the most memory on the way."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from speed.adapters import BATCH, Contender
from speed.models import Size, build, sentences
from speed.process import Running

__all__ = ["starts"]

_WANTED = {"opus": (1.3, 1.0)}
"""Our peak over that of CTranslate2 int8: the most, and the goal."""


def starts(size: Size, root: Path, *, runs: int) -> dict[str, Any]:
    """Figures of processes that load a model and translate, one after the other.

    ``load`` is from the start of the process until the model is in memory, imports included;
    ``first`` is the first translation after it (20 pieces to 24, beam 4). Peaks are those of the
    whole process: when the model is loaded, after some such translations, and after a batch.
    """
    folder = build(size, root)
    chosen = [Contender("ours", "int8")]
    if not size.recurrent:
        chosen += [
            Contender("ours", "int8", stored="marian-raw"),
            Contender("ctranslate2", "int8"),
            Contender("transformers", "bf16"),
            Contender("transformers", "fp32"),
        ]
    one, many = (sentences(size, count=count, length=20) for count in (1, BATCH))
    found: dict[str, list[dict[str, float]]] = {contender.label: [] for contender in chosen}
    for _ in range(runs):
        for contender in chosen:
            with Running(contender, folder) as runner:
                first = runner.run(one, beam=4, tokens=24)
                runner.ready()
                warm = runner.run(one, beam=4, tokens=24, skip=3)
                batch = runner.run(many, beam=4, tokens=24)
                found[contender.label].append(
                    {
                        "load_s": runner.loading,
                        "first_ms": 1000 * first.seconds[0],
                        "warm_ms": 1000 * warm.seconds[0],
                        "peak_loaded_mb": runner.peak,
                        "peak_sentence_mb": warm.peak,
                        "peak_batch_mb": batch.peak,
                    }
                )
    middle = {
        label: {key: statistics.median(run[key] for run in several) for key in several[0]}
        for label, several in found.items()
    }
    print(f"{size.name}: from nothing to the first translation")
    for label, figures in middle.items():
        print(f"  {label:34}" + "  ".join(f"{key} {value:.1f}" for key, value in figures.items()))
    report: dict[str, Any] = {"size": size.name, "contenders": middle}
    ours = middle[chosen[0].label]
    peer = middle.get(Contender("ctranslate2", "int8").label)
    if peer:
        most, goal = _WANTED.get(size.name, (None, None))
        alone, batch = (ours[key] / peer[key] for key in ("peak_sentence_mb", "peak_batch_mb"))
        report["peak"] = {"ratio": alone, "with_batch": batch, "most": most, "goal": goal}
        wanted = f", at most {most}, goal {goal}" if most else ""
        print(f"  peak over CTranslate2's: {alone:.2f}{wanted}; after a batch too {batch:.2f}")
    return report
