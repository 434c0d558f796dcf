"""Words that come again and again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text.repeats import Repeat, find_repeat, plain_words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no no no", Repeat(0, 1, 3)),
        ("he said no no no no.", Repeat(2, 1, 4)),
        ("a job for a job for a job for me", Repeat(0, 3, 3)),
        ("very very good", None),
        ("", None),
        ("one", None),
        ("我我我", Repeat(0, 1, 3)),
        ("Ha! Ha, ha?", Repeat(0, 1, 3)),
        ("x a b c d a b c d a b c d", Repeat(1, 4, 3)),
        ("a b c d e a b c d e a b c d e", None),  # five words are a refrain
    ],
)
def test_the_first_stretch_is_found(text: str, found: Repeat | None) -> None:
    assert find_repeat(plain_words(text)) == found


@given(
    st.lists(st.sampled_from("ab"), max_size=5),
    st.lists(st.sampled_from("xyz"), min_size=1, max_size=4, unique=True),
    st.integers(3, 6),
)
def test_what_is_repeated_is_named(before: list[str], stretch: list[str], times: int) -> None:
    found = find_repeat([*before, *stretch * times])
    assert found is not None
    words = [*before, *stretch * times]
    part = words[found.start : found.start + found.size]
    end = found.start + found.size * found.times
    assert words[found.start : end] == part * found.times
    assert found.times >= 3
