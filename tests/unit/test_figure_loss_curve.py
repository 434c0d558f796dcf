"""The loss curve shows the recorded values."""

from pathlib import Path

from seq2seq.ui.figures.loss_curve import loss_curve, write_loss_curve

CURVE = [
    {"step": 10, "train_nll": 3.0, "dev_loss": 3.5, "dev_bleu": 1.0},
    {"step": 20, "train_nll": 2.0, "dev_loss": 2.75, "dev_bleu": 9.5},
]


def test_values_and_axes() -> None:
    figure = loss_curve(CURVE, title="<b>run</b>")
    found = {trace.name: (list(trace.x), list(trace.y), trace.yaxis) for trace in figure.data}
    assert found == {
        "training loss": ([10, 20], [3.0, 2.0], "y"),
        "dev loss": ([10, 20], [3.5, 2.75], "y"),
        "dev BLEU": ([10, 20], [1.0, 9.5], "y2"),
    }
    assert figure.layout.title.text == "&lt;b&gt;run&lt;/b&gt;"


def test_file_needs_no_network(tmp_path: Path) -> None:
    write_loss_curve(CURVE, tmp_path / "loss.html", title="run")
    page = (tmp_path / "loss.html").read_text(encoding="utf-8")
    assert 'src="http' not in page
    assert "Plotly.newPlot" in page
    assert [path.name for path in tmp_path.iterdir()] == ["loss.html"]
