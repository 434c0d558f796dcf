"""A translation is complete and consistent, whatever the text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import make_checkpoint
from translator_support import SENTENCE

from seq2seq import Translation, Translator
from seq2seq.checkpoint import load_checkpoint
from seq2seq.config import SearchConfig
from seq2seq.inference import choose
from seq2seq.translation import AttentionMap
from seq2seq.translator import MAX_CHARACTERS, MAX_PIECES, TextTooLongError, TranslatorError


class TestDocument:
    def test_is_complete_and_consistent(self, each: Translator) -> None:
        found = each.translate(SENTENCE, n_best=3, trace=True)
        assert found.complete
        assert found.source.text == SENTENCE
        assert (found.source_language, found.target_language) == ("fr", "en")
        assert len(found.target.pieces) == len(found.token_log_probabilities)
        assert found.log_probability == pytest.approx(sum(found.token_log_probabilities))
        assert all(0 <= p <= 1 for p in found.word_probabilities)
        assert len(found.word_probabilities) == len(found.target.words)
        assert len(found.n_best) == 3
        assert found.n_best[0].target == found.target
        scores = [alternative.score for alternative in found.n_best]
        assert scores == sorted(scores, reverse=True)
        assert found.text == found.target.text
        assert found.timing.encoder > 0
        assert found.timing.decoder > 0

    def test_attention_rows_are_distributions_over_the_source(self, each: Translator) -> None:
        found = each.translate(SENTENCE)
        if each.info.name == "lstm":
            assert found.attention is None
            return
        assert isinstance(found.attention, AttentionMap)
        layers, heads = len(found.attention.layers), len(found.attention.heads)
        shape = (len(found.target.pieces), layers, heads, len(found.source.pieces))
        assert found.attention.weights.shape == shape
        assert np.allclose(found.attention.weights.sum(axis=-1), 1, atol=1e-5)

    def test_survives_json(self, each: Translator) -> None:
        found = each.translate(SENTENCE, trace=True, n_best=2)
        text = json.dumps(found.to_dict(), allow_nan=False)
        assert Translation.from_dict(json.loads(text)) == found

    def test_names_every_piece_of_the_trace(self, translator: Translator) -> None:
        found = translator.translate(SENTENCE, trace=True)
        assert found.trace is not None
        ids = {
            candidate.token
            for step in found.trace.steps
            for expansion in step.expansions
            for candidate in expansion.candidates
        }
        assert ids <= set(found.piece_texts)
        assert all(found.piece_texts.values())
        assert translator.translate(SENTENCE).piece_texts == {}

    def test_trace_and_attention_change_nothing_else(self, each: Translator) -> None:
        plain = each.translate(SENTENCE, attention=False)
        full = each.translate(SENTENCE, trace=True)
        assert plain.target == full.target
        assert plain.score == full.score
        assert plain.attention is None
        assert plain.trace is None

    def test_says_which_model_made_it(self, translator: Translator) -> None:
        card = translator.translate(SENTENCE).model
        assert card == translator.card
        assert (card.name, card.device, card.precision) == ("transformer", "cpu", choose(None))
        assert card.revision == load_checkpoint(locate_of(translator)).revision
        assert card.parameters > 1000

    def test_cut_off_at_the_limit_is_said(self, translator: Translator) -> None:
        found = translator.translate(SENTENCE, max_length=2)
        assert len(found.target.pieces) == 2
        assert any("length limit" in warning for warning in found.warnings)

    def test_the_default_attention_map_is_the_checkpoints(self, tmp_path: Path) -> None:
        make_checkpoint(tmp_path / "x")
        path = tmp_path / "x" / "config.json"
        values = json.loads(path.read_text())
        values["attention_default"] = {"layer": 1, "head": None}
        path.write_text(json.dumps(values))
        found = Translator.load(str(tmp_path / "x")).translate(SENTENCE)
        assert found.attention is not None
        assert (found.attention.layer, found.attention.head) == (1, None)


def locate_of(translator: Translator) -> Path:
    return Path(translator._runner._folder)


ODD_TEXTS = [
    "🐈 chat",
    "\x00",
    "a\x00b",
    "<b>x</b> <img src=x onerror=alert(1)>",
    "שלום עולם",
    "日本語のテキスト",
    "\u202eevil\u202c",
    "e\u0301\u0301\u0301",
    "a\u2028b\nc\rd\te",
    "'" * 100,
    "\ufffd\ufeff",
    "%s ${x} {{y}} \\n",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
]


class TestText:
    @pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u3000", "\u00a0"])
    def test_blank_gives_an_empty_translation(self, each: Translator, text: str) -> None:
        found = each.translate(text, trace=True)
        assert (found.text, found.target.pieces, found.attention) == ("", (), None)
        assert found.source.text == text
        assert found.word_probabilities == ()
        assert Translation.from_dict(json.loads(json.dumps(found.to_dict()))) == found

    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_odd_text_gives_a_translation(self, translator: Translator, text: str) -> None:
        found = translator.translate(text, trace=True)
        assert found.source.text == text
        assert Translation.from_dict(json.loads(json.dumps(found.to_dict()))) == found

    def test_too_long_is_refused_not_cut(self, translator: Translator) -> None:
        with pytest.raises(TextTooLongError, match=f"at most {MAX_CHARACTERS}") as caught:
            translator.translate(["kurz", "x" * (MAX_CHARACTERS + 1)])
        assert caught.value.index == 1
        with pytest.raises(TextTooLongError, match=f"at most {MAX_PIECES} are"):
            translator.translate("la " * MAX_PIECES)
        assert translator.translate("la " * (MAX_PIECES // 2), max_length=3).target.pieces

    def test_learned_positions_set_their_own_limit(self, folder: Path) -> None:
        learned = Translator.load(str(folder / "transformer-learned"))
        with pytest.raises(TextTooLongError, match="at most 40 are"):
            learned.translate("la " * 40)
        found = learned.translate("la " * 30, search=SearchConfig(beam=2, length_factor=10.0))
        assert len(found.target.pieces) <= 40
        assert found.search.max_length == 39  # and end-of-sentence

    def test_other_types_are_refused(self, translator: Translator) -> None:
        wrong: Any = [SENTENCE, 3]
        with pytest.raises(TranslatorError, match="text number 2 is a int"):
            translator.translate(wrong)
