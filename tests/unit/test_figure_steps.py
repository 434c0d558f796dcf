import dataclasses
import json

import numpy as np
import pytest
from ui_support import beam_translation, candidate, nasty_translation, translation

from seq2seq.path import best_path, path_nodes, token_text
from seq2seq.ui.figures.attention_step import attention_step_figures, attention_step_tables
from seq2seq.ui.figures.candidates import (
    OTHERS,
    candidate_bars,
    candidates_figures,
    candidates_tables,
)
from seq2seq.ui.figures.style import ACCENT, MUTED


def as_json(figure) -> dict:
    return json.loads(figure.to_json())


# --- The way through the trace ---


def test_path_follows_the_translation() -> None:
    document = beam_translation()
    path = best_path(document)
    assert [step.position for step in path] == [0, 1]
    assert [step.chosen.token for step in path] == [10, 2]
    assert [step.expansion.node for step in path] == [0, 1]
    assert path_nodes(document) == {0, 1, 3}


def test_path_takes_the_first_finished_hypothesis_where_the_n_best_list_is_silent() -> None:
    document = beam_translation()
    silent = dataclasses.replace(document.n_best[0], node=None)
    assert best_path(dataclasses.replace(document, n_best=(silent,))) == best_path(document)


def test_no_trace_no_path() -> None:
    document = translation(with_trace=False)
    assert best_path(document) == ()
    assert path_nodes(document) == frozenset()
    assert candidates_figures(document) == ()
    assert candidates_tables(document) == ()


def test_token_without_a_text_is_shown_by_its_number() -> None:
    assert token_text(beam_translation(), 10) == "a"
    assert token_text(beam_translation(), 77) == "#77"


def test_pieces_that_continue_a_word_have_a_dot() -> None:
    names = {1: "␣cat", 2: "k", 3: "</s>", 4: "<0xEB>", 5: "␣", 6: "<"}
    document = dataclasses.replace(beam_translation(), piece_texts=names)
    shown = [token_text(document, token) for token in names]
    assert shown == ["cat", "·k", "</s>", "<0xEB>", "␣", "·<"]


def test_languages_without_word_starts_have_no_dots() -> None:
    document = dataclasses.replace(beam_translation(), piece_texts={1: "猫", 2: "坐在"})
    assert [token_text(document, token) for token in (1, 2)] == ["猫", "坐在"]


# --- Candidates ---


def test_bars_in_order_of_rank_with_the_rest_adding_up_to_one() -> None:
    document = beam_translation()
    bars = candidate_bars(document, best_path(document)[0])
    assert [bar.text for bar in bars] == ["a", "b", "c", OTHERS]
    assert [bar.probability for bar in bars[:3]] == [0.6, 0.3, 0.05]
    assert sum(bar.probability for bar in bars) == pytest.approx(1)
    assert [bar.chosen for bar in bars] == [True, False, False, False]
    assert [bar.rank for bar in bars] == [1, 2, 3, None]
    assert bars[2].note == "pruned: outside beam"


def test_a_chosen_piece_of_low_rank_is_still_shown() -> None:
    document = beam_translation()
    step = best_path(document)[0]
    low = candidate(99, 0.001, rank=40, fate="kept", node=1)
    others = tuple(candidate(200 + i, 0.05, rank=i + 1) for i in range(12))
    expansion = dataclasses.replace(step.expansion, candidates=(*others, low))
    bars = candidate_bars(document, dataclasses.replace(step, expansion=expansion, chosen=low))
    assert len(bars) == 11
    assert bars[-2].chosen
    assert bars[-2].rank == 40
    assert bars[-1].probability == pytest.approx(1 - 9 * 0.05 - 0.001)


def test_candidate_figure_values_and_colours() -> None:
    figure = as_json(candidates_figures(beam_translation())[0])
    trace = figure["data"][0]
    assert trace["orientation"] == "h"
    assert trace["x"] == pytest.approx([0.6, 0.3, 0.05, 0.05])
    assert trace["y"] == [0, 1, 2, 3]
    assert trace["text"] == ["60 % ◀", "30 %", "5.0 %", "5.0 %"]
    assert trace["marker"]["color"] == [ACCENT, MUTED, MUTED, MUTED]
    assert trace["marker"]["pattern"]["shape"] == ["", "", "", "/"]
    assert figure["layout"]["yaxis"]["ticktext"] == ["a", "b", "c", OTHERS]


def test_steps_share_axes_and_size_so_that_nothing_jumps() -> None:
    layouts = [as_json(figure)["layout"] for figure in candidates_figures(beam_translation())]
    assert len(layouts) == 2
    for key in ("height", "margin"):
        assert layouts[0][key] == layouts[1][key]
    assert layouts[0]["xaxis"]["range"] == layouts[1]["xaxis"]["range"]
    assert layouts[0]["yaxis"]["range"] == layouts[1]["yaxis"]["range"]


def test_candidate_table_says_which_was_taken() -> None:
    first, second = candidates_tables(beam_translation())
    assert first.rows[0] == ("a", "60 %", "1", "-0.511", "-0.511", "taken (kept: best in beam)")
    assert first.rows[3] == (OTHERS, "5.0 %", "–", "–", "–", "the rest of the vocabulary together")
    assert second.caption == "Candidates for token 2"
    assert second.rows[0][:2] == ("</s>", "90 %")


def test_nasty_candidates_are_escaped() -> None:
    for figure in candidates_figures(nasty_translation()):
        value = as_json(figure)
        texts = [*value["layout"]["yaxis"]["ticktext"]]
        texts += [text for row in value["data"][0]["customdata"] for text in row]
        assert not any("<" in text or ">" in text for text in texts)


# --- Attention at one step ---


def test_attention_bars_are_the_row_of_the_step() -> None:
    document = translation()
    figures = attention_step_figures(document, layer=1, head=0)
    assert len(figures) == len(document.target.pieces)
    for position, figure in enumerate(figures):
        trace = as_json(figure)["data"][0]
        expected = document.attention.weights[position, 1, 0]
        np.testing.assert_allclose(trace["y"], expected, atol=5.1e-5)
        assert trace["x"] == [0, 1, 2, 3, 4]


def test_attention_axis_is_fixed_and_labelled_with_the_source() -> None:
    layout = as_json(attention_step_figures(translation())[0])["layout"]
    assert layout["yaxis"]["range"] == [0, 1]
    assert layout["xaxis"]["ticktext"] == ["Le", "ch", "·at", "dort", "&lt;/s&gt;"]


def test_attention_tables_have_a_row_per_source_piece() -> None:
    document = translation()
    tables = attention_step_tables(document, layer=0, head=1)
    assert len(tables) == 5
    weight = document.attention.weights[2, 0, 1, 3]
    assert tables[2].rows[3] == ("dort", f"{weight:.3f}")


def test_attention_steps_need_attention() -> None:
    with pytest.raises(ValueError, match="no attention"):
        attention_step_figures(translation(with_attention=False))
