"""Word alignment from attention, and its error rate."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seq2seq.config import ConfigError
from seq2seq.evaluation.alignment import (
    AlignedPair,
    alignment_error_rate,
    grow_diagonal,
    joined_links,
    read_gold,
    relative,
    strongest_links,
    word_attention,
)
from seq2seq.text.encoding import Encoding, Piece, Word

LINKS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


def encoding(*words: list[str]) -> Encoding:
    """Words given as their pieces, joined by spaces, with end-of-sentence."""
    text = " ".join("".join(pieces) for pieces in words)
    result: list[Piece] = []
    found: list[Word] = []
    position = 0
    for pieces in words:
        start = position
        for piece in pieces:
            result.append(Piece(5, piece, len(found), position, position + len(piece)))
            position += len(piece)
        found.append(Word("".join(pieces), start, position))
        position += 1
    result.append(Piece(2, "</s>", len(found), len(text), len(text)))
    found.append(Word("</s>", len(text), len(text), special=True))
    return Encoding(text, "en", tuple(result), tuple(found))


def gold(sure: set[tuple[int, int]], possible: set[tuple[int, int]] | None = None) -> AlignedPair:
    words = tuple("abcdef")
    both = frozenset(sure | (possible or set()))
    return AlignedPair(words, words, frozenset(sure), both)


def test_gold_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("le chat ||| the cat\nnon ||| no\n", encoding="utf-8")
    (tmp_path / "links").write_text("1-1 2-2 1p2\n\n", encoding="utf-8")
    first, second = read_gold(tmp_path / "text", tmp_path / "links")
    assert first.source == ("le", "chat")
    assert first.sure == {(0, 0), (1, 1)}
    assert first.possible == {(0, 0), (1, 1), (0, 1)}
    assert first.reversed.possible == {(0, 0), (1, 1), (1, 0)}
    assert second == AlignedPair(("non",), ("no",), frozenset(), frozenset())


@pytest.mark.parametrize(
    ("text", "links", "message"),
    [
        ("a ||| b", "1-2", "line 1 has '1-2'"),
        ("a ||| b", "0-1", "line 1 has '0-1'"),
        ("a ||| b", "1:1", "line 1 has '1:1'"),
        ("a b", "1-1", "line 1 is not 'source"),
        ("a ||| b\nc ||| d", "1-1", "1 lines for 2"),
    ],
)
def test_damaged_gold_is_named(tmp_path: Path, text: str, links: str, message: str) -> None:
    (tmp_path / "text").write_text(text, encoding="utf-8")
    (tmp_path / "links").write_text(links, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_gold(tmp_path / "text", tmp_path / "links")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_gold(tmp_path / "text", tmp_path / "missing")


def test_pieces_become_words_in_both_readings() -> None:
    source, target = encoding(["ch", "at"], ["dort"]), encoding(["cat"], ["sle", "eps"])
    weights = np.array(
        [
            [0.5, 0.3, 0.1, 0.1],  # cat
            [0.0, 0.1, 0.8, 0.1],  # sle
            [0.2, 0.2, 0.4, 0.2],  # eps
            [0.1, 0.0, 0.0, 0.9],  # </s>
        ],
        dtype=np.float32,
    )
    pair = AlignedPair(("chat", "dort"), ("cat", "sleeps"), frozenset(), frozenset())
    producing = word_attention(weights, source, target, pair, reading="producing")
    assert producing == pytest.approx(np.array([[0.8, 0.1], [0.25, 0.6]]))
    read = word_attention(weights, source, target, pair, reading="input")
    assert read == pytest.approx(np.array([[0.1, 0.8], [0.25, 0.2]]))
    # Gold words that the pipeline joins share what lies on the joined word.
    joined = AlignedPair(("ch", "at", "dort"), ("cat", "sleeps"), frozenset(), frozenset())
    source = encoding(["ch at"], ["dort"])
    both = word_attention(weights[:, 1:], source, target, joined, reading="producing")
    assert both[0] == pytest.approx([0.15, 0.15, 0.1])


def test_the_strongest_link_per_target_word() -> None:
    attention = np.array([[0.1, 0.6, 0.2], [0.0, 0.0, 0.0], [0.9, 0.0, 0.05]])
    assert strongest_links(attention) == {(1, 0), (0, 2)}


def test_a_word_that_all_look_at_counts_for_less() -> None:
    attention = np.array([[0.4, 0.0, 0.6], [0.0, 0.3, 0.5], [0.0, 0.0, 0.9], [0.0, 0.0, 0.0]])
    assert strongest_links(attention) == {(2, 0), (2, 1), (2, 2)}
    assert strongest_links(relative(attention)) == {(0, 0), (1, 1), (2, 2)}


@given(
    arrays(np.float64, (3, 4), elements=st.sampled_from([0.0, 0.1, 0.5, 0.9])), st.floats(0.1, 9)
)
def test_relative_attention_is_a_distribution(attention: np.ndarray, factor: float) -> None:
    found = relative(attention)
    assert ((found > 0) == (attention > 0)).all()
    assert found.sum(axis=1) == pytest.approx((attention.sum(axis=1) > 0).astype(float))
    attention[:, 1] *= factor  # how much a source word gets in all makes no difference
    assert relative(attention) == pytest.approx(found)


def test_both_directions_join_what_they_look_at() -> None:
    forward = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.1, 0.5, 0.4]])
    backward = np.array([[0.8, 0.2, 0.0], [0.3, 0.6, 0.1], [0.0, 0.1, 0.9]])
    assert joined_links(forward, backward) == {(0, 0), (1, 1), (2, 2)}
    nobody = np.zeros((3, 3))
    assert joined_links(forward, nobody) == joined_links(nobody, forward.T)


def test_error_rate_of_a_worked_example() -> None:
    # 3 links found, 2 of them sure, 1 only possible; 4 sure: 1 - (2 + 3) / (3 + 4).
    pair = gold({(0, 0), (1, 1), (2, 2), (3, 3)}, {(4, 4)})
    assert alignment_error_rate([{(0, 0), (1, 1), (4, 4)}], [pair]) == pytest.approx(2 / 7)
    assert alignment_error_rate([set()], [gold(set())]) == 0.0


@given(sure=LINKS, possible=LINKS)
def test_error_rate_ends(sure: set[tuple[int, int]], possible: set[tuple[int, int]]) -> None:
    pair = gold(sure, possible)
    assert alignment_error_rate([sure], [pair]) == pytest.approx(0)
    wrong = {(i + 6, j) for i, j in sure}
    assert alignment_error_rate([wrong], [pair]) == (1 if sure else 0)


@given(forward=LINKS, backward=LINKS)
def test_growing_stays_between_intersection_and_union(
    forward: set[tuple[int, int]], backward: set[tuple[int, int]]
) -> None:
    grown = grow_diagonal(forward, backward)
    assert forward & backward <= grown <= forward | backward
    assert grow_diagonal(backward, forward) == grown
    swapped = grow_diagonal(*({(j, i) for i, j in side} for side in (forward, backward)))
    assert len(swapped) >= len(forward & backward)


def test_growing_takes_neighbours_of_words_without_a_link() -> None:
    forward = {(0, 0), (1, 1), (3, 5)}
    backward = {(0, 0), (1, 2), (3, 5), (5, 5)}
    # (1, 1) and then (1, 2) touch what is there; (5, 5) touches nothing.
    assert grow_diagonal(forward, backward) == {(0, 0), (1, 1), (1, 2), (3, 5)}
