"""The Translation document: through JSON and back, what is refused, attention by words."""

import copy
import dataclasses
import json
import math
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ui_support import (
    attention,
    beam_translation,
    encoding,
    nasty_translation,
    translation,
)

from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.text.encoding import Encoding
from seq2seq.translation import (
    SCHEMA,
    AttentionMap,
    PieceTexts,
    Timing,
    Translation,
    TranslationError,
)

Document = dict[str, Any]
Change = Callable[[Document], object]


def through_json(document: Translation) -> Translation:
    return Translation.from_dict(json.loads(json.dumps(document.to_dict(), allow_nan=False)))


def put(path: str, value: object) -> Change:
    """A change of one place, for instance ``"n_best.0.score"``."""

    def change(document: Document) -> None:
        *steps, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
        place: Any = document
        for step in steps:
            place = place[step]
        place[last] = value

    return change


def drop(path: str) -> Change:
    """Takes one key away."""

    def change(document: Document) -> None:
        *steps, last = path.split(".")
        place: Any = document
        for step in steps:
            place = place[step]
        del place[last]

    return change


def beam_document() -> Document:
    """A document whose trace has attention rows, as JSON gives it."""
    document: Document = json.loads(json.dumps(beam_translation().to_dict()))
    for step in document["trace"]["steps"]:
        for expansion in step["expansions"]:
            expansion["attention"] = [0.75, 0.25]
    return document


# --- Through JSON and back --------------------------------------------------------------------

floats = st.floats(-1e30, 1e30)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
words = st.lists(texts | st.lists(texts, min_size=1, max_size=3), max_size=4)


@st.composite
def documents(draw: st.DrawFn) -> Translation:
    """Documents with any words and numbers, with and without their optional parts."""
    made = translation(
        draw(words),
        draw(words),
        with_attention=draw(st.booleans()),
        with_trace=draw(st.booleans()),
        complete=draw(st.booleans()),
        probability=draw(st.floats(1e-6, 1.0)),
    )
    sampling = st.none() | st.builds(SamplingConfig, seed=st.integers(0, 2**63 - 1))
    other = dataclasses.replace(made.n_best[0], score=draw(floats), node=None)
    n_best = draw(st.sampled_from([(), made.n_best, (*made.n_best, other)]))
    return dataclasses.replace(
        made,
        score=draw(floats),
        n_best=n_best,
        piece_texts=draw(st.dictionaries(st.integers(0, 70_000), texts, max_size=3)),
        timing=draw(st.builds(Timing, text=floats, encoder=floats, decoder=floats)),
        search=SearchConfig(beam=1, sampling=draw(sampling)),
        prefix=draw(st.lists(st.integers(0, 9), max_size=3).map(tuple)),
        warnings=draw(st.lists(texts, max_size=2).map(tuple)),
    )


@settings(deadline=None, max_examples=60)
@given(documents())
def test_any_document_survives_json(document: Translation) -> None:
    again = through_json(document)
    assert again == document
    assert again.to_dict() == document.to_dict()


@pytest.mark.parametrize("document", [translation(), beam_translation(), nasty_translation()])
def test_documents_of_other_tests_survive_json(document: Translation) -> None:
    assert through_json(document) == document


def test_json_gives_back_the_same_kinds() -> None:
    again = through_json(translation())
    assert again.attention is not None
    assert again.attention.weights.dtype == np.float32
    assert isinstance(again.source.pieces, tuple)
    assert isinstance(again.search, SearchConfig)
    assert again.trace is not None
    assert again.trace.steps[0].expansions[0].candidates[0].fate == "kept"
    assert all(type(key) is int for key in again.piece_texts)
    assert again.to_dict()["schema"] == SCHEMA == 1


def test_trace_attention_survives_json() -> None:
    document = Translation.from_dict(beam_document())
    assert document.trace is not None
    assert document.trace.steps[1].expansions[1].attention == (0.75, 0.25)
    assert through_json(document) == document


def test_whole_numbers_stand_for_fractions() -> None:
    document = beam_document()
    document["score"] = -1
    again = Translation.from_dict(document)
    assert (again.score, type(again.score)) == (-1.0, float)


def test_keys_with_a_default_may_be_left_out() -> None:
    document = beam_document()
    for key in ("prefix", "warnings", "complete"):
        del document[key]
    assert Translation.from_dict(document) == Translation.from_dict(beam_document())


