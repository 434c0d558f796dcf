"""What each source word changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support import make_checkpoint
from ui_support import encoding, translation

from seq2seq import Translator
from seq2seq.occlusion import Occlusion, leave_out
from seq2seq.request import TranslatorError
from seq2seq.text.encoding import Encoding

SENTENCE = "Le chat voit la maison."


@pytest.fixture(scope="module", params=["transformer", "gru-additive", "lstm"])
def translator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Translator:
    folder = tmp_path_factory.mktemp("model") / request.param
    make_checkpoint(folder, architecture=request.param)
    return Translator.load(str(folder))


def test_every_word_is_left_out_with_all_its_pieces() -> None:
    source = encoding(["Le", ["ch", "at"], "dort"])
    assert leave_out(source) == {0: [5, 6, 7, 2], 1: [4, 7, 2], 2: [4, 5, 6, 2]}


def test_a_sentence_that_would_be_empty_is_not_asked_about() -> None:
    whole = encoding(["Chat"])
    lone = Encoding(whole.text, "fr", whole.pieces[:1], whole.words[:1])
    assert leave_out(lone) == {}
    assert leave_out(whole) == {0: [2]}


def test_words_are_products_of_their_pieces() -> None:
    document = translation(source=("x",), target=("a", ["b", "c"]))
    logs = np.log([[0.5, 0.5, 0.5, 1.0], [0.5, 0.5, 0.1, 0.2]])
    found = Occlusion.of(document, words=(0,), scores=logs.tolist())
    np.testing.assert_allclose(found.probabilities, [0.5, 0.25, 1])
    np.testing.assert_allclose(found.drops, [[0], [0.2], [0.8]])


def test_the_whole_sentence_has_the_probabilities_of_the_search(translator: Translator) -> None:
    document = translator.translate(SENTENCE)
    found = translator.occlusion(document)
    np.testing.assert_allclose(found.probabilities, document.word_probabilities, atol=1e-5)
    assert found.words == tuple(range(len(document.source.words) - 1))
    assert found.drops.shape == (len(document.target.words), len(found.words))
    assert np.abs(found.drops).max() <= 1


def test_a_column_is_what_the_shorter_sentence_gives(translator: Translator) -> None:
    document = translator.translate(SENTENCE, beam=1)
    found = translator.occlusion(document)
    without = translator.translate(
        SENTENCE.replace("chat ", ""), prefix=document.target.ids, beam=1
    )
    own = np.asarray(without.word_probabilities)[: len(document.target.words)]
    drop = np.asarray(document.word_probabilities) - own
    np.testing.assert_allclose(found.drops[:, 1], drop, atol=1e-5)


def test_long_texts_are_scored_in_parts(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = translator.translate(SENTENCE)
    whole = translator.occlusion(document).drops
    monkeypatch.setattr("seq2seq.runner._SCORED", 1)
    np.testing.assert_allclose(translator.occlusion(document).drops, whole, atol=1e-6)


def test_a_translation_of_another_model_is_refused(translator: Translator) -> None:
    document = translator.translate(SENTENCE)
    pieces = tuple(dataclasses.replace(p, id=10**6) for p in document.target.pieces)
    strange = dataclasses.replace(document.target, pieces=pieces)
    with pytest.raises(TranslatorError, match="another model"):
        translator.occlusion(dataclasses.replace(document, target=strange))
    many = dataclasses.replace(document.source, pieces=document.source.pieces * 100)
    with pytest.raises(TranslatorError, match="another model"):
        translator.occlusion(dataclasses.replace(document, source=many))


def test_nothing_is_learned_by_scoring(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "x")
    translator = Translator.load(str(tmp_path / "x"), precision="fp32")
    model = translator._runner.model._module
    translator.occlusion(translator.translate(SENTENCE))
    assert model is not None
    assert all(parameter.grad is None for parameter in model.parameters())
