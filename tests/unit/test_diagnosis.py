"""Signs of trouble."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from ui_support import translation

from seq2seq.diagnosis import Sign, diagnose
from seq2seq.translation import Translation


def kinds(document: Translation) -> list[str]:
    return [sign.kind for sign in diagnose(document)]


def the(document: Translation, kind: str) -> Sign:
    return next(sign for sign in diagnose(document) if sign.kind == kind)


def read(document: Translation, *, missed: Sequence[int] = ()) -> Translation:
    """Every source piece is looked at somewhere, but for ``missed``."""
    assert document.attention is not None
    weights = np.zeros_like(document.attention.weights)
    count = weights.shape[-1]
    rest = [piece for piece in range(count) if piece not in missed]
    for row in range(len(weights)):
        weights[row, ..., rest] = 1 / len(rest)
    attention = dataclasses.replace(document.attention, weights=weights)
    return dataclasses.replace(document, attention=attention)


def test_a_good_translation_has_none() -> None:
    assert diagnose(read(translation())) == ()


def test_an_unfinished_one_is_not_judged() -> None:
    assert diagnose(translation(target=["no"] * 9, complete=False)) == ()
    assert diagnose(translation(target=(), source=())) == ()


def test_loop() -> None:
    document = read(translation(target=("he", ["sa", "id"], "no", "no", "no", "no")))
    sign = the(document, "loop")
    assert sign.words == (2, 3, 4, 5)
    assert sign.steps == (3, 4, 5, 6)
    assert sign.detail == "4"
    # what was not taken at the first repetition, by the model's own order
    assert (sign.step, sign.token) == (4, 900)
    assert sign.probability == pytest.approx(0.2)


def test_loop_inside_a_word() -> None:
    document = translation(target=(["ten"] * 6, "x"))
    pieces = tuple(
        dataclasses.replace(piece, id=50 if piece.text == "ten" else piece.id)
        for piece in document.target.pieces
    )
    document = dataclasses.replace(
        document, target=dataclasses.replace(document.target, pieces=pieces)
    )
    sign = the(document, "loop")
    assert (sign.words, sign.detail) == ((0,), "6")


def test_a_source_that_repeats_itself_may_be_translated() -> None:
    assert "loop" not in kinds(translation(source=("non",) * 3, target=("no",) * 3))


def test_without_a_trace_nothing_is_suggested() -> None:
    sign = the(translation(target=("no",) * 3, with_trace=False), "loop")
    assert (sign.step, sign.token, sign.probability) == (None, None, None)


def test_copied() -> None:
    document = read(translation(source=("Le", "chat", "dort"), target=("le", "chat", "dort")))
    sign = the(document, "copied")
    assert sign.words == (0, 1, 2)
    assert sign.step == 0


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (("Tom", "aime", "Marie"), ("Tom", "loves", "Marie")),
        (("Le", "chat", "dort"), ("The", "cat", "sleeps")),
        (("Londres",), ("London",)),
        (("Tom",), ("Tom",)),
    ],
)
def test_names_may_stay(source: Sequence[str], target: Sequence[str]) -> None:
    assert "copied" not in kinds(translation(source=source, target=target))


def test_short() -> None:
    words = ("Il", "y", "a", "un", "chat", "noir", "ici")
    sign = the(translation(source=words, target=("A", "cat")), "short")
    assert sign.detail == "2/7"
    assert sign.words == (2,)  # the end of the sentence
    assert sign.step == 2
    assert "short" not in kinds(translation(source=words, target=("There", "is", "a", "cat")))
    assert "short" not in kinds(translation(source=("Au", "revoir"), target=("Bye",)))


def test_unread_words() -> None:
    document = read(translation(source=("Le", ["ch", "at"], ["dor", "mait"], ".")), missed=(3, 4))
    assert the(document, "unread").source_words == (2,)
    # short words and punctuation often are not looked at
    assert "unread" not in kinds(read(translation(), missed=(0,)))
    assert "unread" not in kinds(translation(with_attention=False))


def test_unknown_characters() -> None:
    document = read(translation(source=("Le", ["<0xF0>", "<0x9F>"]), target=("The", "<0xF0>")))
    sign = the(document, "unknown")
    assert (sign.words, sign.source_words, sign.steps) == ((1,), (1,), (1,))


def test_another_language() -> None:
    french = ["Je", "ne", "sais", "pas", "du", "tout", "pourquoi", "il", "est", "parti", "hier"]
    sign = the(translation(source=("I", "wonder"), target=french), "language")
    assert (sign.detail, sign.step) == ("fr", 0)
    english = ["I", "do", "not", "know", "at", "all", "why", "he", "left", "yesterday"]
    assert "language" not in kinds(translation(target=english))
    assert "language" not in kinds(translation(target=("Je", "sais")))  # too short to tell


def test_a_sentence_in_another_language_than_it_is_said_to_be() -> None:
    english = ["I", "do", "not", "know", "at", "all", "why", "he", "left"]
    sign = the(translation(source=english, target=("He", "left")), "source")
    assert sign.detail == "en"
    assert "source" not in kinds(translation(source=("I", "know")))
