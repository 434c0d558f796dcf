"""Sixty words stay readable, and the page stays quick."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser_support import SLOW, open_settings, tab, wait_for_chart
from playwright.sync_api import Page, expect

SIXTY = (
    "Les enfants que tu as vus hier jouent dans le jardin de ma grand-mère, et mon père, qui "
    "travaille dans une grande maison près de la mer, dit toujours que nous devons apprendre à "
    "parler plusieurs langues, parce que les gens que nous rencontrons en voyage ne comprennent "
    "pas souvent ce que nous voulons leur dire quand ils sont fatigués."
)


@pytest.fixture
def long(page: Page) -> Page:
    """The sentence, translated with beam 10."""
    open_settings(page)
    beam = page.locator("#beam input[type=number]")
    beam.fill("10")
    beam.press("Enter")
    page.locator("#text textarea").fill(SIXTY)
    page.locator("#go").click()
    expect(page.locator("#status .panel")).to_have_class(re.compile("done"), timeout=SLOW)
    return page


def test_cells_keep_their_size_and_the_chart_scrolls(long: Page, artefacts: Path) -> None:
    wait_for_chart(long, "heatmap", "gd.data[0].z")
    columns, width, height = long.locator("#heatmap .drawing").evaluate(
        """gd => { const {xaxis: x, yaxis: y} = gd._fullLayout;
        return [gd.data[0].z[0].length, x.l2p(1) - x.l2p(0), y.l2p(1) - y.l2p(0)]; }"""
    )
    assert columns >= 60
    assert width >= 20
    assert height >= 25
    holder = long.locator("#heatmap .chart")
    assert holder.evaluate("node => node.scrollWidth > node.clientWidth")
    wide = long.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    long.screenshot(path=artefacts / "sixty-words.png", full_page=True)


def test_pointing_answers_at_once(long: Page) -> None:
    wait_for_chart(long, "heatmap", "gd.data[0].z")
    took = long.evaluate(
        """() => { const start = performance.now();
        for (let word = 0; word < 20; word++) Explorer.lib.select({target: word}, true);
        return (performance.now() - start) / 20; }"""
    )
    assert took < 50  # far below, but for a busy machine
    expect(long.locator("#heatmap .band")).to_have_count(1)


def test_the_tree_can_be_zoomed(long: Page, artefacts: Path) -> None:
    tab(long, "Beam tree")
    wait_for_chart(long, "tree", "gd.data.length > 3")
    before = long.locator("#tree .drawing").evaluate("gd => gd.layout.xaxis.range")
    long.locator("#tree").get_by_role("button", name="Zoom in").click()
    long.wait_for_function(
        "before => { const range = document.querySelector('#tree .drawing').layout.xaxis.range;"
        " return range[1] - range[0] < 0.8 * (before[1] - before[0]); }",
        arg=before,
    )
    long.locator("#tree").screenshot(path=artefacts / "sixty-words-tree.png")


def test_every_picture_is_drawn(long: Page) -> None:
    for picture, marks in (
        ("alignment lines", "ends"),
        ("all layers and heads", "heads"),
        ("leaving words out", "cells"),
    ):
        long.locator("#picture").get_by_label(picture, exact=True).check()
        wait_for_chart(long, "heatmap", f"gd.layout.meta.marks === '{marks}'")
