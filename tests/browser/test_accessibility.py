"""Contrast, names and languages, checked by axe and by the page's own words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_support import CAT, SLOW, expected, shown_text, tab, translate
from playwright.sync_api import Browser, Page, expect

from seq2seq.ui.panel import wordings

TABS = (
    "Attention", "Step by step", "Beam tree", "What if", "Compare", "Batch", "Learn", "Models",
)  # fmt: skip
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_tab_breaks_a_rule(open_page: Callable[..., Page], dark: bool) -> None:
    page = open_page(dark=dark)
    translate(page, CAT)
    page.locator("#result .translation .word").nth(1).click()
    page.get_by_text("Use via code").click()
    found = []
    for name in TABS:
        tab(page, name)
        page.wait_for_timeout(500)
        if name == "Compare":
            chosen = page.locator("#compare-models input:checked").count()
            assert chosen > 1
            page.locator("#compare-go").click()
            charts = page.locator("#comparison .card .js-plotly-plot")
            expect(charts).to_have_count(chosen, timeout=SLOW)
        for violation in Axe().run(page, options=RULES).response["violations"]:
            nodes = [node["html"][:100] for node in violation["nodes"][:2]]
            found.append((name, violation["id"], nodes))
    assert found == []


@pytest.mark.parametrize("locale", ["fr-FR", "de-DE", "zh-CN"])
def test_the_page_speaks_the_language_of_the_browser(
    chromium: Browser, app_url: str, artefacts: Path, locale: str
) -> None:
    language = locale[:2]
    texts = json.loads(wordings()[language].read_text(encoding="utf-8"))
    context = chromium.new_context(locale=locale, viewport={"width": 1180, "height": 900})
    page = context.new_page()
    context.set_default_timeout(SLOW)
    page.goto(app_url)
    page.locator("#result .placeholder").wait_for()
    expect(page.locator("#go")).to_have_text(texts["Translate"])
    box = page.locator("#text textarea")
    box.fill("source")  # a word that the page itself uses
    box.press("Enter")
    expect(page.locator("#status .panel")).to_have_class(re.compile("done"), timeout=SLOW)
    expect(page.locator("#result .source .word").first).to_have_text("source")
    assert shown_text(page) == expected("source").text
    status = texts["Translated in {milliseconds} ms."].partition("{")[0]
    expect(page.locator("#status .panel")).to_contain_text(status)
    expect(page.locator("#heatmap .xtitle")).to_have_text(texts["source"])
    ticks = page.locator("#heatmap .xaxislayer-above text").first
    expect(ticks).to_have_text("source")
    assert page.evaluate("document.documentElement.lang") == language
    page.screenshot(path=artefacts / f"language-{language}.png", full_page=True)
    page.locator("#language select").select_option("en")
    expect(page.locator("#go")).to_have_text("Translate")
    expect(page.locator("#heatmap .xtitle")).to_have_text("source")
    page.reload()  # the choice is remembered
    page.locator("#result .placeholder").wait_for()
    expect(page.locator("#go")).to_have_text("Translate")
    context.close()


def test_every_chart_has_a_table_and_a_name(page: Page) -> None:
    translate(page, CAT)
    for name in TABS[:3]:
        tab(page, name)
        page.wait_for_timeout(500)
        for chart in page.locator(".drawing.js-plotly-plot:visible").all():
            assert chart.get_attribute("role") == "img"
            assert chart.get_attribute("aria-label")
        charts = page.locator(".panel:visible:has(.drawing)").all()
        assert charts
        for panel in charts:
            expect(panel.locator("summary", has_text="Show as table")).to_be_visible()
