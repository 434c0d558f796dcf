"""Links, files, and a page that needs no server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browser_support import CAT, MARKUP, SLOW, expected, shown_text, tab, translate
from playwright.sync_api import Browser, Page, expect

from seq2seq import Translation
from seq2seq.ui.steps import MAX_STEPS


def held(page: Page) -> Translation:
    return Translation.from_dict(json.loads(page.evaluate("Explorer.lib.page.document.json")))


def link_of(page: Page) -> str:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#document .message")).to_have_text("The link is copied.")
    return str(page.evaluate("navigator.clipboard.readText()"))


def same(one: Translation, other: Translation) -> None:
    assert (one.source, one.target, one.search, one.prefix) == (
        other.source, other.target, other.search, other.prefix,
    )  # fmt: skip
    assert one.score == pytest.approx(other.score, abs=1e-5)
    assert one.model == other.model


def test_a_link_gives_the_same_analysis(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.locator("#model input").click()
    page.get_by_role("option", name="fr-en-gru-additive").click()
    expect(page.locator("#model-line .panel")).to_contain_text("GRU")
    translate(page, CAT)
    tab(page, "What if")
    for number, word in enumerate((1, 3), start=2):
        page.locator("#result .translation .word").nth(word).click()
        page.locator("#result .options button").first.click()
        expect(page.locator("#branches .branch")).to_have_count(number, timeout=SLOW)
        expect(page.locator("#status .panel")).to_have_class(re.compile("done"), timeout=SLOW)
    first = held(page)
    assert first.prefix
    other = open_page(url=link_of(page))
    tab(other, "What if")
    expect(other.locator("#branches .branch")).to_have_count(3, timeout=SLOW)
    expect(other.locator("#text textarea")).to_have_value(CAT)
    expect(other.locator("#model input")).to_have_value("fr-en-gru-additive")
    same(held(other), first)
    assert shown_text(other) == shown_text(page)


def test_a_link_of_another_version_says_so(open_page: Callable[..., Page]) -> None:
    page = open_page()
    translate(page, CAT)
    page.locator("#result .translation .word").nth(1).click()
    page.locator("#result .options button").first.click()
    tab(page, "What if")
    expect(page.locator("#branches .branch")).to_have_count(2, timeout=SLOW)
    link = re.sub("revision=[0-9a-f]+", "revision=0123456789ab", link_of(page))
    other = open_page(url=link)
    message = other.locator("#document .message")
    expect(message).to_contain_text("another version of the model", timeout=SLOW)
    assert shown_text(other) == expected().text


@pytest.mark.parametrize("damage", ["edits=%5B1%2C2", "edits=7", "beam=x&edits=%5Bnull%5D"])
def test_damaged_links_still_open(
    open_page: Callable[..., Page], app_url: str, damage: str
) -> None:
    page = open_page(url=f"{app_url}/#text=Le+chat+dort.&model=fr-en-transformer&{damage}")
    expect(page.locator("#status .panel")).to_have_class(re.compile("done"), timeout=SLOW)
    assert shown_text(page) == expected("Le chat dort.").text


def test_a_saved_document_opens_again(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page()
    translate(page, CAT)
    first = held(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as JSON").click()
    download.value.save_as(tmp_path / "saved.json")
    other = open_page()
    other.locator("#document input[type=file]").set_input_files(tmp_path / "saved.json")
    expect(other.locator("#status .panel")).to_have_text("Opened from a file.", timeout=SLOW)
    same(held(other), first)
    assert shown_text(other) == first.text


def test_files_that_are_no_documents_are_refused(page: Page, tmp_path: Path) -> None:
    translate(page, CAT)
    (tmp_path / "other.json").write_text('{"schema": 1}', encoding="utf-8")
    page.locator("#document input[type=file]").set_input_files(tmp_path / "other.json")
    expect(page.locator("#status .panel")).to_have_class(re.compile("error"), timeout=SLOW)
    assert held(page).source.text == CAT  # what was there stays


@pytest.mark.parametrize("text", [CAT, MARKUP])
def test_a_saved_page_opens_without_a_network(
    page: Page, chromium: Browser, tmp_path: Path, artefacts: Path, text: str
) -> None:
    translate(page, text)
    document = held(page)
    with page.expect_download(timeout=SLOW) as download:
        page.get_by_role("button", name="Save as web page").click()
    path = tmp_path / "analysis.html"
    download.value.save_as(path)
    context = chromium.new_context(offline=True, viewport={"width": 1100, "height": 900})
    saved = context.new_page()
    complaints: list[str] = []
    saved.on("pageerror", lambda error: complaints.append(str(error)))
    saved.on("console", lambda message: complaints.append(message.text))
    saved.goto(path.as_uri())
    expect(saved.locator(".js-plotly-plot")).to_have_count(7, timeout=SLOW)
    assert shown_text(saved) == shown_text(page)
    z = saved.locator(".drawing").first.evaluate("gd => gd.data[0].z")
    assert len(z) == len(document.target.words)
    saved.get_by_role("button", name="Next step").click()
    expect(saved.locator(".place")).to_have_text(
        f"Step 2 of {min(len(document.target.pieces), MAX_STEPS)}"
    )
    saved.locator("#result .translation .word").nth(1).click()
    expect(saved.locator("#result .strip-title")).to_be_visible()
    assert saved.evaluate("window.hacked") is None
    saved.screenshot(path=artefacts / "saved-page.png", full_page=True)
    context.close()
    assert complaints == []
