"""What changed from one translation to another."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ui_support import translation

from seq2seq.difference import Stretch, difference
from seq2seq.translation import Translation

WORDS = st.lists(st.sampled_from(["the", "a", "cat", "dog", "sleeps", "猫"]), max_size=7)


def test_equal_translations_differ_in_nothing() -> None:
    found = difference(translation(), translation())
    assert found.stretches == (Stretch("same", "The cat sleeps"),)
    assert (found.score, found.log_probability, found.attention, found.common) == (0, 0, 0, 4)


def test_words_and_scores() -> None:
    before = translation(target=("The", "cat", "sleeps"), probability=0.7)
    after = translation(target=("The", "old", "dog", "sleeps"), probability=0.5)
    found = difference(before, after)
    assert [(s.kind, s.text) for s in found.stretches] == [
        ("same", "The"),
        ("removed", " cat"),
        ("added", " old dog"),
        ("same", " sleeps"),
    ]
    assert found.score == pytest.approx(np.log(0.5) - np.log(0.7))
    assert found.log_probability == pytest.approx(5 * np.log(0.5) - 4 * np.log(0.7))
    assert found.common == 3  # with the end of the sentence


def turned(document: Translation, column: int) -> Translation:
    """All attention on one source piece."""
    assert document.attention is not None
    weights = np.zeros_like(document.attention.weights)
    weights[..., column] = 1
    attention = dataclasses.replace(document.attention, weights=weights)
    return dataclasses.replace(document, attention=attention)


def test_attention_that_moved() -> None:
    one, other = turned(translation(), 0), turned(translation(), 3)
    assert difference(one, other).attention == pytest.approx(1)
    assert difference(one, one).attention == 0
    # "ch" and "at" are one word: nothing moved between words
    assert difference(turned(translation(), 1), turned(translation(), 2)).attention == 0


def test_attention_to_a_word_that_was_swapped() -> None:
    before = turned(translation(source=("Le", "chat", "dort")), 1)
    after = turned(translation(source=("Le", "chien", "dort")), 1)
    assert difference(before, after).attention == pytest.approx(1)
    still = turned(translation(source=("Le", "chien", "dort")), 2)
    assert difference(turned(before, 2), still).attention == 0


def test_no_attention_no_number() -> None:
    assert difference(translation(with_attention=False), translation()).attention is None
    assert difference(translation(), translation(with_attention=False)).attention is None


@given(WORDS, WORDS)
def test_both_texts_can_be_read_from_the_stretches(before: list[str], after: list[str]) -> None:
    one, other = translation(target=before), translation(target=after)
    found = difference(one, other)
    for left_out, document in (("added", one), ("removed", other)):
        parts = [s.text.split() for s in found.stretches if s.kind != left_out]
        assert [word for part in parts for word in part] == document.text.split()
    assert found.attention is not None
    assert 0 <= found.attention <= 1
