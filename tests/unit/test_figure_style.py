import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.ui.figures.style import (
    ACCENT,
    AMBER,
    DARK_SCALE,
    LIGHT_SCALE,
    MUTED,
    escape,
    index_axis,
    label,
    new_figure,
    visible,
)
from seq2seq.ui.figures.table import Table, percent


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@given(st.text())
@settings(deadline=None, max_examples=200)
def test_escaped_text_holds_no_markup_and_comes_back_whole(text: str) -> None:
    safe = escape(text)
    assert "<" not in safe
    assert ">" not in safe
    back = safe.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert back == visible(text)


@given(st.text(alphabet=string.printable + "é猫ق😀", min_size=1))
@settings(deadline=None, max_examples=100)
def test_visible_text_has_no_control_characters(text: str) -> None:
    assert all(character.isprintable() for character in visible(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "∅"),
        (" ", "␣"),
        ("\x00", "[U+0000]"),
        ("a\nb\t", "a⏎b⇥"),
        ("\u202egnp", "[U+202E]gnp"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("a b", "a b"),
    ],
)
def test_unseen_characters_are_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_label_cuts_long_text_before_escaping() -> None:
    assert label("<" * 20, longest=5) == "&lt;&lt;&lt;&lt;…"
    assert label("kurz") == "kurz"


def test_equal_labels_keep_their_own_positions() -> None:
    axis = index_axis(["chat", "chat", "<b>x</b>"], side="top")
    assert axis["tickvals"] == [0, 1, 2]
    assert axis["ticktext"] == ["chat", "chat", "&lt;b&gt;x&lt;/b&gt;"]
    assert axis["side"] == "top"


def test_colours_stand_out_on_both_pages() -> None:
    for colour in (ACCENT, AMBER, MUTED):
        assert contrast(colour, "#ffffff") >= 3
        assert contrast(colour, "#0b0f19") >= 3


@pytest.mark.parametrize("scale", [LIGHT_SCALE, DARK_SCALE])
def test_scales_run_from_0_to_1_and_change_lightness_in_one_direction(scale: list) -> None:
    assert [place for place, _ in scale] == [0, 0.25, 0.5, 0.75, 1]
    light = [luminance(colour) for _, colour in scale]
    assert light in (sorted(light), sorted(light, reverse=True))


def test_figure_tells_the_page_its_limits() -> None:
    layout = new_figure(height=200, min_width=300, max_width=400).to_plotly_json()["layout"]
    assert layout["height"] == 200
    assert layout["meta"]["min_width"] == 300
    assert layout["meta"]["max_width"] == 400
    assert layout["meta"]["dark_scale"] == DARK_SCALE


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "100 %"), (0.834, "83 %"), (0.0995, "10 %"), (0.0123, "1.2 %"), (1e-9, "< 0.1 %"),
     (0, "0.0 %")],
)  # fmt: skip
def test_percent(value: float, text: str) -> None:
    assert percent(value) == text


def test_table_as_plain_types() -> None:
    table = Table(caption="c", columns=("a", "b"), rows=(("1", "<b>"),))
    assert table.to_dict() == {"caption": "c", "columns": ["a", "b"], "rows": [["1", "<b>"]]}
