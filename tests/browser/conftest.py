"""The real app in its own process, and a real Chromium to look at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser_support import ROOT, running_app, watch_requests
from playwright.sync_api import Browser, Page, sync_playwright

ARTEFACTS = ROOT / "tests" / "artefacts"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# gradio's own, harmless: a browser without these features says so on every page.
HARMLESS = ("Permissions-Policy", "preloaded using link preload")


@pytest.fixture(scope="session")
def app_url() -> Iterator[str]:
    """The app as most people start it."""
    with running_app(os.environ) as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium from the system, or else the one that playwright installed."""
    found = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


Opener = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser, app_url: str) -> Iterator[Opener]:
    """Opens pages, each in a context of its own, and checks in the end that all stayed clean.

    Clean means: no request left this machine, no script failed, nothing was logged as an error.
    """
    complaints: list[str] = []
    contexts = []

    def watch(page: Page) -> None:
        watch_requests(page)
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        page.on(
            "console",
            lambda message: (
                complaints.append(f"console: {message.text}")
                if message.type == "error" and not any(h in message.text for h in HARMLESS)
                else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("http://127.0.0.1:", "data:", "blob:"))
                else complaints.append(f"request to {request.url}")
            ),
        )

    def opened(
        *, url: str = app_url, width: int = 1280, dark: bool = False, touch: bool = False
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            has_touch=touch,
            accept_downloads=True,
        )
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        watch(page)
        page.goto(url)
        page.locator("#result .placeholder").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page: Opener) -> Page:
    """The app in a window of usual size."""
    return open_page()


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots go; not part of the repository."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return ARTEFACTS
