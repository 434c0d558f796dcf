"""On a phone and in the dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browser_support import CAT, tab, translate, wait_for_chart
from playwright.sync_api import Page, expect


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_phone_needs_no_sideways_scrolling(
    open_page: Callable[..., Page], artefacts: Path, dark: bool
) -> None:
    page = open_page(width=320, dark=dark, touch=True)
    translate(page, "Cette vieille maison a été construite par mon grand-père.")
    for name in ("Attention", "Step by step", "Beam tree"):
        tab(page, name)
        expect(page.locator(".drawing.js-plotly-plot:visible").first).to_be_visible()
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
        mode = "dark" if dark else "light"
        file = f"phone-{mode}-{name.lower().replace(' ', '-')}.png"
        page.screenshot(path=artefacts / file, full_page=True)


def test_charts_follow_the_dark_page(open_page: Callable[..., Page], artefacts: Path) -> None:
    page = open_page(dark=True)
    translate(page, CAT)
    shown = wait_for_chart(page, "heatmap", "gd.data[0].z")
    assert shown["coloraxis"]["colorscale"][0][1] == "#172032"
    colour = page.locator("#heatmap .drawing").evaluate("gd => gd.layout.font.color")
    body = page.evaluate(
        "getComputedStyle(document.body).getPropertyValue('--body-text-color').trim()"
    )
    assert colour == body
    page.screenshot(path=artefacts / "dark.png", full_page=True)
