"""Several models, and many sentences."""

from __future__ import annotations

import json
import re
from pathlib import Path

from browser_support import CAT, SLOW, expected, shown_text, tab
from playwright.sync_api import Page, expect

SENTENCES = ["Le chat dort.", "Je ne parle pas français.", "Elle lit un livre."]


def test_two_models_side_by_side(page: Page, artefacts: Path) -> None:
    page.locator("#text textarea").fill(CAT)
    tab(page, "Compare")
    chosen = ("fr-en-transformer", "fr-en-gru-additive")
    for box in page.locator("#compare-models label").all():
        box.locator("input").set_checked((box.text_content() or "").strip() in chosen)
    page.locator("#compare-go").click()
    cards = page.locator("#comparison .card")
    expect(cards.locator(".js-plotly-plot")).to_have_count(2, timeout=SLOW)
    for model in chosen:
        document = expected(model=model)
        card = cards.filter(has=page.get_by_role("heading", name=model, exact=True))
        words = card.locator(".translation .word:not(.special)")
        assert "".join(words.all_text_contents()) == document.text.replace(" ", "")
    rows = page.locator("#comparison .steps tbody tr")
    longest = max(len(expected(model=model).target.pieces) for model in chosen)
    expect(rows).to_have_count(longest)
    page.locator("#charts").screenshot(path=artefacts / "compare.png")


def test_a_batch_of_typed_sentences(page: Page, artefacts: Path, tmp_path: Path) -> None:
    tab(page, "Batch")
    page.locator("#batch-text textarea").fill("\n".join(SENTENCES))
    page.locator("#batch-go").click()
    rows = page.locator("#batch tbody tr")
    expect(rows).to_have_count(3, timeout=SLOW)
    expect(page.locator("#batch .progress")).to_contain_text("3 sentences in")
    page.locator("#batch select").select_option("as given")
    texts = rows.locator("td:nth-child(3)").all_text_contents()
    assert texts == [expected(s).text for s in SENTENCES]
    page.locator("#charts").screenshot(path=artefacts / "batch.png")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download TSV").click()
    download.value.save_as(tmp_path / "out.tsv")
    lines = (tmp_path / "out.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[2] for line in lines[1:]] == texts
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    download.value.save_as(tmp_path / "out.json")
    assert [r["text"] for r in json.loads((tmp_path / "out.json").read_text("utf-8"))] == texts
    rows.nth(1).locator("button").click()
    expect(page.locator("#text textarea")).to_have_value(SENTENCES[1])
    expect(page.locator("#status .panel")).to_have_class(re.compile("done"), timeout=SLOW)
    assert shown_text(page) == expected(SENTENCES[1]).text


def test_a_file_with_references(page: Page, tmp_path: Path) -> None:
    tab(page, "Batch")
    path = tmp_path / "pairs.csv"
    path.write_text('source,reference\n"Le chat dort.","The cat is sleeping."\n', encoding="utf-8")
    page.locator("#batch-file input").set_input_files(path)
    page.locator("#batch-go").click()
    expect(page.locator("#batch tbody tr")).to_have_count(1, timeout=SLOW)
    expect(page.locator("#batch .note")).to_contain_text("BLEU")


def test_stopping_keeps_what_is_done(page: Page) -> None:
    tab(page, "Batch")
    page.locator("#batch-text textarea").fill(
        "\n".join(f"{s} {n}" for n in range(300) for s in SENTENCES)
    )
    page.locator("#batch-go").click()
    expect(page.locator("#batch tbody tr").first).to_be_visible(timeout=SLOW)
    page.locator("#batch-stop").click()
    expect(page.locator("#batch .progress")).to_contain_text("what is done is kept")
    count = page.locator("#batch tbody tr").count()
    assert 0 < count < 900
    page.wait_for_timeout(1500)
    assert page.locator("#batch tbody tr").count() == count


def test_a_part_that_comes_after_stop_changes_nothing(page: Page) -> None:
    said = page.evaluate(
        """() => {
          const element = document.createElement("div");
          element.innerHTML = '<div class="panel"></div>';
          const row = { number: 1, source: "a", text: "b", score: null, signs: [] };
          const part = (done) => ({
            rows: Array(done).fill(row),
            total: 9,
            progress: `${done} of 9`,
          });
          const props = { value: part(3) };
          let redraw;
          Explorer.batch(element, props, (_, f) => { redraw = f; }, () => {});
          const show = (value) => {
            props.value = value;
            redraw();
            const rows = element.querySelectorAll("tbody tr").length;
            return [element.querySelector(".progress").textContent, rows];
          };
          const said = [show(Explorer.stopBatch()), show(part(6))];
          Explorer.lines(["", "", null]);
          return [...said, show(part(1)), show(part(9)), show(Explorer.stopBatch())];
        }"""
    )
    stopped = ["Stopped; what is done is kept.", 3]
    assert said == [stopped, stopped, ["1 of 9", 1], ["9 of 9", 9], ["9 of 9", 9]]
