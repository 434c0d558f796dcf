"""What was measured, as the page shows it."""

import json
import logging
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from seq2seq.ui.figures.head_errors import head_errors, head_errors_table
from seq2seq.ui.figures.length_curve import length_curve, length_table
from seq2seq.ui.models_tab import build_models_tab, scores_table
from seq2seq.ui.results import load_results

FR_EN = ("fr", "en")


def results(name: str, *, bleu: float, heads: int = 2) -> dict[str, Any]:
    """What ``measure`` writes about a model of two layers."""
    direction = {"source": "fr", "target": "en"}
    rates = [
        {"layer": layer, "head": head, "reading": reading, "entropy": 1.5,
         "relative_error_rate": 0.1,
         "error_rate": 0.1 * (layer or 0) + 0.05 * (head or 0) + 0.3 * (reading == "input") + 0.2}
        for reading in ("producing", "input")
        for layer in (None, 0, 1)
        for head in (None, *range(heads))
    ]  # fmt: skip
    gold = {**direction, "file": "gold", "sentences": 9}
    bins = [
        {"first": 1, "last": 5, "sentences": 50, "bleu": bleu, "chrf": 50.0},
        {"first": 6, "last": 10, "sentences": 7, "bleu": 99.0, "chrf": 50.0},
        {"first": 11, "last": None, "sentences": 20, "bleu": bleu - 10, "chrf": 40.0},
    ]
    test = {
        "settings": {**direction, "file": "x/<b>.tsv"}, "sentences": 100, "seconds": 2.0,
        "bleu": bleu, "chrf": 60.0, "ter": 40.0,
        "failures": {"empty": 0, "copied": 1, "looping": 2, "wrong_language": 3},
    }  # fmt: skip
    return {
        "model": {"name": name, "architecture": "Transformer", "parameters": 7_500_000},
        "tests": [test],
        "lengths": [{**direction, "bins": bins}],
        "alignments": [
            {**gold, "best": rates[1], "best_relative": rates[0], "heads": rates},
            {**gold, "symmetrised": 0.1},
        ],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, bleu in (("b", 40.0), ("a<i>", 50.0)):
        (tmp_path / f"{name}.json").write_text(json.dumps(results(name, bleu=bleu)))
    return tmp_path


def test_damaged_results_are_left_out_and_logged(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text in (("x", "{"), ("y", "[]"), ("z", '{"model": {}}'), ("q", '{"model": 1}')):
        (folder / f"{name}.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert [model.name for model in load_results(folder)] == ["a<i>", "b"]
    assert len(caplog.records) == 4
    assert load_results(folder / "missing") == []


def test_lines_leave_out_bins_with_few_sentences(folder: Path) -> None:
    models = load_results(folder)
    figure = length_curve(models, direction=FR_EN)
    found = {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data}
    assert found == {"a&lt;i&gt;": ([0, 2], [50.0, 40.0]), "b": ([0, 2], [40.0, 30.0])}
    assert list(figure.layout.xaxis.ticktext) == ["1-5", "6-10", "11+"]
    assert len({trace.marker.symbol for trace in figure.data}) == 2
    table = length_table(models, direction=FR_EN)
    assert table.columns == ("words", "sentences", "a<i>", "b")
    assert table.rows[1] == ("6-10", "7", "99.0", "99.0")
    assert length_table(models, direction=("en", "fr")).rows == ()


def test_every_head_shows_its_error_in_the_best_reading(folder: Path) -> None:
    (alignment,) = load_results(folder)[0].alignments
    figure = head_errors(alignment)
    heatmap = figure.data[0]
    assert list(figure.layout.yaxis.ticktext) == ["layer 1", "layer 2", "mean"]
    assert list(figure.layout.xaxis.ticktext) == ["head 1", "head 2", "mean"]
    assert [list(row) for row in heatmap.text][1] == ["30 %", "35 %", "30 %"]
    assert heatmap.z[1][0] == pytest.approx(0.7)
    assert heatmap.customdata[1][0] == 1.5
    assert head_errors_table(alignment).rows[0] == (
        "layer 1", "20 %; 1.50", "25 %; 1.50", "20 %; 1.50"
    )  # fmt: skip


def test_a_model_with_one_head_needs_no_means(tmp_path: Path) -> None:
    values = results("rnn", bleu=30.0, heads=1)
    alignment = values["alignments"][0]
    alignment["heads"] = [one for one in alignment["heads"] if one["layer"] != 1]
    (tmp_path / "rnn.json").write_text(json.dumps(values))
    (found,) = load_results(tmp_path)[0].alignments
    assert head_errors_table(found).columns == ("layer", "head 1")
    assert head_errors_table(found).rows == (("layer 1", "20 %; 1.50"),)


def test_scores_stand_in_a_table(folder: Path) -> None:
    table = scores_table(load_results(folder))
    assert table.rows[0] == (
        "a<i>", "fr-en", "x/<b>.tsv", "50.0", "60.0", "50", "7.5", "2", "3"
    )  # fmt: skip
    assert len(table.rows) == 2


def test_the_tab_is_built_with_and_without_results(folder: Path) -> None:
    for models in ([], load_results(folder)):
        with gr.Blocks(analytics_enabled=False) as demo:
            build_models_tab(models)
        ids = {block.elem_id for block in demo.blocks.values() if block.elem_id}
        expected = {"scores", "lengths", "alignment-0", "alignment-1"} if models else set()
        assert ids == expected


def test_the_project_s_own_results_can_be_read() -> None:
    folder = Path(__file__).parents[2] / "assets" / "results"
    assert len(load_results(folder)) == len(list(folder.glob("*.json")))
