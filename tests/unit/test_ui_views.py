import dataclasses
import json

import numpy as np
import pytest
from ui_support import NASTY, beam_translation, encoding, nasty_translation, translation

from seq2seq.translation import Translation, TranslationError
from seq2seq.ui import sentence, views, wording
from seq2seq.ui.attention_tab import Measured, attention_panel
from seq2seq.ui.figures.heatmap import AttentionView
from seq2seq.ui.steps import player_view


def damaged(**changes: object) -> dict:
    """A document as the page sends it, with some keys changed."""
    values = json.loads(views.document_view(translation())["json"])
    return {"json": json.dumps(values | changes)}


# --- The document ---


def test_document_survives_the_way_to_the_page_and_back() -> None:
    document = nasty_translation()
    back = views.read_document(views.document_view(document))
    assert dataclasses.replace(back, attention=None) == dataclasses.replace(
        document, attention=None
    )
    np.testing.assert_allclose(back.attention.weights, document.attention.weights, atol=1e-6)


def test_document_is_readable_by_anybody() -> None:
    text = views.document_view(beam_translation())["json"]
    assert Translation.from_dict(json.loads(text)).text == "a"


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "text",
        {},
        {"json": None},
        {"json": "{"},
        {"json": "[]"},
        {"json": "[" * 100_000},
        {"json": '{"schema": 99}'},
        damaged(attention={}),
        damaged(source=None),
        damaged(unknown=1),
        damaged(piece_texts="text"),
        damaged(score=10**400),
    ],
)
def test_damaged_documents_get_one_sentence(value: object) -> None:
    with pytest.raises(TranslationError) as caught:
        views.read_document(value)
    assert str(caught.value) == wording.DAMAGED


@pytest.mark.parametrize("change", ["shape", "nan", "word"])
def test_documents_that_contradict_themselves_are_refused(change: str) -> None:
    values = json.loads(views.document_view(translation())["json"])
    weights = values["attention"]["weights"]
    if change == "shape":
        weights["shape"] = [5, 2, 1, 10]
    elif change == "nan":
        weights["data"][3] = float("nan")
    else:
        values["target"]["pieces"][0]["word"] = 50
    with pytest.raises(TranslationError, match="could not be read"):
        views.read_document({"json": json.dumps(values)})


def test_document_that_the_page_found_too_large_says_so() -> None:
    with pytest.raises(TranslationError, match="too long to be drawn anew"):
        views.read_document({"too_large": True})


# --- The translation ---


@pytest.mark.parametrize(
    ("probability", "level"), [(0, 0), (0.19, 0), (0.2, 1), (0.5, 2), (0.61, 3), (0.8, 4), (1, 4)]
)
def test_levels_of_probability(probability: float, level: int) -> None:
    assert sentence.level(probability) == level


def test_words_are_coloured_by_the_product_of_their_pieces() -> None:
    value = sentence.result_view(translation(probability=0.7))
    words = [s for s in value["segments"] if s["level"] is not None]
    assert [(s["text"], s["level"]) for s in words] == [
        ("The", 3),
        ("cat", 3),
        ("sleeps", 2),  # two pieces: 0.49
        ("</s>", 3),
    ]
    assert words[2]["hint"] == "sleeps: 49 %"
    assert words[3]["hint"] == "end of the sentence: 70 %"
    assert [s["special"] for s in words] == [False, False, False, True]


def test_segments_give_the_text_back() -> None:
    for document in (translation(), translation(target=("a", ".")), nasty_translation()):
        segments = sentence.result_view(document)["segments"]
        text = "".join(s["text"] for s in segments if not s["special"])
        for unseen, shown in (("\x00", "[U+0000]"), ("\u202e", "[U+202E]")):
            text = text.replace(shown, unseen)
        assert text.rstrip() == document.text


def test_tokens_reach_the_page_unescaped_because_it_shows_them_as_text() -> None:
    texts = [s["text"] for s in sentence.result_view(nasty_translation())["segments"]]
    assert NASTY[0] in texts
    assert NASTY[1] in texts


def test_a_word_that_looks_like_the_end_is_not_called_so() -> None:
    value = sentence.result_view(translation(target=["</s>"]))
    words = [s for s in value["segments"] if s["level"] is not None]
    assert [s["hint"].partition(":")[0] for s in words] == ["</s>", "end of the sentence"]


def test_the_page_learns_both_languages() -> None:
    document = translation()
    value = sentence.result_view(document)
    assert value["languages"] == [document.source_language, document.target_language]


def test_partial_translations_show_text_only() -> None:
    value = sentence.result_view(translation(complete=False))
    assert not value["complete"]
    assert (value["facts"], value["n_best"], value["words"]) == ("", None, None)


def test_complete_translations_name_model_time_and_scores() -> None:
    document = dataclasses.replace(translation(), warnings=("cut off",))
    value = sentence.result_view(document)
    assert "tiny (Transformer, 2+2 layers; 1,234 parameters)" in value["facts"]
    assert "cpu, fp32" in value["facts"]
    assert f"score {document.score:.3f}" in value["facts"]
    assert value["warnings"] == ["cut off"]
    assert value["words"]["rows"][2] == ["sleeps", "49 %", "2"]
    assert value["n_best"] is None


def test_n_best_list_is_ranked_as_given() -> None:
    document = translation()
    second = dataclasses.replace(
        document.n_best[0], target=encoding(["<i>B</i>"]), score=-2.5, log_probability=-5.0
    )
    value = sentence.result_view(dataclasses.replace(document, n_best=(document.n_best[0], second)))
    assert value["n_best"]["rows"][1] == ["2", "<i>B</i>", "-2.500", "-5.000"]


