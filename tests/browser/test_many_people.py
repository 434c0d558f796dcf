"""Several people at once, stopping, waiting, and a server that is full."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator

import pytest
from browser_support import CAT, SLOW, choose, expected, shown_text, translate, wait_for_chart
from playwright.sync_api import Page, expect

from seq2seq import Translation
from seq2seq.ui import wording
from seq2seq.ui.server import build, launch_options
from seq2seq.ui.service import Request, Service


def test_two_people_never_see_each_other(open_page: Callable[..., Page]) -> None:
    texts = ["Le chien dort.", "Où est la gare ?"]
    pages = [open_page(), open_page()]
    for round_ in range(2):
        for page, text in zip(pages, texts, strict=True):
            page.locator("#text textarea").fill(text)
        for page in pages:
            page.locator("#go").click()
        for page, text in zip(pages, texts, strict=True):
            expect(page.locator("#result .source")).to_have_text(f"{text} </s>", timeout=SLOW)
            expect(page.locator("#result .cursor")).to_have_count(0, timeout=SLOW)
            expect(page.locator("#status .panel")).to_have_class(re.compile("done"))
            assert shown_text(page) == expected(text).text
        for page, text in zip(pages, texts, strict=True):
            choose(page, "unit", ("pieces", "words")[round_])
            count = len(
                expected(text).source.pieces if round_ == 0 else expected(text).source.words
            )
            wait_for_chart(page, "heatmap", f"gd.data[0].z[0].length === {count}")


class GatedService(Service):
    """Waits in the middle of a translation until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.closed = threading.Event()

    def translate(self, request: Request) -> Iterator[Translation]:
        stream = super().translate(request)
        try:
            for number, translation in enumerate(stream):
                if number == 3:
                    self.gate.wait()
                yield translation
        finally:
            stream.close()
            self.closed.set()


@pytest.fixture
def gated() -> Iterator[tuple[GatedService, str]]:
    service = GatedService()
    demo = build(service)
    _, url, _ = demo.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options()
    )
    yield service, url
    service.gate.set()
    demo.close()


def test_stop_ends_the_translation(
    open_page: Callable[..., Page], gated: tuple[GatedService, str]
) -> None:
    service, url = gated
    page = open_page(url=url)
    page.locator("#text textarea").fill(CAT)
    page.locator("#go").click()
    expect(page.locator("#result .translation .word")).not_to_have_count(0, timeout=SLOW)
    page.locator("#stop").click()
    expect(page.locator("#status .panel")).to_contain_text("Stopped")
    service.gate.set()
    assert service.closed.wait(timeout=60)
    expect(page.locator("#stop")).to_be_disabled()
    expect(page.locator("#result .cursor")).to_be_visible()
    expect(page.locator("#document .download")).to_be_disabled()
    translate(page, CAT)
    assert shown_text(page) == expected().text


def test_a_second_sentence_waits_for_the_first(
    open_page: Callable[..., Page], gated: tuple[GatedService, str]
) -> None:
    service, url = gated
    page = open_page(url=url)
    box, status = page.locator("#text textarea"), page.locator("#status .panel")
    box.fill(CAT)
    box.press("Enter")
    expect(page.locator("#result .translation .word")).not_to_have_count(0, timeout=SLOW)
    box.fill("Où est la gare ?")
    box.press("Enter")
    expect(status).to_have_text(wording.STILL_BUSY)
    expect(page.locator("#stop")).to_be_enabled()
    service.gate.set()
    expect(status).to_have_class(re.compile("done"), timeout=SLOW)
    assert shown_text(page) == expected().text


def test_a_server_that_takes_no_more_gets_a_sentence(page: Page) -> None:
    page.evaluate(
        """() => { const fetch = window.fetch;
        window.fetch = (url, ...rest) => String(url).includes('queue/join')
          ? Promise.resolve(new Response('{"detail": "Queue is full."}', {status: 503}))
          : fetch(url, ...rest); }"""
    )
    page.locator("#text textarea").fill(CAT)
    page.locator("#go").click()
    status = page.locator("#status .panel")
    expect(status).to_have_text(wording.REFUSED)
    expect(status).to_have_class(re.compile("error"))
    expect(page.locator("#stop")).to_be_disabled()
