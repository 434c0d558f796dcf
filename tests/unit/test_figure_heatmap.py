import dataclasses
import json

import numpy as np
import pytest
from ui_support import NASTY, encoding, nasty_translation, translation

from seq2seq.translation import AttentionMap
from seq2seq.ui.figures.heatmap import (
    AttentionView,
    attention_grid,
    heatmap_figure,
    heatmap_table,
    piece_labels,
)
from seq2seq.ui.figures.style import DARK_SCALE, LIGHT_SCALE

PIECES = AttentionView(unit="pieces")


def as_json(figure) -> dict:
    return json.loads(figure.to_json())


def test_pieces_show_the_weights_as_they_are() -> None:
    document = translation()
    for layer in (0, 1):
        for head in (0, 1):
            view = AttentionView(layer=layer, head=head, unit="pieces")
            grid = attention_grid(document, view)
            np.testing.assert_array_equal(
                grid.weights, document.attention.weights[:, layer, head, :]
            )
    mean = attention_grid(document, PIECES).weights
    np.testing.assert_allclose(mean, document.attention.weights.mean(axis=(1, 2)), rtol=1e-6)


def test_words_sum_over_the_source_and_average_over_the_target() -> None:
    document = translation(source=(["ch", "at"],), target=(["c", "at"],))
    weights = np.zeros((3, 1, 1, 3), dtype=np.float32)
    weights[:, 0, 0] = [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.0, 0.25, 0.75]]
    attention = AttentionMap(weights=weights, layers=("l",), heads=("h",))
    document = dataclasses.replace(document, attention=attention)
    grid = attention_grid(document, AttentionView())
    assert grid.rows == ("cat", "</s>")
    assert grid.columns == ("chat", "</s>")
    np.testing.assert_allclose(grid.weights, [[0.5, 0.5], [0.25, 0.75]], atol=1e-6)


@pytest.mark.parametrize("unit", ["words", "pieces"])
@pytest.mark.parametrize("reading", ["producing", "input"])
def test_rows_sum_to_one_in_every_view(unit: str, reading: str) -> None:
    grid = attention_grid(translation(), AttentionView(unit=unit, reading=reading))
    assert grid.weights.shape == (len(grid.rows), len(grid.columns))
    np.testing.assert_allclose(grid.weights.sum(axis=1), 1, atol=1e-5)


def test_reading_as_input_moves_the_labels_one_row_down() -> None:
    document = translation()
    produced = attention_grid(document, PIECES)
    fed = attention_grid(document, AttentionView(unit="pieces", reading="input"))
    assert produced.rows == ("The", "cat", "sle", "·eps", "</s>")
    assert fed.rows == ("<s>", "The", "cat", "sle", "·eps")
    np.testing.assert_array_equal(fed.weights, produced.weights)


def test_reading_as_input_merges_the_words_that_were_read() -> None:
    document = translation()
    fed = attention_grid(document, AttentionView(reading="input"))
    pieces = attention_grid(document, PIECES).weights
    assert fed.rows == ("<s>", "The", "cat", "sleeps")
    source = [0, 1, 1, 2, 3]  # the word of every source piece
    merged = np.zeros((5, 4))
    for column, word in enumerate(source):
        merged[:, word] += pieces[:, column]
    np.testing.assert_allclose(fed.weights[3], merged[3:5].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(fed.weights[0], merged[0], atol=1e-6)


def test_figure_holds_the_numbers_on_integer_positions() -> None:
    document = translation()
    view = AttentionView(layer=1, head=0, unit="pieces")
    figure = as_json(heatmap_figure(document, view))
    trace = figure["data"][0]
    assert trace["type"] == "heatmap"
    assert trace["x"] == [0, 1, 2, 3, 4]
    assert trace["y"] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(trace["z"], document.attention.weights[:, 1, 0, :], atol=5.1e-5)
    layout = figure["layout"]
    assert layout["xaxis"]["ticktext"] == ["Le", "ch", "·at", "dort", "&lt;/s&gt;"]
    assert layout["yaxis"]["ticktext"] == ["The", "cat", "sle", "·eps", "&lt;/s&gt;"]
    assert layout["xaxis"]["side"] == "top"
    assert layout["yaxis"]["autorange"] == "reversed"


def test_scale_is_fixed_and_has_a_legend() -> None:
    layout = as_json(heatmap_figure(translation(), AttentionView()))["layout"]
    axis = layout["coloraxis"]
    assert (axis["cmin"], axis["cmax"]) == (0, 1)
    assert axis["colorscale"] == LIGHT_SCALE
    assert axis["colorbar"]["title"]["text"] == "attention weight"
    assert layout["meta"]["dark_scale"] == DARK_SCALE


def test_hover_names_both_words_whole_and_escaped() -> None:
    document = translation(source=("anticonstitutionnellement",), target=("<b>x</b>",))
    trace = as_json(heatmap_figure(document, AttentionView()))["data"][0]
    assert trace["customdata"][0][0] == ["&lt;b&gt;x&lt;/b&gt;", "anticonstitutionnellement"]
    assert "%{customdata[0]}" in trace["hovertemplate"]
    assert "%{customdata[1]}" in trace["hovertemplate"]
    assert "%{z:.3f}" in trace["hovertemplate"]


def test_nasty_tokens_stay_text_and_equal_ones_stay_apart() -> None:
    figure = as_json(heatmap_figure(nasty_translation(), AttentionView()))
    ticks = figure["layout"]["xaxis"]["ticktext"]
    assert len(ticks) == len(NASTY) + 1
    assert ticks.count("chat") == 2
    assert ticks[0] == "&lt;b&gt;x&lt;/b&gt;"
    assert figure["layout"]["xaxis"]["tickvals"] == list(range(len(ticks)))
    shown = [*ticks, *(text for row in figure["data"][0]["customdata"] for c in row for text in c)]
    assert not any("<" in text or ">" in text for text in shown)


def test_table_has_the_same_numbers() -> None:
    document = translation()
    table = heatmap_table(document, AttentionView())
    grid = attention_grid(document, AttentionView())
    assert table.columns == ("target", "Le", "chat", "dort", "</s>", "entropy")
    assert [row[0] for row in table.rows] == list(grid.rows)
    assert table.rows[1][2] == f"{grid.weights[1, 1]:.2f}"


def test_pieces_that_continue_a_word_are_marked() -> None:
    assert piece_labels(encoding([["a", "b", "c"], "a"])) == ("a", "·b", "·c", "a", "</s>")


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (AttentionView(layer=2), "layer 2 does not exist, the model has 2"),
        (AttentionView(head=-3), "head -3 does not exist, the model has 2"),
    ],
)
def test_unknown_layer_or_head_is_named(view: AttentionView, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        heatmap_figure(translation(), view)


def test_model_without_attention_is_named() -> None:
    with pytest.raises(ValueError, match="tiny has no attention"):
        heatmap_figure(translation(with_attention=False), AttentionView())


@pytest.mark.parametrize("unit", ["words", "pieces"])
def test_hidden_weight_is_stated_not_shared_out(unit: str) -> None:
    document = translation()
    whole = attention_grid(document, AttentionView(unit=unit))
    grid = attention_grid(document, AttentionView(unit=unit, special=False))
    assert grid.columns == whole.columns[:-1]
    assert grid.shown == tuple(range(len(whole.columns) - 1))
    np.testing.assert_array_equal(grid.weights, whole.weights[:, :-1])
    np.testing.assert_allclose(grid.hidden, whole.weights[:, -1])
    np.testing.assert_allclose(grid.weights.sum(axis=1) + grid.hidden, 1, atol=1e-5)
    assert not whole.hidden.any()
