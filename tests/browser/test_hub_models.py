"""Somebody names a model of the Hub on the page, uses it, and finds it again after a restart."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser_support import ROOT, SLOW, choose_option, running_app, translate, wait_for_chart
from marian_support import SHAPES, marian_folder
from playwright.sync_api import Page, expect


@pytest.fixture(scope="module")
def hub_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A stand-in Hub in a process of its own."""
    root = tmp_path_factory.mktemp("hub")
    marian_folder(root / "org" / "opus-mt-fr-en")
    tags = next(shape for shape in SHAPES if shape.tags)
    marian_folder(root / "org" / "opus-mt-en-mul", tags)
    (root / "org" / "bert").mkdir()
    (root / "org" / "bert" / "config.json").write_text('{"model_type": "bert"}')
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "stand_in_hub.py"), str(root), "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def hub_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def environment(endpoint: str, home: Path) -> dict[str, str]:
    return {**os.environ, "SEQ2SEQ_HUB": "any", "HF_ENDPOINT": endpoint, "HF_HOME": str(home)}


def load(page: Page, name: str) -> None:
    box = page.locator("#hub-name").locator("input, textarea")
    if not box.is_visible():
        page.get_by_text("More models from the Hugging Face Hub").click()
    box.fill(name)
    page.locator("#hub-load").click()


def test_a_named_model_is_loaded_and_there_after_a_restart(
    open_page: Callable[..., Page], hub_url: str, hub_home: Path, artefacts: Path
) -> None:
    name = "org/opus-mt-fr-en"
    told = "#hub-status .panel"
    with running_app(environment(hub_url, hub_home)) as url:
        page = open_page(url=url)
        load(page, "org/bert")
        expect(page.locator(told)).to_contain_text("only Marian", timeout=SLOW)
        page.screenshot(path=artefacts / "hub-refused.png", full_page=True)
        load(page, name)
        expect(page.locator(told)).to_contain_text(f"{name} is ready", timeout=SLOW)
        expect(page.locator("#model input")).to_have_value(name)
        expect(page.locator("#model-line")).to_contain_text("32 wide")
        translate(page, "Le chat dort.")
        expect(page.locator("#result")).to_contain_text(name)
        wait_for_chart(page, "heatmap", "gd.data[0].z.length > 0")
        page.screenshot(path=artefacts / "hub-loaded.png", full_page=True)
        load(page, "org/opus-mt-en-mul")
        expect(page.locator(told)).to_contain_text("org/opus-mt-en-mul is ready", timeout=SLOW)
        choose_option(page, "direction", "English → Hebrew")
        translate(page, "The cat sleeps.")
        target = page.locator("#result .translation")
        expect(target).to_have_attribute("lang", "he")
        expect(target).to_have_attribute("dir", re.compile("auto|rtl"))
    with running_app(environment("http://127.0.0.1:9", hub_home)) as url:  # no Hub any more
        page = open_page(url=url)
        choose_option(page, "model", name)
        translate(page, "Le chat dort.")
        expect(page.locator("#result")).to_contain_text(name)
        load(page, "org/other")
        expect(page.locator(told)).to_contain_text("cannot be reached", timeout=SLOW)
        choose_option(page, "model", "fr-en-transformer")  # the page goes on with what it has
        translate(page, "Le chat dort.")
        expect(page.locator("#result")).to_contain_text("fr-en-transformer")
