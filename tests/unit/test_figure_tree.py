import dataclasses
import json

import pytest
from ui_support import beam_translation, encoding, nasty_translation, translation

from seq2seq.path import greedy_path
from seq2seq.translation import Translation
from seq2seq.ui.figures.style import ACCENT, AMBER, MUTED
from seq2seq.ui.figures.tree import MAX_COLUMNS, beam_tree, tree_figure, tree_table


def traces(figure) -> list[dict]:
    return json.loads(figure.to_json())["data"]


def named(figure, name: str) -> dict:
    return next(trace for trace in traces(figure) if trace.get("name") == name)


def test_every_candidate_has_a_place() -> None:
    tree = beam_tree(beam_translation(), pruned="all")
    assert tree.weighed == 7
    places = [(b.column, b.row, b.text, b.candidate.fate) for b in tree.branches]
    assert places == [
        (1, 0, "a", "kept"),
        (1, 1, "b", "kept"),
        (1, 2, "c", "pruned"),
        (2, 0, "</s>", "finished"),
        (2, 1, "c", "kept"),
        (2, 2, "</s>", "pruned"),
        (2, 3, "c", "pruned"),
    ]


def test_branches_grow_from_their_parents() -> None:
    branches = beam_tree(beam_translation()).branches
    grown = {(b.column, b.row): (b.parent_column, b.parent_row, b.before) for b in branches}
    assert grown[1, 0] == (0, 0, "")
    assert grown[2, 0] == (1, 0, "a")
    assert grown[2, 1] == (1, 1, "b")
    assert grown[2, 2] == (1, 1, "b")
    assert grown[2, 3] == (1, 0, "a")


def test_only_the_way_to_the_translation_is_best() -> None:
    best = [b for b in beam_tree(beam_translation()).branches if b.best]
    assert [(b.column, b.text) for b in best] == [(1, "a"), (2, "</s>")]


def test_scores_add_up_along_a_branch() -> None:
    branches = beam_tree(beam_translation()).branches
    at = {(b.column, b.row): b.candidate for b in branches}
    for branch in branches:
        before = at.get((branch.parent_column, branch.parent_row))
        total = (before.cumulative if before else 0) + branch.candidate.step_score
        assert branch.candidate.cumulative == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize(("pruned", "count"), [("none", 4), ("near", 7), ("all", 7)])
def test_pruned_candidates_are_drawn_as_asked(pruned: str, count: int) -> None:
    assert len(beam_tree(beam_translation(), pruned=pruned).branches) == count


def test_fates_differ_by_colour_shape_and_line() -> None:
    figure = tree_figure(beam_translation(), pruned="all")
    marks = {fate: named(figure, fate)["marker"] for fate in ("kept", "finished", "pruned")}
    assert {fate: m["color"] for fate, m in marks.items()} == {
        "kept": ACCENT,
        "finished": AMBER,
        "pruned": MUTED,
    }
    assert len({m["symbol"] for m in marks.values()}) == 3
    lines = [
        t["line"]["dash"] for t in traces(figure) if t["mode"] == "lines" and not t.get("name")
    ]
    assert lines == ["dot", "solid"]  # the only finished branch is on the thick way


def test_best_way_is_drawn_thick_from_the_root() -> None:
    way = named(tree_figure(beam_translation()), "way to the translation")
    assert way["line"]["width"] == 5
    assert way["x"] == [0, 1, None, 1, 2, None]
    assert way["y"] == [0, 0, None, 0, 0, None]


def test_marks_carry_all_scores() -> None:
    finished = named(tree_figure(beam_translation()), "finished")
    assert finished["x"] == [2]
    assert finished["text"] == ["<b>&lt;/s&gt;</b>"]
    assert finished["customdata"] == [
        ["&lt;/s&gt;", "a", "90 %", "1", "-0.616", "-0.308", "finished: end of sentence"]
    ]
    for field in range(7):
        assert f"%{{customdata[{field}]}}" in finished["hovertemplate"]


def test_tokens_cannot_add_markup() -> None:
    for trace in traces(tree_figure(nasty_translation(), pruned="all")):
        for text in trace.get("text", []):
            inner = text.removeprefix("<b>").removesuffix("</b>")
            assert "<" not in inner
        for row in trace.get("customdata", []):
            assert not any("<" in text or ">" in text for text in row)


def test_can_be_panned_and_grows_with_the_search() -> None:
    short = json.loads(tree_figure(beam_translation()).to_json())["layout"]
    long = json.loads(tree_figure(nasty_translation()).to_json())["layout"]
    assert short["dragmode"] == long["dragmode"] == "pan"
    assert long["meta"]["min_width"] > short["meta"]["min_width"]


def test_table_has_a_row_per_drawn_candidate() -> None:
    table = tree_table(beam_translation(), pruned="all")
    assert len(table.rows) == 7
    assert table.rows[3] == (
        "2", "</s>", "a", "90 %", "-0.616", "-0.308", "finished: end of sentence", "yes",
    )  # fmt: skip
    assert table.rows[0][2] == "(start)"


def test_without_a_trace_there_is_an_empty_tree() -> None:
    assert beam_tree(translation(with_trace=False)).branches == ()


def test_very_long_searches_are_drawn_to_a_limit() -> None:
    document = translation(target=[f"w{i}" for i in range(MAX_COLUMNS + 20)])
    tree = beam_tree(document)
    assert max(branch.column for branch in tree.branches) == MAX_COLUMNS
    assert tree.positions == MAX_COLUMNS + 21
    assert tree.weighed == 3 * tree.positions


# --- Other ways ---


def led_by_b() -> Translation:
    """The same search with the second hypothesis as the translation."""
    document = beam_translation()
    trace = document.trace
    assert trace is not None
    (best,) = document.n_best
    second = dataclasses.replace(best, node=4)
    return dataclasses.replace(document, n_best=(second, best))


def names(document: Translation) -> list[str]:
    return [trace.name for trace in tree_figure(document).data if trace.showlegend and trace.name]


def test_greedy_search_is_followed_until_it_is_lost() -> None:
    trace = beam_translation().trace
    assert trace is not None
    assert [step.chosen.token for step in greedy_path(trace)] == [10, 2]
    shorter = dataclasses.replace(trace, steps=trace.steps[:1])
    assert [step.chosen.token for step in greedy_path(shorter)] == [10]
    pruned = trace.steps[0].expansions[0].candidates[0]._replace(fate="pruned", node=None)
    first = dataclasses.replace(
        trace.steps[0].expansions[0],
        candidates=(pruned, *trace.steps[0].expansions[0].candidates[1:]),
    )
    lost = dataclasses.replace(
        trace, steps=(dataclasses.replace(trace.steps[0], expansions=(first,)), *trace.steps[1:])
    )
    assert [step.chosen.token for step in greedy_path(lost)] == [10]


def test_greedy_is_drawn_where_it_went_elsewhere() -> None:
    assert "greedy would have gone here" not in names(beam_translation())
    assert "greedy would have gone here" in names(led_by_b())


def test_other_translations_wait_in_the_legend() -> None:
    figure = tree_figure(led_by_b())
    (other,) = [trace for trace in figure.data if (trace.name or "").startswith("2: ")]
    assert other.visible == "legendonly"
    assert list(other.x) == [0, 1, None, 1, 2, None]


def test_names_of_other_translations_are_escaped() -> None:
    document = led_by_b()
    nasty = dataclasses.replace(document.n_best[1], target=encoding(["<b>x</b>"]))
    document = dataclasses.replace(document, n_best=(document.n_best[0], nasty))
    assert not any("<b>x" in name for name in names(document))