def test_texts_are_looked_up_when_asked_for() -> None:
    asked: list[int] = []

    def look_up() -> dict[int, str]:
        asked.append(1)
        return {3: "a", 7: "▁b"}

    texts, held = PieceTexts(look_up), weakref.ref(look_up)
    document = dataclasses.replace(beam_translation(), piece_texts=texts)
    assert not asked
    assert (texts[7], list(texts), len(texts), list(texts.values())) == (
        "▁b",
        [3, 7],
        2,
        ["a", "▁b"],
    )
    assert texts.get(4, "#4") == "#4"
    assert texts == {3: "a", 7: "▁b"} == texts
    assert texts != {3: "a"}
    assert repr(texts) == repr(dict(texts))
    for copied in (copy.deepcopy(texts), pickle.loads(pickle.dumps(texts))):
        assert copied == texts
        assert type(copied) is dict
    assert dataclasses.asdict(document)["piece_texts"] == texts
    assert document.to_dict()["piece_texts"] == {"3": "a", "7": "▁b"}
    assert asked == [1]
    del look_up
    assert held() is None  # with the trace that it reads and the model's texts


@pytest.mark.parametrize("part", ["trace", "attention"])
def test_a_document_may_be_passed_on_without_its_large_parts(part: str) -> None:
    document = {**beam_document(), part: None}
    assert getattr(Translation.from_dict(document), part) is None


@pytest.mark.parametrize("part", ["weights", "layers", "heads", "layer", "head"])
def test_maps_that_differ_in_one_part_are_not_equal(part: str) -> None:
    one, same = attention(2, 3), attention(2, 3)
    assert one == same
    assert one != "a map"
    others = {
        "weights": one.weights * 0.5,
        "layers": ("x", "y"),
        "heads": ("x", "y"),
        "layer": 0,
        "head": 1,
    }
    assert one != dataclasses.replace(one, **{part: others[part]})  # type: ignore[arg-type]


# --- What is refused --------------------------------------------------------------------------

CANDIDATE = "trace.steps.1.expansions.0.candidates.0"

