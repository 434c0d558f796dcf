"""A sentence is translated on the page, with the settings that were chosen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from browser_support import (
    CAT,
    MARKUP,
    SLOW,
    expected,
    open_settings,
    reload,
    shown_text,
    tab,
    translate,
    wait_for_chart,
    words,
)
from playwright.sync_api import Page, expect

from seq2seq import Translation, Translator
from seq2seq.config import SamplingConfig
from seq2seq.ui import wording


def test_a_sentence_is_translated_and_its_words_coloured(page: Page, artefacts: Path) -> None:
    translate(page, CAT)
    document = expected()
    assert shown_text(page) == document.text
    assert "cat" in document.text
    assert "chair" in document.text
    classes = page.locator("#result .translation .word").evaluate_all(
        "nodes => nodes.map(n => n.className)"
    )
    levels = [int(re.search(r"level-(\d)", c).group(1)) for c in classes]
    assert levels == [min(int(p * 5), 4) for p in document.word_probabilities]
    expect(page.locator("#result .legend .word")).to_have_count(5)
    expect(page.locator("#result .n-best tbody tr")).to_have_count(len(document.n_best))
    expect(page.locator("#result .note")).to_contain_text("fr-en-transformer")
    page.screenshot(path=artefacts / "translation.png", full_page=True)


def test_button_and_example_do_the_same(page: Page) -> None:
    page.locator("#examples").get_by_text(CAT, exact=True).click()
    expect(page.locator("#text textarea")).to_have_value(CAT)
    expect(page.locator("#document .download")).to_be_enabled(timeout=SLOW)
    assert shown_text(page) == expected().text
    page.locator("#text textarea").fill("Le chien dort.")
    page.locator("#go").click()
    expect(page.locator("#result .source")).to_have_text("Le chien dort. </s>", timeout=SLOW)
    expect(page.locator("#status .panel")).to_have_class(re.compile("done"), timeout=SLOW)
    assert shown_text(page) == expected("Le chien dort.").text


def test_control_and_enter_translate_too(page: Page) -> None:
    box = page.locator("#text textarea")
    box.fill(CAT)
    box.press("Control+Enter")
    expect(page.locator("#document .download")).to_be_enabled(timeout=SLOW)
    assert shown_text(page) == expected().text
    expect(box).to_have_value(CAT)


def test_before_the_first_translation_every_tab_says_what_to_do(page: Page) -> None:
    for name, elem_id in (
        ("Attention", "heatmap"),
        ("Step by step", "player"),
        ("Beam tree", "tree"),
    ):
        tab(page, name)
        expect(page.locator(f"#{elem_id} .message")).to_have_text(wording.WAITING)


def test_words_appear_while_the_model_still_works(page: Page) -> None:
    page.evaluate(
        """() => { window.states = [];
        new MutationObserver(() => {
          const shown = document.querySelector('#result .translation');
          if (shown) window.states.push([shown.querySelector('.cursor') !== null,
            shown.querySelectorAll('.word:not(.special)').length]);
        }).observe(document.querySelector('#result'), {childList: true, subtree: true}); }"""
    )
    translate(page, "Les enfants que tu as vus hier jouent dans le jardin de ma grand-mère.")
    states = page.evaluate("window.states")
    partial = [count for unfinished, count in states if unfinished]
    assert len(set(partial)) > 2
    assert states[-1][0] is False


def test_other_model_other_translation_document(page: Page) -> None:
    page.locator("#model input").click()
    page.get_by_role("option", name="fr-en-gru-additive").click()
    expect(page.locator("#model-line .panel")).to_contain_text("GRU")
    translate(page, CAT)
    document = expected(model="fr-en-gru-additive")
    assert shown_text(page) == document.text
    expect(page.locator("#result .note")).to_contain_text("fr-en-gru-additive")
    z = wait_for_chart(page, "heatmap", "gd.data[0].z")["data"][0]["z"]
    np.testing.assert_allclose(z, words(document), atol=2e-3)


def test_passing_the_model_by_keyboard_changes_nothing(page: Page) -> None:
    translate(page, CAT)
    open_settings(page)
    beam = page.locator("#beam input[type=number]")
    beam.fill("1")
    beam.press("Enter")
    page.locator("#model input").focus()
    page.keyboard.press("Tab")  # to the direction
    page.keyboard.press("Tab")
    page.locator("#text textarea").fill("")
    page.locator("#go").click()  # its answer comes after those to anything before
    expect(page.locator("#status .panel")).to_contain_text("nothing to translate")
    expect(beam).to_have_value("1")
    expect(page.locator("#layer")).to_be_visible()


def test_document_can_be_downloaded_and_read_back(page: Page, tmp_path: Path) -> None:
    translate(page, CAT)
    with page.expect_download() as download:
        page.locator("#document .download").click()
    path = tmp_path / "translation.json"
    download.value.save_as(path)
    document = Translation.from_dict(json.loads(path.read_text(encoding="utf-8")))
    assert document.text == expected().text
    assert document.trace is not None


def test_settings_reach_the_search(page: Page) -> None:
    open_settings(page)
    beam = page.locator("#beam input[type=number]")
    beam.fill("1")
    beam.press("Enter")
    translate(page, CAT)
    greedy = Translator.load("fr-en-transformer").translate(CAT, source="fr", target="en", beam=1)
    assert shown_text(page) == greedy.text
    expect(page.locator("#result .n-best")).to_have_count(0)


def test_a_setting_that_makes_no_sense_gets_a_sentence(page: Page) -> None:
    open_settings(page)
    page.locator("#beam input[type=number]").fill("1.5")
    page.locator("#text textarea").fill(CAT)
    page.locator("#go").click()
    status = page.locator("#status .panel")
    expect(status).to_have_text("Beam has to be a whole number from 1 to 20.")


def test_drawing_at_random_has_settings_of_its_own(page: Page) -> None:
    open_settings(page)
    expect(page.locator("#seed")).to_be_hidden()
    page.locator("#sample input").check()
    expect(page.locator("#seed")).to_be_visible()
    expect(page.locator("#beam")).to_be_hidden()
    page.locator("#seed input").fill("7")
    translate(page, CAT)
    drawn = Translator.load("fr-en-transformer").translate(
        CAT, source="fr", target="en", n_best=3, sample=SamplingConfig(seed=7)
    )
    assert shown_text(page) == drawn.text


def test_what_was_typed_survives_a_reload(page: Page) -> None:
    """gradio loads the page anew when the server was restarted."""
    page.locator("#text textarea").fill(MARKUP)
    reload(page)
    expect(page.locator("#text textarea")).to_have_value(MARKUP)
