"""How long each figure takes to compute, and how large it is on its way to the browser.

    python tests/bench/figures.py --model fr-en-transformer

Sentences of 10 and of about 60 words, with the page's own settings and with beam 10.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from seq2seq import Translation, Translator
from seq2seq.ui import views
from seq2seq.ui.attention_tab import Measured, attention_panel
from seq2seq.ui.figures.heatmap import AttentionView
from seq2seq.ui.sentence import result_view
from seq2seq.ui.steps import player_view

TEN = "Ma sœur a acheté une vieille voiture rouge hier soir."
SIXTY = " ".join(
    [
        "Les enfants que tu as vus hier jouent dans le jardin de ma grand-mère,",
        "et mon père, qui travaille dans une grande maison près de la mer,",
        "dit toujours que nous devons apprendre à parler plusieurs langues,",
        "parce que les gens que nous rencontrons en voyage",
        "ne comprennent pas souvent ce que nous voulons leur dire quand ils sont fatigués.",
    ]
)
REPEATS = 5


def main() -> None:
    """Print milliseconds and kilobytes of every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="fr-en-transformer")
    options = parser.parse_args()
    translator = Translator.load(options.model, threads=1)
    print(f"{'figure':34}{'median ms':>10}{'kB':>8}")
    for name, text, beam in (("10 words", TEN, 5), ("60 words", SIXTY, 5), ("60 words", SIXTY, 10)):
        document = translator.translate(text, beam=beam, n_best=3, trace=True)
        words = len(text.split())
        print(f"{name} ({words} in, {len(document.target.pieces)} pieces out), beam {beam}")
        for label, draw in figures(translator, document).items():
            print(f"  {label:32}{milliseconds(draw):>10.1f}{size(draw()):>8.0f}")


def figures(translator: Translator, document: Translation) -> dict[str, Callable[[], Any]]:
    """Everything that the page draws of one translation."""
    view, measured = AttentionView(), Measured()

    def picture(name: Any) -> Callable[[], Any]:
        return lambda: attention_panel(document, view, name, measured=measured)

    def occlusion() -> Any:
        found = translator.occlusion(document)
        return attention_panel(document, view, "occlusion", measured=measured, occlusion=found)

    return {
        "sentence, options and signs": lambda: result_view(document),
        "heatmap": picture("heatmap"),
        "alignment lines": picture("lines"),
        "all layers and heads": picture("heads"),
        "leaving words out, model included": occlusion,
        "steps": lambda: player_view(document),
        "candidates of all steps": lambda: views.candidates_view(document),
        "attention of all steps": lambda: views.attention_steps_view(document, view),
        "beam tree": lambda: views.tree_view(document, pruned="near"),
        "document": lambda: views.document_view(document),
    }


def milliseconds(draw: Callable[[], Any]) -> float:
    """Median over a few runs."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        draw()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def size(value: Any) -> float:
    """Kilobytes as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode()) / 1000


if __name__ == "__main__":
    main()
