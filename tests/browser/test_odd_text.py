"""Odd input gets a translation or a sentence, and markup stays text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser_support import MARKUP, SLOW, choose, tab, translate, wait_for_chart
from playwright.sync_api import Page, expect


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "nothing to translate"), ("   ", "nothing to translate"), ("x" * 10_000, "10,000")],
)
def test_input_that_is_refused_stays_in_the_box(page: Page, text: str, words: str) -> None:
    box = page.locator("#text textarea")
    box.fill(text)
    page.locator("#go").click()
    status = page.locator("#status .panel")
    expect(status).to_contain_text(words)
    expect(status).to_have_class(re.compile("error"))
    expect(box).to_have_value(text)
    expect(page.locator("#go")).to_be_enabled()


@pytest.mark.parametrize(
    "text",
    ["😀 👩‍🚀", "قطة تجلس على الكرسي", "猫坐在椅子上。", "a\x00b \x07", "\u202ereversed\u202c",
     "🇫🇷" * 20,
     "' OR 1=1; --", "a" * 300],
    ids=["emoji", "arabic", "chinese", "control", "direction", "flags", "quotes", "one-word"],
)  # fmt: skip
def test_odd_input_gets_a_translation_or_a_sentence(page: Page, text: str) -> None:
    box = page.locator("#text textarea")
    box.fill(text)
    page.locator("#go").click()
    status = page.locator("#status .panel")
    expect(status).to_have_class(re.compile("done|error"), timeout=SLOW)
    if "error" in (status.get_attribute("class") or ""):
        expect(status).to_contain_text("pieces")
    else:
        expect(page.locator("#result .translation")).to_be_visible()
        wait_for_chart(page, "heatmap", "gd.data[0].z.length > 0")
    expect(page.locator("body")).not_to_contain_text("Traceback")


def test_markup_is_text_everywhere(page: Page, artefacts: Path) -> None:
    translate(page, MARKUP)
    expect(page.locator("#result .source")).to_have_text(f"{MARKUP} </s>")
    wait_for_chart(page, "heatmap", "gd.data[0].z")
    page.locator("#heatmap summary").click()
    choose(page, "unit", "pieces")
    ticks = page.locator("#heatmap .xaxislayer-above text")
    expect(ticks.filter(has_text="</s>").last).to_be_visible()
    page.locator("#heatmap").screenshot(path=artefacts / "markup.png")
    tab(page, "Step by step")
    page.get_by_role("button", name="Next step").click()
    for panel in ("candidates", "attention-step"):
        page.locator(f"#{panel} summary").click()
    tab(page, "Beam tree")
    wait_for_chart(page, "tree", "gd.data.length > 3")
    page.locator("#tree summary").click()
    panels = "#result, #heatmap, #player, #candidates, #attention-step, #tree"
    built = page.evaluate(
        "ids => [...document.querySelectorAll(ids)]"
        ".flatMap(n => [...n.querySelectorAll('b, img, a[href], script')]).length",
        panels,
    )
    assert built == 0
    assert page.evaluate("typeof window.hacked") == "undefined"
