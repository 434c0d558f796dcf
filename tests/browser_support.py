"""How the browser tests use the page: what a person does, and what the page then holds."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, Request, expect

from seq2seq import Translation, Translator
from seq2seq.translation import AttentionMap

CAT = "Le chat est assis sur la chaise ."
MARKUP = "<b>gras</b> <img src=x onerror=window.hacked=1> ${window.hacked=2} {{value}} </s> chat"
SLOW = 60_000
ROOT = Path(__file__).resolve().parents[1]
OPEN_REQUESTS: dict[Page, set[Request]] = {}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_app(environment: Mapping[str, str]) -> Iterator[str]:
    """``python app.py`` on a free port; gives its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-u", "app.py", "--host", "127.0.0.1", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment, "NO_PROXY": "127.0.0.1"},
    )
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if "Running on local URL" in line:
            break
    else:
        raise RuntimeError(f"the app did not start:\n{''.join(seen)}")
    # Nobody else reads what it still prints: a full pipe would stop it.
    threading.Thread(target=process.stdout.read, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@cache
def expected(text: str = CAT, *, model: str = "fr-en-transformer", n_best: int = 3) -> Translation:
    """What the package itself makes of the text, with the page's own settings."""
    return Translator.load(model).translate(
        text, source="fr", target="en", n_best=n_best, trace=True
    )


def translate(page: Page, text: str) -> None:
    """Type, press Enter, and wait for the complete translation."""
    box = page.locator("#text textarea")
    box.fill(text)
    box.press("Enter")
    expect(page.locator("#result .source")).to_have_text(re.compile(re.escape(text.strip()[:20])))
    expect(page.locator("#document .download")).to_be_enabled(timeout=SLOW)
    expect(page.locator("#status .panel")).to_have_class(re.compile("done"), timeout=SLOW)


def watch_requests(page: Page) -> None:
    """Remember which of the page's requests are still open."""
    pending = OPEN_REQUESTS.setdefault(page, set())

    def opened(request: Request) -> None:
        pending.add(request)

    def closed(request: Request) -> None:
        pending.discard(request)

    page.on("request", opened)
    page.on("requestfinished", closed)
    page.on("requestfailed", closed)


def reload(page: Page) -> None:
    """Load a watched page anew, once its requests are answered: a broken one is logged as an error.

    The heartbeat stays open as long as the page does.
    """
    still = 0
    while still < 3:
        page.wait_for_timeout(100)
        waiting = any("heartbeat" not in request.url for request in OPEN_REQUESTS[page])
        still = 0 if waiting else still + 1
    page.reload()


def shown_text(page: Page) -> str:
    """The translation without the mark of its end."""
    return page.locator("#result .translation").evaluate(
        "node => [...node.childNodes].filter(n => !n.classList?.contains('special'))"
        ".map(n => n.textContent).join('').trim()"
    )


def chart(page: Page, elem_id: str) -> dict[str, Any]:
    """Data and axes of a chart as the browser holds them."""
    plot = page.locator(f"#{elem_id} .drawing")
    expect(plot).to_have_class(re.compile("js-plotly-plot"))
    return plot.evaluate(
        "gd => JSON.parse(JSON.stringify({data: gd.data, x: gd.layout.xaxis, y: gd.layout.yaxis,"
        " coloraxis: gd.layout.coloraxis}))"
    )


def wait_for_chart(page: Page, elem_id: str, condition: str) -> dict[str, Any]:
    """The chart once a condition over ``gd`` holds."""
    page.wait_for_function(
        f"() => {{ const gd = document.querySelector('#{elem_id} .drawing');"
        f" return gd && gd.data && ({condition}); }}"
    )
    return chart(page, elem_id)


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def choose(page: Page, elem_id: str, name: str) -> None:
    page.locator(f"#{elem_id}").get_by_label(name, exact=True).check()


def choose_option(page: Page, elem_id: str, name: str) -> None:
    """An entry of a dropdown."""
    page.locator(f"#{elem_id} input").click()
    page.get_by_role("option", name=name, exact=True).click()
    expect(page.locator(f"#{elem_id} input")).to_have_value(name)


def open_settings(page: Page) -> None:
    """Unfold the settings; gradio sets their first values some frames after it shows them."""
    page.get_by_role("button", name="Decoding settings").click()
    expect(page.locator("#beam")).to_be_visible()
    page.evaluate(
        "async () => { for (let frame = 0; frame < 10; frame++)"
        " await new Promise(requestAnimationFrame); }"
    )


def words(document: Translation, **view: int | None) -> np.ndarray:
    assert document.attention is not None
    return AttentionMap.merge_words(
        document.attention.select(**view), source=document.source, target=document.target
    )
