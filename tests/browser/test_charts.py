"""What the charts draw is what the model did."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from browser_support import (
    CAT,
    SLOW,
    chart,
    choose,
    expected,
    tab,
    translate,
    wait_for_chart,
    words,
)
from playwright.sync_api import Page, expect

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


# --- All of them ------------------------------------------------------------------------------


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


def test_measured_results_are_drawn(page: Page, artefacts: Path) -> None:
    tab(page, "Models")
    scores = page.locator("#scores")
    expect(scores.get_by_role("rowheader", name="fr-en-transformer").first).to_be_visible()
    lines = wait_for_chart(page, "lengths", "gd.data.length > 1")
    assert "fr-en-gru-additive" in [trace["name"] for trace in lines["data"]]
    wait_for_chart(page, "alignment-0", "gd.data[0].z")
    page.screenshot(path=artefacts / "models.png", full_page=True)
