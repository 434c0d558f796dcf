"""Alignment lines, the overview of heads, and the map of left-out words."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ui_support import NASTY, nasty_translation, translation

from seq2seq.occlusion import Occlusion
from seq2seq.ui.figures.heatmap import AttentionView, attention_grid, entropies, heatmap_figure
from seq2seq.ui.figures.links import links_figure, links_table, strongest_links
from seq2seq.ui.figures.occlusion import occlusion_figure, occlusion_table
from seq2seq.ui.figures.overview import MOST_CELLS, overview_figure, overview_maps, overview_table

WORDS = AttentionView()


def as_json(figure: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(figure.to_json())
    return value


# --- Entropy ---


def test_entropy_of_one_of_half_and_of_all() -> None:
    rows = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    np.testing.assert_allclose(entropies(rows), [0, np.log(2), np.log(4)])


def test_bars_beside_the_map_are_shares_of_an_even_spread() -> None:
    document = translation()
    bars = as_json(heatmap_figure(document, WORDS))["data"][1]
    grid = attention_grid(document, WORDS)
    np.testing.assert_allclose(
        bars["x"], entropies(grid.weights) / np.log(len(grid.columns)), atol=1e-3
    )
    assert all(0 <= value <= 1 for value in bars["x"])


# --- Lines ---


def test_the_fewest_columns_that_hold_three_quarters() -> None:
    weights = np.array([[0.8, 0.1, 0.1], [0.3, 0.3, 0.4], [0.5, 0.25, 0.25]])
    links = [(link.target, link.source) for link in strongest_links(weights)]
    assert links == [(0, 0), (1, 2), (1, 0), (1, 1), (2, 0), (2, 1)]


@given(arrays(np.float64, (3, 5), elements=st.floats(0.001, 1)), st.floats(0.1, 1))
def test_no_smaller_set_would_do(raw: np.ndarray, covered: float) -> None:
    weights = raw / raw.sum(axis=1, keepdims=True)
    for row in range(3):
        own = [
            link.weight for link in strongest_links(weights, covered=covered) if link.target == row
        ]
        assert sum(own) >= covered - 1e-6
        assert sum(own) - min(own) < covered + 1e-6
        assert own == sorted(own, reverse=True)


def test_lines_join_the_right_words() -> None:
    document = translation()
    grid = attention_grid(document, WORDS)
    figure = as_json(links_figure(document, WORDS))
    lines = [t for t in figure["data"] if t["mode"] == "lines"]
    drawn = {(line["y"][1], line["y"][0]) for line in lines}
    assert drawn == {(one.target, one.source) for one in strongest_links(grid.weights)}
    texts = [t for t in figure["data"] if t["mode"] == "text"]
    assert [t.strip() for t in texts[0]["text"]] == ["Le", "chat", "dort", "&lt;/s&gt;"]
    assert [t.strip() for t in texts[1]["text"]] == ["The", "cat", "sleeps", "&lt;/s&gt;"]
    middles = next(t for t in figure["data"] if t["mode"] == "markers")
    assert {(c[3], c[2]) for c in middles["customdata"]} == drawn


def test_the_table_says_what_is_not_drawn() -> None:
    table = links_table(translation(), WORDS)
    for _, sources, rest in table.rows:
        drawn = sum(float(part.rsplit(" ", 1)[1]) for part in sources.split(", "))
        assert drawn + float(rest) == pytest.approx(1, abs=0.03)
        assert float(rest) <= 0.25


def test_lines_escape_their_words() -> None:
    text = json.dumps(as_json(links_figure(nasty_translation(), WORDS)))
    for markup in (NASTY[0], NASTY[1], NASTY[2]):
        assert markup not in text


# --- All heads ---


def test_every_head_is_there_as_it_is() -> None:
    document = translation()
    maps = overview_maps(document)
    assert maps.shape == (2, 2, 4, 4)
    for layer in (0, 1):
        for head in (0, 1):
            grid = attention_grid(document, AttentionView(layer=layer, head=head))
            np.testing.assert_allclose(maps[layer, head], grid.weights)
    pieces = overview_maps(document, unit="pieces")
    np.testing.assert_allclose(pieces[1, 0], document.attention.weights[:, 1, 0])


def test_the_place_of_a_map_names_its_layer_and_head() -> None:
    figure = as_json(overview_figure(translation()))
    maps = overview_maps(translation())
    assert len(figure["data"]) == 4
    for number, cells in enumerate(figure["data"]):
        layer, head = divmod(number, 2)
        rows, columns = (int(n) for n in cells["z"]["shape"].split(","))
        values = np.frombuffer(base64.b64decode(cells["z"]["bdata"]), dtype=np.uint8)
        np.testing.assert_allclose(
            values.reshape(rows, columns) / 255, maps[layer, head], atol=2e-3
        )
        for first, step, count, index in (
            (cells["x0"], cells["dx"], columns, head),
            (cells["y0"], cells["dy"], rows, layer),
        ):
            assert index < first - step / 2
            assert first + step * (count - 0.5) < index + 1


def test_long_sentences_are_drawn_coarser() -> None:
    document = translation(source=["a"] * 130, target=["b"] * 70)
    maps = overview_maps(document)
    assert maps.shape[2] <= MOST_CELLS
    assert maps.shape[3] <= MOST_CELLS
    assert len(json.dumps(as_json(overview_figure(document)))) < 1e6


def test_the_overview_has_a_table() -> None:
    table = overview_table(translation())
    assert table.columns == ("layer", "head 1", "head 2")
    assert [row[0] for row in table.rows] == ["layer 1", "layer 2"]


def test_without_attention_there_is_no_overview() -> None:
    with pytest.raises(ValueError, match="no attention"):
        overview_maps(translation(with_attention=False))


# --- Left out ---


def left_out() -> Occlusion:
    drops = np.array([[0.5, -0.25, 0], [0, 0.7, 0], [0.1, 0.1, 0.1], [0, 0, 0]])
    return Occlusion((0, 1, 2), np.array([0.9, 0.7, 0.2, 1.0]), drops)


def test_drops_are_drawn_on_one_scale() -> None:
    figure = as_json(occlusion_figure(translation(), left_out()))
    assert figure["data"][0]["z"][0] == [0.5, -0.25, 0]
    axis = figure["layout"]["coloraxis"]
    assert (axis["cmin"], axis["cmax"]) == (-1, 1)
    assert figure["layout"]["xaxis"]["ticktext"] == ["Le", "chat", "dort"]
    assert figure["data"][0]["customdata"][0][0] == ["The", "Le", "90 %", "40 %"]
    assert figure["layout"]["meta"]["columns"] == [0, 1, 2]


def test_drops_as_text() -> None:
    table = occlusion_table(translation(), left_out())
    assert table.columns == ("target", "probability", "without Le", "without chat", "without dort")
    assert table.rows[0] == ("The", "90 %", "50", "-25", "0")


def test_left_out_words_are_escaped() -> None:
    document = nasty_translation()
    words = tuple(range(len(NASTY)))
    size = (len(document.target.words), len(words))
    occlusion = Occlusion(words, np.ones(size[0]), np.zeros(size))
    text = json.dumps(as_json(occlusion_figure(document, occlusion)))
    assert NASTY[0] not in text
    assert NASTY[1] not in text


def test_a_map_that_was_replaced_does_not_change() -> None:
    document = translation()
    before = document.attention.weights.copy()
    for draw in (links_figure, heatmap_figure):
        draw(document, WORDS)
    overview_figure(document)
    np.testing.assert_array_equal(document.attention.weights, before)
    assert dataclasses.is_dataclass(document)
