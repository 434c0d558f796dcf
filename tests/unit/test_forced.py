"""Attention over given words."""

from pathlib import Path

import numpy as np
import pytest
from support import cpu_only, make_checkpoint  # noqa: F401

from seq2seq import Translator
from seq2seq.commands.forced import forced_attention
from seq2seq.evaluation.alignment import READINGS, AlignedPair

PAIRS = [
    AlignedPair(("Le", "chat", "dort", "."), ("The", "cat", "sleeps", "."), *[frozenset()] * 2),
    AlignedPair(("Oui", "!"), ("Yes", ",", "it", "is", "so", "!"), *[frozenset()] * 2),
]


@pytest.mark.parametrize("target_tags", [False, True])
@pytest.mark.parametrize("architecture", ["transformer", "gru-additive"])
def test_rows_are_those_of_teacher_forcing(
    tmp_path: Path, architecture: str, target_tags: bool
) -> None:
    directions = (("fr", "en"), ("en", "fr")) if target_tags else (("fr", "en"),)
    make_checkpoint(
        tmp_path / "x", architecture=architecture, directions=directions, target_tags=target_tags
    )
    translator = Translator.load(str(tmp_path / "x"))
    found = list(forced_attention(translator, PAIRS, source="fr", target="en"))
    assert [one.pair for one in found] == PAIRS
    for one in found:
        tags = int(target_tags)
        forced = [*one.target.ids[tags:-1], translator._text.eos_id]
        model = translator._runner.model.session()
        state = model.start(model.encode([one.source.ids]))
        rows = []
        for token in [model.config.bos_id, *forced[:-1]]:
            step = model.step([token], state)
            state = step.state
            assert step.attention is not None
            rows.append(step.attention[0])
        expected = np.stack(rows)
        assert one.weights[: len(rows)] == pytest.approx(expected, abs=1e-5)
        # The last word: its rows while produced, and one step later.
        size = sum(piece.word == len(one.target.words) - 2 for piece in one.target.pieces)
        special = [one.source.words[piece.word].special for piece in one.source.pieces]
        steps = len(rows) - 1 - size
        for shift, reading in enumerate(READINGS):
            words = one.words(reading=reading)
            assert words.shape[0] == len(one.pair.target)
            assert words.shape[3] == len(one.pair.source)
            pieces = expected[steps + shift : steps + shift + size].mean(axis=0)
            inside = pieces[..., ~np.array(special)].sum(axis=-1)
            assert words[-1].sum(axis=-1) == pytest.approx(inside, abs=1e-5)


def test_a_model_without_attention_gives_nothing(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "x", architecture="lstm")
    translator = Translator.load(str(tmp_path / "x"))
    assert list(forced_attention(translator, PAIRS, source="fr", target="en")) == []