# --- Charts ---


def test_models_without_attention_explain_themselves() -> None:
    document = translation(with_attention=False)
    value = views.attention_steps_view(document, AttentionView())
    assert value["message"] == wording.NO_ATTENTION
    assert not value["figure"]
    assert not value["figures"]
    assert player_view(document)["steps"]
    assert views.candidates_view(document)["figures"]


def test_player_has_a_step_per_piece() -> None:
    steps = player_view(translation())["steps"]
    assert [step["token"] for step in steps] == ["The", "cat", "sle", "eps", "</s>"]
    assert steps[0]["facts"] == (
        "decoder input: #1; probability 70 %, rank 1 for the model; kept: best in beam; "
        "score 0.000 -0.357 = -0.357, normalised -0.357; uncertainty (entropy) 0.90 nats"
    )
    assert steps[1]["table"]["rows"] == [["▶ The", "-0.357", "cat 70 %", "2"]]


def test_every_live_hypothesis_says_what_became_of_it() -> None:
    first, second = player_view(beam_translation())["steps"]
    assert first["table"]["rows"] == [["▶ (start)", "0.000", "a 60 %, b 30 %", "1"]]
    assert second["table"]["rows"] == [
        ["▶ a", "-0.511", "</s> 90 % (finished)", "1"],
        ["b", "-1.204", "c 50 %", "1"],
    ]


def test_charts_of_the_steps_are_as_many_as_the_steps() -> None:
    document = translation()
    count = len(player_view(document)["steps"])
    for value in (
        views.candidates_view(document),
        views.attention_steps_view(document, AttentionView()),
    ):
        assert len(value["figures"]) == len(value["tables"]) == count


def test_tree_counts_what_it_leaves_out() -> None:
    value = views.tree_view(beam_translation(), pruned="none")
    assert value["note"] == "4 of the 7 recorded candidates are drawn."


def test_translations_without_a_trace_say_so() -> None:
    document = translation(with_trace=False)
    assert views.tree_view(document, pruned="near")["message"] == wording.NO_TRACE
    assert player_view(document)["message"] == wording.NO_TRACE


@pytest.mark.parametrize("document", [translation(), nasty_translation(), beam_translation()])
def test_every_view_is_plain_json(document: Translation) -> None:
    view = AttentionView()
    for value in (
        sentence.result_view(document),
        *(
            attention_panel(document, view, picture, measured=Measured())
            for picture in ("heatmap", "lines", "heads")
        ),
        player_view(document),
        views.candidates_view(document),
        views.attention_steps_view(document, view),
        views.tree_view(document, pruned="all"),
    ):
        assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_very_long_translations_say_what_is_left_out() -> None:
    document = translation(target=[f"w{i}" for i in range(150)])
    player = player_view(document)
    assert player["message"] == "Only the first 100 of 151 steps are shown."
    view = AttentionView()
    for value in (views.candidates_view(document), views.attention_steps_view(document, view)):
        assert len(value["figures"]) == len(value["tables"]) == len(player["steps"]) == 100
    note = views.tree_view(document, pruned="near")["note"]
    assert note.endswith("Only the first 60 of 151 positions are drawn.")


# --- What else could stand there, and signs of trouble ---


def test_every_step_has_what_else_could_stand_there() -> None:
    value = sentence.result_view(beam_translation())
    assert value["links"] == {"source": [0, 1], "target": [0, 1]}
    first, second = value["options"]
    assert (first["step"], first["taken"], first["probability"]) == (0, "a", "60 %")
    assert [(o["id"], o["text"], o["probability"]) for o in first["others"]] == [
        (11, "b", "30 %"),
        (12, "c", "5.0 %"),
    ]
    assert [o["id"] for o in second["others"]] == [12]


def test_words_with_a_close_rival_are_marked() -> None:
    assert sentence.uncertain_words(beam_translation()) == frozenset()
    unsure = sentence.uncertain_words(translation(probability=0.4))  # the next best has 0.2
    assert unsure == frozenset(range(4))
    value = sentence.result_view(translation(probability=0.4))
    assert all(s["unsure"] for s in value["segments"] if s["word"] is not None)
    assert not any(s["unsure"] for s in value["source"])


def test_signs_say_what_was_seen_and_what_could_be_tried() -> None:
    value = sentence.result_view(translation(target=("no", "no", "no")))
    (sign,) = (s for s in value["signs"] if s["kind"] == "loop")
    assert sign["title"] == "Repeats itself"
    assert "3 times in a row" in sign["text"]
    assert sign["suggestion"] == {"step": 1, "id": 900, "text": "other<i>"}
    assert sign["hint"] == "write “other<i>” there instead (20 %)"


def test_a_sign_about_the_source_names_its_words() -> None:
    document = translation(source=(["<0xF0>", "<0x9F>"], "dort"))
    (sign,) = (s for s in sentence.result_view(document)["signs"] if s["kind"] == "unknown")
    assert sign["source_words"] == [0]
    assert "<0xF0><0x9F>" in sign["text"]
    assert sign["suggestion"] is None
    assert sign["hint"]


def test_an_unfinished_translation_offers_nothing() -> None:
    value = sentence.result_view(translation(complete=False, target=("no",) * 3))
    assert (value["options"], value["signs"]) == ([], [])
