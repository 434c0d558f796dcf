"""Every number that the page shows adds up, on real sentences and an embedded model."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from seq2seq import Translation, Translator
from seq2seq.catalogue import embedded_folders
from seq2seq.difference import difference
from seq2seq.path import best_path, path_to
from seq2seq.translation import AttentionMap
from seq2seq.ui.figures.candidates import candidate_bars
from seq2seq.ui.figures.heatmap import AttentionView, attention_grid
from seq2seq.ui.figures.links import COVERED, strongest_links

SAMPLE = Path(__file__).parents[1] / "data" / "sample.en-fr.tsv"
MODELS = [name for name in embedded_folders() if name.startswith("fr-en")]


@cache
def documents(model: str) -> tuple[Translation, ...]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:25]
    translator = Translator.load(model)
    texts = [row[1] for row in rows]
    return tuple(translator.translate(texts, beam=4, n_best=3, trace=True))


pytestmark = pytest.mark.parametrize("model", MODELS)


def test_step_scores_add_up_to_the_score_of_the_sentence(model: str) -> None:
    for document in documents(model):
        path = best_path(document)
        total = sum(step.chosen.step_score for step in path)
        assert total == pytest.approx(path[-1].chosen.cumulative, abs=1e-5)
        assert total == pytest.approx(document.log_probability, abs=1e-4)
        assert path[-1].chosen.normalised == pytest.approx(document.score, abs=1e-5)
        length = len(document.target.pieces)
        assert document.score == pytest.approx(document.log_probability / length, abs=1e-4)


def test_every_translation_of_the_list_adds_up(model: str) -> None:
    for document in documents(model):
        assert document.trace is not None
        scores = [one.score for one in document.n_best]
        assert scores == sorted(scores, reverse=True)
        for one in document.n_best:
            path = path_to(document.trace, one.node)
            assert [step.chosen.token for step in path] == list(one.target.ids)
            assert sum(one.token_log_probabilities) == pytest.approx(one.log_probability, abs=1e-5)


def test_children_add_to_their_parents_all_over_the_tree(model: str) -> None:
    for document in documents(model):
        assert document.trace is not None
        for step in document.trace.steps:
            for expansion in step.expansions:
                for candidate in expansion.candidates:
                    total = expansion.cumulative + candidate.step_score
                    assert candidate.cumulative == pytest.approx(total, abs=1e-5)
                    assert candidate.probability == pytest.approx(
                        np.exp(candidate.step_score), abs=1e-5
                    )


def test_bars_of_a_step_add_up_to_one(model: str) -> None:
    for document in documents(model):
        for step in best_path(document):
            bars = candidate_bars(document, step)
            assert sum(bar.probability for bar in bars) == pytest.approx(1, abs=1e-4)


def test_words_are_products_of_their_pieces(model: str) -> None:
    for document in documents(model):
        product = np.prod(document.word_probabilities)
        assert product == pytest.approx(np.exp(document.log_probability), rel=1e-4)


@pytest.mark.parametrize("reading", ["producing", "input"])
@pytest.mark.parametrize("unit", ["words", "pieces"])
def test_rows_of_every_map_add_up_to_one(model: str, unit: str, reading: str) -> None:
    for document in documents(model):
        attention = document.attention
        if attention is None:
            continue
        for layer in (None, *range(len(attention.layers))):
            for head in (None, *range(len(attention.heads))):
                view = AttentionView(layer=layer, head=head, unit=unit, reading=reading)  # type: ignore[arg-type]
                weights = attention_grid(document, view).weights
                np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-4)


def test_lines_and_what_they_leave_out_add_up_to_one(model: str) -> None:
    for document in documents(model):
        if document.attention is None:
            continue
        weights = attention_grid(document, AttentionView()).weights
        links = strongest_links(weights)
        for row, values in enumerate(weights):
            drawn = sum(link.weight for link in links if link.target == row)
            assert drawn >= COVERED - 1e-5
            assert drawn <= values.sum() + 1e-6


def test_what_is_lost_without_a_word_is_a_difference_of_probabilities(model: str) -> None:
    translator = Translator.load(model)
    for document in documents(model)[:8]:
        found = translator.occlusion(document)
        np.testing.assert_allclose(found.probabilities, document.word_probabilities, atol=1e-4)
        without = found.probabilities[:, None] - found.drops
        assert without.min() >= -1e-6
        assert without.max() <= 1 + 1e-6


def test_changes_of_score_add_up(model: str) -> None:
    translator = Translator.load(model)
    for document in documents(model)[:8]:
        other = translator.translate(
            document.source.text, beam=4, n_best=3, prefix=document.n_best[-1].target.ids[:2],
            trace=True,
        )  # fmt: skip
        change = difference(document, other)
        assert document.score + change.score == pytest.approx(other.score)
        if document.attention is not None:
            assert change.attention is None or 0 <= change.attention <= 1
            words = AttentionMap.merge_words(
                document.attention.select(), source=document.source, target=document.target
            )
            assert words.shape == (len(document.target.words), len(document.source.words))
