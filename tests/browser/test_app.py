"""The real app in a real browser, on the embedded models."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from browser_support import (
    CAT,
    MARKUP,
    SLOW,
    chart,
    choose,
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
from seq2seq.ui.server import build, launch_options
from seq2seq.ui.service import Request, Service

# --- Translate --------------------------------------------------------------------------------


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


def test_charts_on_the_page_do_not_slow_it_down(page: Page) -> None:
    """gradio clones the values of its components at every event, so none may stay large."""
    for name in ("Step by step", "Beam tree", "Attention"):
        tab(page, name)
    translate(page, CAT)
    wait_for_chart(page, "heatmap", "gd.data[0].z")
    page.evaluate(
        """() => { const clone = window.structuredClone; window.largest = 0;
        window.structuredClone = (value, ...rest) => {
          window.largest = Math.max(window.largest, JSON.stringify(value)?.length || 0);
          return clone(value, ...rest);
        }; }"""
    )
    page.locator("#text textarea").fill("")
    page.locator("#go").click()  # an answer that leaves the charts alone
    expect(page.locator("#status .panel")).to_contain_text("nothing to translate")
    assert 0 < page.evaluate("window.largest") < 20_000


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


# --- Attention --------------------------------------------------------------------------------


def test_heatmap_has_a_cell_for_every_pair_of_words(page: Page, artefacts: Path) -> None:
    translate(page, CAT)
    document = expected()
    shown = wait_for_chart(page, "heatmap", "gd.data[0].z")
    attention = document.attention
    weights = words(document, layer=attention.layer, head=attention.head)
    np.testing.assert_allclose(shown["data"][0]["z"], weights, atol=2e-3)
    columns = [word.text for word in document.source.words]
    rows = [word.text for word in document.target.words]
    assert shown["x"]["ticktext"] == [text.replace("</s>", "&lt;/s&gt;") for text in columns]
    assert shown["y"]["ticktext"] == [text.replace("</s>", "&lt;/s&gt;") for text in rows]
    drawn = page.locator("#heatmap .xaxislayer-above text").all_text_contents()
    assert drawn == columns  # as people read it: </s> is there, letter by letter
    page.locator("#heatmap").screenshot(path=artefacts / "heatmap.png")


def test_pointing_at_a_cell_names_both_words_and_the_weight(page: Page) -> None:
    translate(page, CAT)
    document = expected()
    wait_for_chart(page, "heatmap", "gd.data[0].z")
    page.locator("#heatmap .drawing").scroll_into_view_if_needed()
    place = page.locator("#heatmap .drawing").evaluate(
        """gd => { const {xaxis: x, yaxis: y} = gd._fullLayout, box = gd.getBoundingClientRect();
        return [box.left + x._offset + x.d2p(1), box.top + y._offset + y.d2p(0)]; }"""
    )
    page.mouse.move(place[0], place[1])
    label = page.locator("#heatmap .hoverlayer .hovertext")
    expect(label).to_contain_text(f"source: {document.source.words[1].text}")
    expect(label).to_contain_text(f"target: {document.target.words[0].text}")
    expect(label).to_contain_text("weight: 0.")


def test_layer_head_pieces_and_reading_can_be_chosen(page: Page, artefacts: Path) -> None:
    translate(page, CAT)
    document = expected()
    attention = document.attention
    wait_for_chart(page, "heatmap", "gd.data[0].z")
    choose(page, "layer", attention.layers[0])
    choose(page, "head", attention.heads[1])
    expect(page.locator("#heatmap .note")).to_have_text(
        re.compile(f"^{attention.layers[0]}, {attention.heads[1]}[.]")
    )
    np.testing.assert_allclose(
        chart(page, "heatmap")["data"][0]["z"], words(document, layer=0, head=1), atol=2e-3
    )
    choose(page, "unit", "pieces")
    count = len(document.source.pieces)
    shown = wait_for_chart(page, "heatmap", f"gd.data[0].z[0].length === {count}")
    np.testing.assert_allclose(shown["data"][0]["z"], attention.select(layer=0, head=1), atol=2e-3)
    choose(page, "reading", "when it is input")
    shown = wait_for_chart(page, "heatmap", "gd.layout.yaxis.ticktext[0] === '&lt;s&gt;'")
    assert len(shown["y"]["ticktext"]) == len(document.target.pieces)
    page.screenshot(path=artefacts / "attention-pieces.png", full_page=True)


def test_chart_can_be_saved_as_a_drawing(page: Page, tmp_path: Path) -> None:
    translate(page, "Le chat <b>dort</b>.")
    wait_for_chart(page, "heatmap", "gd.data[0].z")
    with page.expect_download() as download:
        page.locator("#heatmap").get_by_role("button", name="Save as SVG").click()
    path = tmp_path / "map.svg"
    download.value.save_as(path)
    drawing = ElementTree.parse(path)
    texts = [node.text for node in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert "chat" in texts
    assert "</s>" in texts


def test_charts_have_tables(page: Page) -> None:
    translate(page, CAT)
    document = expected()
    page.locator("#heatmap summary").click()
    table = page.locator("#heatmap table")
    expect(table.locator("tbody tr")).to_have_count(len(document.target.words))
    expect(table.locator("thead th")).to_have_count(len(document.source.words) + 2)


# --- Step by step -----------------------------------------------------------------------------


def place(page: Page) -> Any:
    return page.locator("#player .place")


def test_steps_show_candidates_and_attention(page: Page, artefacts: Path) -> None:
    translate(page, CAT)
    document = expected()
    steps = len(document.target.pieces)
    tab(page, "Step by step")
    expect(place(page)).to_have_text(f"Step 1 of {steps}")
    chart(page, "candidates")
    attention = document.attention
    rows = attention.select(layer=attention.layer, head=attention.head)
    for step in range(1, 4):
        page.get_by_role("button", name="Next step").click()
        expect(place(page)).to_have_text(f"Step {step + 1} of {steps}")
        expect(page.locator("#player .token")).to_have_count(step + 1)
        bars = chart(page, "candidates")["data"][0]
        chosen = next(i for i, text in enumerate(bars["text"]) if "◀" in text)
        own = float(np.exp(document.token_log_probabilities[step]))
        assert bars["x"][chosen] == pytest.approx(own, abs=5e-3)
        assert sum(bars["x"]) == pytest.approx(1, abs=1e-3)
        np.testing.assert_allclose(
            chart(page, "attention-step")["data"][0]["y"], rows[step], atol=2e-3
        )
    page.screenshot(path=artefacts / "steps.png", full_page=True)
    page.get_by_role("button", name="Previous step").click()
    expect(place(page)).to_have_text(f"Step 3 of {steps}")


def test_slider_follows_the_keyboard_and_play_runs_to_the_end(page: Page) -> None:
    translate(page, "Le chat dort.")
    tab(page, "Step by step")
    slider = page.get_by_role("slider", name="Step")
    slider.focus()
    slider.press("ArrowRight")
    expect(place(page)).to_have_text(re.compile(r"Step 2 of \d+"))
    slider.press("Home")
    expect(place(page)).to_have_text(re.compile(r"Step 1 of \d+"))
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(place(page)).to_have_text(re.compile(r"Step (\d+) of \1$"), timeout=SLOW)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page.get_by_role("button", name="Next step")).to_be_disabled()


# --- Beam tree --------------------------------------------------------------------------------


def test_beam_tree_draws_the_search(page: Page, artefacts: Path) -> None:
    translate(page, CAT)
    trace = expected().trace
    tab(page, "Beam tree")
    every = [c for step in trace.steps for e in step.expansions for c in e.candidates]
    near = wait_for_chart(page, "tree", "gd.data.length > 3")
    counts = {t["name"]: len(t["x"]) for t in near["data"] if t["mode"] == "markers+text"}
    assert counts["kept"] == sum(c.fate == "kept" for c in every)
    assert counts["finished"] == sum(c.fate == "finished" for c in every)
    page.screenshot(path=artefacts / "tree.png", full_page=True)
    choose(page, "pruned", "all")
    pruned = sum(c.fate == "pruned" for c in every)
    wait_for_chart(
        page, "tree", f"gd.data.some(t => t.name === 'pruned' && t.x.length === {pruned})"
    )
    before = chart(page, "tree")["x"]["range"]
    page.locator("#tree").get_by_role("button", name="Zoom in").click()
    after = chart(page, "tree")["x"]["range"]
    assert after[1] - after[0] < before[1] - before[0]
    page.locator("#tree").get_by_role("button", name="Reset").click()
    assert chart(page, "tree")["x"]["range"] == pytest.approx(before)


def test_charts_in_other_tabs_follow_the_next_translation(page: Page) -> None:
    """What is drawn anew while it is hidden must not show the sentence before."""
    names = {"Attention": "heatmap", "Step by step": "candidates", "Beam tree": "tree"}
    translate(page, CAT)
    for name, elem_id in names.items():
        tab(page, name)
        wait_for_chart(page, elem_id, "gd.data[0]")
    tab(page, "Attention")
    text = "Où est la gare ?"
    translate(page, text)
    document = expected(text)
    tab(page, "Beam tree")
    longest = max(step.position for step in document.trace.steps) + 1
    wait_for_chart(page, "tree", f"gd.layout.xaxis.tickvals.length === {longest}")
    tab(page, "Step by step")
    first = document.source.words[0].text
    wait_for_chart(page, "attention-step", f"gd.layout.xaxis.ticktext[0] === '{first}'")


# --- Odd input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "nothing to translate"), ("   ", "nothing to translate"), ("x" * 10_000, "10,000")],
)
def test_input_that_is_refused_stays_in_the_box(page: Page, text: str, words: str) -> None:
    box = page.locator("#text textarea")
    box.fill(text)
    page.locator("#go").click()
    status = page.locator("#status .panel")
    expect(status).to_contain_text(words)
    expect(status).to_have_class(re.compile("error"))
    expect(box).to_have_value(text)
    expect(page.locator("#go")).to_be_enabled()


@pytest.mark.parametrize(
    "text",
    ["😀 👩‍🚀", "قطة تجلس على الكرسي", "猫坐在椅子上。", "a\x00b \x07", "\u202ereversed\u202c",
     "🇫🇷" * 20,
     "' OR 1=1; --", "a" * 300],
    ids=["emoji", "arabic", "chinese", "control", "direction", "flags", "quotes", "one-word"],
)  # fmt: skip
def test_odd_input_gets_a_translation_or_a_sentence(page: Page, text: str) -> None:
    box = page.locator("#text textarea")
    box.fill(text)
    page.locator("#go").click()
    status = page.locator("#status .panel")
    expect(status).to_have_class(re.compile("done|error"), timeout=SLOW)
    if "error" in (status.get_attribute("class") or ""):
        expect(status).to_contain_text("pieces")
    else:
        expect(page.locator("#result .translation")).to_be_visible()
        wait_for_chart(page, "heatmap", "gd.data[0].z.length > 0")
    expect(page.locator("body")).not_to_contain_text("Traceback")


def test_markup_is_text_everywhere(page: Page, artefacts: Path) -> None:
    translate(page, MARKUP)
    expect(page.locator("#result .source")).to_have_text(f"{MARKUP} </s>")
    wait_for_chart(page, "heatmap", "gd.data[0].z")
    page.locator("#heatmap summary").click()
    choose(page, "unit", "pieces")
    ticks = page.locator("#heatmap .xaxislayer-above text")
    expect(ticks.filter(has_text="</s>").last).to_be_visible()
    page.locator("#heatmap").screenshot(path=artefacts / "markup.png")
    tab(page, "Step by step")
    page.get_by_role("button", name="Next step").click()
    for panel in ("candidates", "attention-step"):
        page.locator(f"#{panel} summary").click()
    tab(page, "Beam tree")
    wait_for_chart(page, "tree", "gd.data.length > 3")
    page.locator("#tree summary").click()
    panels = "#result, #heatmap, #player, #candidates, #attention-step, #tree"
    built = page.evaluate(
        "ids => [...document.querySelectorAll(ids)]"
        ".flatMap(n => [...n.querySelectorAll('b, img, a[href], script')]).length",
        panels,
    )
    assert built == 0
    assert page.evaluate("typeof window.hacked") == "undefined"


# --- Many people ------------------------------------------------------------------------------


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


def test_what_was_typed_survives_a_reload(page: Page) -> None:
    """gradio loads the page anew when the server was restarted."""
    page.locator("#text textarea").fill(MARKUP)
    reload(page)
    expect(page.locator("#text textarea")).to_have_value(MARKUP)


def test_measured_results_are_drawn(page: Page, artefacts: Path) -> None:
    tab(page, "Models")
    scores = page.locator("#scores")
    expect(scores.get_by_role("rowheader", name="fr-en-transformer").first).to_be_visible()
    lines = wait_for_chart(page, "lengths", "gd.data.length > 1")
    assert "fr-en-gru-additive" in [trace["name"] for trace in lines["data"]]
    wait_for_chart(page, "alignment-0", "gd.data[0].z")
    page.screenshot(path=artefacts / "models.png", full_page=True)


# --- Looks ------------------------------------------------------------------------------------


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
