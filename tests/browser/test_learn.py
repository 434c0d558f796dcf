"""The course, and the code that does the same."""

from __future__ import annotations

import re
from pathlib import Path

from browser_support import CAT, SLOW, expected, shown_text, tab, translate, wait_for_chart
from playwright.sync_api import Page, expect

from seq2seq.ui.tour import chapters


def test_chapters_drive_the_page(page: Page, artefacts: Path) -> None:
    tab(page, "Learn")
    page.locator("#charts").screenshot(path=artefacts / "learn.png")
    heads = chapters()[2]
    page.get_by_role("button", name=f"Show me: {heads.title}").click()
    expect(page.locator("#text textarea")).to_have_value(heads.text)
    expect(page.locator("#status .panel")).to_have_class(re.compile("done"), timeout=SLOW)
    assert shown_text(page) == expected(heads.text).text
    expect(page.get_by_role("tab", name="Attention")).to_have_attribute("aria-selected", "true")
    wait_for_chart(page, "heatmap", "gd.layout.meta.marks === 'heads'")
    tab(page, "Learn")
    beam = chapters()[3]
    page.get_by_role("button", name=f"Show me: {beam.title}").click()
    expect(page.locator("#text textarea")).to_have_value(beam.text)
    expect(page.locator("#status .panel")).to_have_class(re.compile("done"), timeout=SLOW)
    wait_for_chart(page, "tree", "gd.data.length > 3")


def test_terms_are_explained_to_the_mouse_and_to_the_keyboard(page: Page) -> None:
    tab(page, "Beam tree")
    term = page.locator("#charts .term:visible").first
    content = "node => getComputedStyle(node, '::after').content"
    assert term.evaluate(content) == "none"
    term.focus()
    assert "several unfinished translations" in term.evaluate(content)


def test_code_for_what_is_on_the_page(page: Page) -> None:
    translate(page, CAT)
    page.get_by_text("Use via code").click()
    block = page.locator(".code pre").first
    expect(block).to_contain_text(CAT)
    code = block.text_content() or ""
    scope: dict[str, object] = {}
    exec(code, scope)
    assert scope["translation"].text == shown_text(page)  # type: ignore[attr-defined]
