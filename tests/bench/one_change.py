"""What one change of a configuration gives: short trainings that differ in nothing else.

    python tests/bench/one_change.py assets/configs/multi30k-en-de.json --data DIR --out DIR \\
        --dev FILE.tsv --columns en,de --set training.max_steps=1200 \\
        --change data.vocabulary=3000 --change model.encoder_layers=6,model.decoder_layers=2

trains the configuration with what ``--set`` says, then again for every ``--change``, and prints the
parameters and the scores of each on a development file. A second seed (``--change
training.seed=2``) shows how much chance alone gives. Runs that are there already are only scored.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Train, measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", required=True, type=Path, help="folder of its files")
    parser.add_argument("--out", required=True, type=Path, help="folder for the runs")
    parser.add_argument("--dev", required=True, type=Path, help="pairs, never a test file")
    parser.add_argument("--columns", required=True)
    parser.add_argument("--set", default="", metavar="A.B=V,C.D=V", help="for all runs")
    parser.add_argument("--change", action="append", default=[], metavar="A.B=V,C.D=V")
    parser.add_argument("--tokenize", default="13a", help="of BLEU")
    parser.add_argument("--threads", default="1", help="of a training")
    options = parser.parse_args()
    for name in ("data", "out", "dev"):  # the commands run in the project's folder
        setattr(options, name, getattr(options, name).resolve())
    try:
        base = changed(json.loads(options.config.read_text(encoding="utf-8")), options.set)
        configs = [(change, changed(base, change)) for change in ["", *options.change]]
    except (KeyError, TypeError, ValueError) as error:
        parser.error(f"{error!r}: a change is SECTION.KEY=JSON, several with commas between")
    first: float | None = None
    print(f"{base['name']}, {base['training']['max_steps']} updates; {options.dev.name}, beam 5")
    print("  BLEU  by it   chrF   parameters  change", flush=True)
    for change, config in configs:
        # Known by all its settings, so that no other run is taken for it.
        name = hashlib.sha256(json.dumps(config).encode()).hexdigest()[:12]
        package = options.out / f"{name}-package"
        train(config, options.out / name, package, options)
        found = module(
            "evaluate", str(options.dev), "--columns", options.columns, "--model", str(package),
            "--beam", "5", "--tokenize", options.tokenize, "--bootstrap-samples", "0",
        )  # fmt: skip
        scores = json.loads(found)
        first = scores["bleu"] if first is None else first
        print(
            f"{scores['bleu']:6.2f} {scores['bleu'] - first:+6.2f} {scores['chrf']:6.2f} "
            f"{scores['model']['parameters']:12,}  {change or 'none'}",
            flush=True,
        )
    return 0


def changed(config: dict[str, Any], assignments: str) -> dict[str, Any]:
    """A copy with other values: ``section.key=JSON``, several with commas between."""
    copy: dict[str, Any] = json.loads(json.dumps(config))
    for assignment in filter(None, assignments.split(",")):
        place, _, value = assignment.partition("=")
        section, _, key = place.partition(".")
        if not (key and value):
            raise ValueError(assignment)
        try:
            copy[section][key] = json.loads(value)
        except json.JSONDecodeError:
            copy[section][key] = value  # a word
    return copy


def train(config: dict[str, Any], run: Path, package: Path, options: argparse.Namespace) -> None:
    """Prepare, train and package, unless it was done before."""
    if package.exists():
        return
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{run.name}.json"
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    module("prepare", str(path), "--data", str(options.data), "--out", str(run))
    resume = ["--resume"] if (run / "history.json").exists() else []
    module("train", str(path), "--out", str(run), "--threads", options.threads, *resume)
    module("package", str(run), str(package), "--storage", "int8")


def module(*arguments: str) -> str:
    """What a command of the project prints."""
    command = [sys.executable, "-m", "seq2seq", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
