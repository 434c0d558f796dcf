"""Selecting, asking what else could stand there, and trying it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser_support import (
    CAT,
    SLOW,
    choose,
    expected,
    shown_text,
    tab,
    translate,
    wait_for_chart,
)
from playwright.sync_api import Page, expect

from seq2seq import Translation, Translator


def target_word(page: Page, index: int) -> Any:
    return page.locator("#result .translation .word").nth(index)


def source_word(page: Page, index: int) -> Any:
    return page.locator("#result .source .word").nth(index)


def chosen(page: Page) -> list[str]:
    return page.locator("#result .word.chosen").all_text_contents()


def held_document(page: Page) -> Translation:
    """The document behind what the page shows."""
    text = page.evaluate("Explorer.lib.page.document.json")
    return Translation.from_dict(json.loads(text))


def wait_until_done(page: Page) -> None:
    status = page.locator("#status .panel")
    expect(status).to_have_class(re.compile("done"), timeout=SLOW)
    expect(page.locator("#result .cursor")).to_have_count(0)


def change(page: Page, selector: str) -> None:
    """Click on something that decodes again, and wait for what comes of it."""
    tried = page.locator("#branches .branch").count()
    page.locator(selector).first.click()
    expect(page.locator("#branches .branch")).to_have_count(tried + 1, timeout=SLOW)
    wait_until_done(page)


# --- One selection for the whole page ---------------------------------------------------------


def test_pointing_at_a_word_marks_it_everywhere(page: Page) -> None:
    translate(page, CAT)
    document = expected()
    wait_for_chart(page, "heatmap", "gd.data[0].z")
    target_word(page, 1).hover()
    assert chosen(page) == [document.target.words[1].text]
    expect(page.locator("#heatmap .band")).to_have_count(1)
    shade = source_word(page, 1).evaluate(
        "node => parseFloat(node.style.getPropertyValue('--weight'))"
    )
    z = page.locator("#heatmap .drawing").evaluate("gd => gd.data[0].z[1][1]")
    assert shade == pytest.approx(100 * z, abs=0.51)
    page.mouse.move(0, 0)
    assert chosen(page) == []
    expect(page.locator("#heatmap .band")).to_have_count(0)


def test_a_held_word_is_held_in_every_tab(page: Page, artefacts: Path) -> None:
    translate(page, CAT)
    document = expected()
    wait_for_chart(page, "heatmap", "gd.data[0].z")
    target_word(page, 4).click()
    expect(target_word(page, 4)).to_have_attribute("aria-pressed", "true")
    page.screenshot(path=artefacts / "held-word.png", full_page=True)
    step = document.target.word_of_piece.index(4)
    tab(page, "Step by step")
    expect(page.locator("#player .place")).to_have_text(
        f"Step {step + 1} of {len(document.target.pieces)}"
    )
    page.get_by_role("button", name="Next step").click()
    after = document.target.words[document.target.pieces[step + 1].word].text
    assert chosen(page) == [after]
    tab(page, "Beam tree")
    wait_for_chart(page, "tree", "gd.data.length > 3")
    expect(page.locator("#tree .band")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#tree .band")).to_have_count(0)
    assert chosen(page) == []


def test_a_cell_holds_both_of_its_words(page: Page) -> None:
    translate(page, CAT)
    document = expected()
    choose(page, "unit", "pieces")
    columns = len(document.source.pieces)
    wait_for_chart(page, "heatmap", f"gd.data[0].z[0].length === {columns}")
    drawing = page.locator("#heatmap .drawing")
    drawing.scroll_into_view_if_needed()
    x, y = drawing.evaluate(
        """gd => { const {xaxis: x, yaxis: y} = gd._fullLayout, box = gd.getBoundingClientRect();
        return [box.left + x._offset + x.d2p(1), box.top + y._offset + y.d2p(1)]; }"""
    )
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    source = document.source.words[document.source.pieces[1].word].text
    target = document.target.words[document.target.pieces[1].word].text
    assert chosen(page) == [source, target]


def test_the_words_can_be_walked_with_the_keyboard(page: Page) -> None:
    translate(page, CAT)
    document = expected()
    target_word(page, 0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert chosen(page) == [document.target.words[2].text]
    page.keyboard.press("Enter")
    expect(page.locator("#result .strip-title")).to_contain_text(document.target.words[2].text)
    page.keyboard.press("Tab")
    expect(page.locator("#result .strip .options button").first).to_be_focused()


# --- What if ----------------------------------------------------------------------------------


def test_a_chain_of_five_changes_and_its_undo(page: Page, artefacts: Path) -> None:
    translate(page, CAT)
    tab(page, "What if")
    translator = Translator.load("fr-en-transformer")
    texts = [shown_text(page)]
    for word in range(5):
        target_word(page, word).click()
        change(page, "#result .options button")
        document = held_document(page)
        assert document.prefix
        again = translator.translate(CAT, prefix=document.prefix, n_best=3, trace=True)
        assert (shown_text(page), document.target) == (again.text, again.target)
        assert document.score == pytest.approx(again.score, abs=1e-5)
        texts.append(again.text)
    page.locator("#branches").screenshot(path=artefacts / "what-if.png")
    for back in reversed(texts[:-1]):
        page.locator("#branches").get_by_role("button", name="Undo").last.click()
        wait_until_done(page)
        page.wait_for_function(
            "text => [...document.querySelectorAll('#result .translation .word:not(.special)')]"
            ".map(n => n.textContent).join('') === text.replaceAll(' ', '')",
            arg=back,
        )
    expect(page.locator("#branches .branch")).to_have_count(1)
    assert shown_text(page) == expected().text


def test_free_text_and_its_own_probability(page: Page) -> None:
    translate(page, CAT)
    tab(page, "What if")
    target_word(page, 1).click()
    page.locator("#result .write input").fill("dog")
    change(page, "#result .write button")
    document = Translator.load("fr-en-transformer").translate(
        CAT, prefix=(*expected().target.ids[:1], "dog "), n_best=3, trace=True
    )
    assert shown_text(page) == document.text
    branch = page.locator("#branches .branch.shown")
    expect(branch.locator(".note")).to_contain_text("the model's own probability")
    assert "".join(branch.locator("ins").all_text_contents()).split() == ["dog"]


def test_a_source_word_can_be_replaced_and_left_out(page: Page) -> None:
    translate(page, CAT)
    tab(page, "What if")
    source_word(page, 1).click()
    page.locator("#result .write input").fill("chien")
    change(page, "#result .write button")
    replaced = CAT.replace("chat", "chien")
    assert shown_text(page) == expected(replaced).text
    source_word(page, 0).click()
    change(page, "#result .options > button")
    assert shown_text(page) == expected(replaced.removeprefix("Le ")).text
    page.locator("#branches").get_by_role("button", name="Show").first.click()
    wait_until_done(page)
    expect(page.locator("#result .source")).to_contain_text("chat")
    assert shown_text(page) == expected().text


def test_a_sign_of_trouble_offers_a_way_out(page: Page, artefacts: Path) -> None:
    """Greedy search on a sentence far beyond the model runs in circles."""
    page.get_by_role("button", name="Decoding settings").click()
    beam = page.locator("#beam input[type=number]")
    beam.fill("1")
    beam.press("Enter")
    translate(
        page,
        "Lorsque je suis sorti de prison, je ne pouvais trouver un emploi où que ce soit près de "
        "chez moi, car personne ne voulait employer un ex-détenu.",
    )
    tab(page, "What if")
    sign = page.locator("#result .sign").first
    expect(sign).to_be_visible()
    page.locator("#result").screenshot(path=artefacts / "signs.png")
    page.locator("#result .sign .badge").first.click()
    assert len(chosen(page)) == 1
    if page.locator("#result .suggestion").count():
        change(page, "#result .suggestion")