DAMAGE: list[tuple[str, Change]] = [
    # another schema
    ("has no 'schema'", drop("schema")),
    ("schema 2 cannot be read, only schema 1", put("schema", 2)),
    ("schema 0 cannot be read", put("schema", 0)),
    ("schema: expected int, found bool", put("schema", True)),
    ("schema: expected int, found float", put("schema", 1.0)),
    ("schema: expected int, found str", put("schema", "1\n" * 999)),
    # keys
    ("Translation: key 'score' is missing", drop("score")),
    ("source: key 'text' is missing", drop("source.text")),
    ("timing: key 'decoder' is missing", drop("timing.decoder")),
    ("Translation: unknown key 'zz'", put("zz", 1)),
    ("model: unknown key", put("model.two\nlines" + "x" * 99, 1)),
    ("weights: must hold 'shape' and 'data'", drop("attention.weights.shape")),
    ("weights: must hold 'shape' and 'data'", put("attention.weights.dtype", "int")),
    # kinds
    ("score: expected float, found NoneType", put("score", None)),
    ("score: expected float, found bool", put("score", True)),
    ("score: expected float, found str", put("score", "1")),
    ("complete: expected bool, found int", put("complete", 1)),
    (r"words\[0\].special: expected bool, found int", put("source.words.0.special", 0)),
    (r"pieces\[0\].word: expected int, found bool", put("source.pieces.0.word", False)),
    (r"pieces\[0\].id: expected int, found float", put("source.pieces.0.id", 4.0)),
    ("source: expected dict, found list", put("source", [])),
    ("n_best: expected list, found dict", put("n_best", {})),
    (r"n_best\[0\]: expected dict, found NoneType", put("n_best.0", None)),
    (r"prefix\[1\]: expected int, found str", put("prefix", [1, "2"])),
    ("warnings: expected list, found str", put("warnings", "careful")),
    ("piece_texts: expected dict, found list", put("piece_texts", [])),
    ("piece_texts: key 'a' is no whole number", put("piece_texts", {"a": "b"})),
    ("piece_texts: key ' 1_0 ' is no whole number", put("piece_texts", {" 1_0 ": "b"})),
    ("piece_texts: key '007' is no whole number", put("piece_texts", {"007": "b"})),
    ("piece_texts: key '٣' is no whole number", put("piece_texts", {"٣": "b"})),
    ("piece_texts.7: expected str, found int", put("piece_texts", {"7": 7})),
    ("fate: is not one of 'kept', 'pruned'", put(f"{CANDIDATE}.fate", "lost")),
    ("fate: is not one of 'kept', 'pruned'", put(f"{CANDIDATE}.fate", ["kept"])),
    ("weights: expected dict, found list", put("attention.weights", [1])),
    ("shape: expected list, found int", put("attention.weights.shape", 16)),
    ("data: must hold numbers", put("attention.weights.data.3", "0.5")),
    ("data: must hold numbers", put("attention.weights.data.3", None)),
    ("data: must hold numbers", put("attention.weights.data.3", True)),
    ("SearchConfig: unknown key 'breadth'", put("search.breadth", 5)),
    ("SearchConfig.beam", put("search.beam", "wide")),
    # numbers that are none
    ("score: is not a finite number", put("score", math.nan)),
    ("score: is not a finite number", put("score", 10**400)),
    ("decoder: is not a finite number", put("timing.decoder", math.inf)),
    (r"\[1\]: is not a finite number", put("token_log_probabilities.1", -math.inf)),
    ("data: a number is not finite", put("attention.weights.data.3", math.nan)),
    ("data: a number is not finite", put("attention.weights.data.3", 1e300)),
    ("data: a number is not finite", put("attention.weights.data.3", 10**400)),
    # shapes that lie
    ("shape: must hold whole numbers", put("attention.weights.shape", [2, 2, 2, -1])),
    ("shape: must hold whole numbers", put("attention.weights.shape", [2, 2, 2, 2.0])),
    ("16 values do not fill the shape", put("attention.weights.shape", [2, 2, 2, 10**9])),
    (r"shape \(2, 2, 4, 1\), the text needs", put("attention.weights.shape", [2, 2, 4, 1])),
    (r"shape \(4, 2, 1, 2\), the text needs", put("attention.weights.shape", [4, 2, 1, 2])),
    (r"the text needs \(2, 1, 2, 2\)", put("attention.layers", ["only"])),
    (r"the text needs \(2, 2, 3, 2\)", put("attention.heads", ["a", "b", "c"])),
    ("there is no layer 2", put("attention.layer", 2)),
    ("there is no layer -1", put("attention.layer", -1)),
    ("there is no head 2", put("attention.head", 2)),
    ("target: 2 pieces, 1 log-probabilities", put("token_log_probabilities", [-0.1])),
    (r"n_best\[0\]: 2 pieces, 0 log", put("n_best.0.token_log_probabilities", [])),
    # words and places in the text
    (r"source.pieces\[0\]: there is no word 2", put("source.pieces.0.word", 2)),
    (r"target.pieces\[1\]: there is no word -1", put("target.pieces.1.word", -1)),
    (r"n_best\[0\].pieces\[0\]: there is no word 9", put("n_best.0.target.pieces.0.word", 9)),
    (r"source.words\[0\]: lies outside the text", put("source.words.0.end", 2)),
    (r"source.pieces\[0\]: lies outside the text", put("source.pieces.0.start", -1)),
    (r"target.words\[1\]: lies outside the text", put("target.words.1.end", 0)),
    ("n_best: the first is not the target", put("n_best.0.target.text", "other")),
    # references of the trace
    (r"steps\[1\]: has position 0", put("trace.steps.1.position", 0)),
    (r"steps\[0\]: node 5 did not grow", put("trace.steps.0.expansions.0.node", 5)),
    (r"steps\[0\]: node 0 did not grow", put("trace.steps.0.expansions.0.parent", 0)),
    (r"steps\[1\]: node 2 did not grow", put("trace.steps.1.expansions.1.parent", 1)),
    (r"steps\[1\]: node 2 did not grow", put("trace.steps.1.expansions.1.parent", None)),
    (r"steps\[1\]: node 3 did not grow", put("trace.steps.1.expansions.1.node", 3)),
    (r"steps\[1\]: node 4 occurs twice", put(f"{CANDIDATE}.node", 4)),
    (r"steps\[1\]: node 1 occurs twice", put(f"{CANDIDATE}.node", 1)),
    (r"steps\[1\]: only a pruned candidate", put(f"{CANDIDATE}.node", None)),
    (r"steps\[1\]: only a pruned candidate", put(f"{CANDIDATE}.fate", "pruned")),
    (r"steps\[1\]: rank 0 is below 1", put(f"{CANDIDATE}.rank", 0)),
    (r"steps\[1\]: attention does not fit", put("trace.steps.1.expansions.0.attention", [1.0])),
    ("finished: node 77 is not in the trace", put("trace.finished.0.node", 77)),
    (r"n_best\[0\]: node 77 is not in the trace", put("n_best.0.node", 77)),
]


@pytest.mark.parametrize(("message", "change"), DAMAGE)
def test_damaged_documents_are_refused_in_one_line(message: str, change: Change) -> None:
    document = beam_document()
    change(document)
    with pytest.raises(TranslationError, match=message) as raised:
        Translation.from_dict(document)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("value", [None, 7, "text", [], [["schema", 1]], {}])
def test_what_is_no_document_at_all(value: Any) -> None:
    with pytest.raises(TranslationError, match="not a Translation document: it has no 'schema'"):
        Translation.from_dict(value)


