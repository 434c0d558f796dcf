"""The bench that compares engines runs, and compares the same work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ctranslate2")
pytest.importorskip("transformers")

BENCH = Path(__file__).parents[1] / "bench" / "engines.py"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict:
    root = tmp_path_factory.mktemp("bench")
    command = [sys.executable, str(BENCH), "--sizes", "tiny", "--rows", "equal,single,batch,step",
               "--quick", "--seconds", "2", "--threads", "1",
               "--models", str(root / "models"), "--out", str(root / "out")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "cdn" not in (root / "out" / "speed.html").read_text(encoding="utf-8")[:2000]
    return json.loads((root / "out" / "speed.json").read_text(encoding="utf-8"))


def test_every_engine_finds_the_same_tokens(report: dict) -> None:
    counts = report["equal"][0]["equal"]
    assert set(counts) == {"ours", "transformers", "ctranslate2"}
    assert set(counts.values()) == {report["equal"][0]["sentences"]}


def test_a_translation_has_exactly_as_many_steps_as_it_says(report: dict) -> None:
    assert {one["translation"]["steps"] for one in report["step"]} == {24}


def test_ratios_are_their_best_time_over_our_best(report: dict) -> None:
    groups = {row["group"] for row in report["rows"]}
    assert groups == {"single", "batch"}
    for row in report["rows"]:
        best = {
            engine: row["contenders"][label]["median_ms"] for engine, label in row["best"].items()
        }
        for engine in ("transformers", "ctranslate2"):
            found = row["ratios"][engine]
            assert found["ratio"] == pytest.approx(best[engine] / best["ours"])
            assert found["low"] <= found["high"]
        for label, one in row["contenders"].items():
            assert one["median_ms"] <= one["p95_ms"] * 1.0001
            assert one["median_ms"] >= best[label.split()[0]]


def test_the_machine_is_described(report: dict) -> None:
    assert report["machine"]["cores"] >= 1
    assert report["machine"]["versions"]["ctranslate2"] != "not installed"
