"""From the click to the first translated word, and to the figures of the visible tab.

    python tests/bench/browser.py [--runs 15] [--chromium PATH]

Starts the app, opens it in Chromium and translates sentences of ten words, each a new one, once
the model is warm. Prints medians and the 90th percentile, in milliseconds, measured in the page.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("Tom", "Marie", "Paul", "Anne", "Luc", "Jean", "Claire", "Pierre", "Julie", "Marc")
THINGS = ("voiture", "maison", "chaise", "table", "lampe", "robe", "montre", "valise")
WATCH = """() => new Promise((done) => {
  const result = document.querySelector('#result .panel');
  const before = result.innerHTML, chart = document.querySelector('#heatmap .drawing');
  const drawn = chart && chart.data ? chart.data[0].z : null;
  const times = {}, start = performance.now();
  const look = () => {
    const now = performance.now() - start;
    const words = result.querySelectorAll('.translation .word:not(.special)');
    const fresh = result.innerHTML !== before && !result.querySelector('.strip .options');
    const busy = result.querySelector('.cursor');
    if (!times.word && words.length && busy) times.word = now;
    const gd = document.querySelector('#heatmap .drawing');
    const done_ = fresh && !busy && result.querySelector('.strip');
    if (done_ && !times.word) times.word = now;
    if (done_ && gd && gd.data && gd.data[0].z !== drawn && gd.querySelector('.hm')) {
      times.figures = now;
      return done(times);
    }
    requestAnimationFrame(look);
  };
  document.querySelector('#go').click();
  look();
})"""


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument(
        "--chromium", default=os.environ.get("CHROMIUM") or shutil.which("chromium")
    )
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-u", "app.py", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        next(line for line in app.stdout if "Running on" in line)
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=options.chromium, args=["--no-sandbox"]
                )
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(f"http://127.0.0.1:{port}")
                page.locator("#result .placeholder").wait_for()
                measure(page, runs=options.runs)
                browser.close()
        finally:
            app.terminate()


def measure(page: Page, *, runs: int) -> None:
    """Translate a new sentence each time; the first two warm everything up."""
    found = []
    for run in range(runs + 2):
        name, thing = NAMES[run % len(NAMES)], THINGS[run % len(THINGS)]
        text = f"{name} a acheté une belle {thing} rouge hier soir ici."
        page.locator("#text textarea").fill(text)
        page.wait_for_timeout(300)
        found.append(page.evaluate(WATCH))
        page.wait_for_timeout(700)
    for key, label in (("word", "first word"), ("figures", "figures of the tab")):
        times = sorted(one[key] for one in found[2:])
        high = times[min(len(times) - 1, int(0.9 * len(times)))]
        print(f"{label:20} median {statistics.median(times):6.0f} ms, 90 % below {high:6.0f} ms")


if __name__ == "__main__":
    main()