def test_hypothesis_may_finish_at_any_step() -> None:
    document = beam_document()
    document["trace"]["steps"][0]["expansions"][0]["candidates"][2].update(fate="finished", node=5)
    document["trace"]["finished"].append({**document["trace"]["finished"][0], "node": 5})
    document["n_best"].append({**document["n_best"][0], "node": 5})
    assert Translation.from_dict(document).n_best[1].node == 5


def test_hypothesis_cannot_skip_a_step() -> None:
    document = beam_document()
    steps = document["trace"]["steps"]
    late = {**steps[1]["expansions"][0], "candidates": []}
    steps.append({"position": 2, "expansions": [late]})
    with pytest.raises(TranslationError, match=r"steps\[2\]: node 1 did not grow"):
        Translation.from_dict(document)


def test_node_that_occurs_in_an_earlier_step_is_refused() -> None:
    document = beam_document()
    document["trace"]["steps"][1]["expansions"][1]["candidates"][0]["node"] = 2
    with pytest.raises(TranslationError, match="node 2 occurs twice"):
        Translation.from_dict(document)


# --- Attention --------------------------------------------------------------------------------


def test_selecting_layers_and_heads() -> None:
    shown = attention(4, 5, layers=3, heads=2)
    for t in range(4):
        for s in range(5):
            cell = shown.weights[t, :, :, s].astype(float)
            for layer in range(3):
                assert shown.select(layer=layer)[t, s] == pytest.approx(cell[layer].mean())
                for head in range(2):
                    chosen = shown.select(layer=layer, head=head)
                    assert chosen[t, s] == shown.weights[t, layer, head, s]
            for head in range(2):
                assert shown.select(head=head)[t, s] == pytest.approx(cell[:, head].mean())
            assert shown.select()[t, s] == pytest.approx(cell.mean())


def naive_merge(weights: np.ndarray, source: Encoding, target: Encoding) -> list[list[float]]:
    """The definition word by word: sum over source pieces, mean over target pieces."""
    table = []
    for target_word in range(len(target.words)):
        mine = [t for t, word in enumerate(target.word_of_piece) if word == target_word]
        row = []
        for source_word in range(len(source.words)):
            read = [s for s, word in enumerate(source.word_of_piece) if word == source_word]
            total = sum(float(weights[t, s]) for t in mine for s in read)
            row.append(total / len(mine))
        table.append(row)
    return table


@settings(deadline=None, max_examples=60)
@given(words, words, st.data())
def test_merging_pieces_to_words(source: list[Any], target: list[Any], data: st.DataObject) -> None:
    src, tgt = encoding(source), encoding(target, language="en")
    shape = (len(tgt.pieces), len(src.pieces))
    cells = st.lists(st.floats(0.01, 1), min_size=math.prod(shape), max_size=math.prod(shape))
    raw = np.array(data.draw(cells)).reshape(shape)
    weights = raw / raw.sum(axis=1, keepdims=True)
    merged = AttentionMap.merge_words(weights, source=src, target=tgt)
    assert merged.shape == (len(tgt.words), len(src.words))
    assert np.allclose(merged, naive_merge(weights, src, tgt), atol=1e-6)
    assert np.allclose(merged.sum(axis=1), 1, atol=1e-6)


def test_merging_follows_the_words_not_the_order_of_pieces() -> None:
    source = encoding(["a", "b"])
    pieces = [dataclasses.replace(piece, word=word) for piece, word in zip(
        source.pieces, (1, 0, 2), strict=True
    )]  # fmt: skip
    swapped = dataclasses.replace(source, pieces=tuple(pieces))
    weights = np.array([[0.5, 0.3, 0.2]] * 2)
    merged = AttentionMap.merge_words(weights, source=swapped, target=encoding(["x"]))
    assert np.allclose(merged, [[0.3, 0.5, 0.2]] * 2)


# --- Numbers worked out from others -----------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(words, st.data())
def test_word_probability_is_the_product_over_its_pieces(
    target: list[Any], data: st.DataObject
) -> None:
    made = translation(target=target, with_trace=False)
    size = len(made.target.pieces)
    shares = data.draw(st.lists(st.floats(0.001, 1), min_size=size, max_size=size))
    logs = tuple(math.log(share) for share in shares)
    made = dataclasses.replace(made, token_log_probabilities=logs)
    expected = [1.0] * len(made.target.words)
    for piece, share in zip(made.target.pieces, shares, strict=True):
        expected[piece.word] *= share
    assert made.word_probabilities == pytest.approx(expected)
    assert all(type(value) is float for value in made.word_probabilities)


def test_text_is_the_target_and_times_add_up() -> None:
    assert translation().text == "The cat sleeps"
    assert Timing(text=1.0, encoder=2.0, decoder=4.0).total == 7.0
