"""Settings, prefixes and languages, and those that are refused."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support import FRENCH
from translator_support import SENTENCE, alike, timeless

from seq2seq import Translation, Translator
from seq2seq.config import ConfigError, SamplingConfig, SearchConfig
from seq2seq.translator import MAX_CHARACTERS, MAX_PIECES, TextTooLongError, TranslatorError


class TestSettings:
    def test_defaults_come_from_the_checkpoint(self, translator: Translator) -> None:
        assert translator.translate(SENTENCE).search == translator.info.search

    def test_arguments_override_them(self, translator: Translator) -> None:
        found = translator.translate(SENTENCE, beam=4, length_penalty=0.3, max_length=7, n_best=2)
        wanted = dataclasses.replace(
            translator.info.search, beam=4, length_penalty=0.3, max_length=7, n_best=2
        )
        assert found.search == wanted
        given = SearchConfig(beam=2, max_length=5)
        assert translator.translate(SENTENCE, search=given).search == given

    @pytest.mark.parametrize(
        "arguments",
        [{"beam": 0}, {"beam": 65}, {"n_best": 9}, {"length_penalty": -1.0}, {"max_length": 0}],
    )
    def test_out_of_range_is_refused(
        self, translator: Translator, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises(ConfigError, match=next(iter(arguments))):
            translator.translate(SENTENCE, **arguments)

    @pytest.mark.parametrize(
        "wrong",
        [SearchConfig(beam=True), SearchConfig(beam=2.5), SearchConfig(stopping="late")],  # type: ignore[arg-type]
    )
    def test_settings_of_a_program_are_checked_too(
        self, translator: Translator, wrong: SearchConfig
    ) -> None:
        for arguments in ({}, {"n_best": 1}):
            with pytest.raises(ConfigError):
                translator.translate(SENTENCE, search=wrong, **arguments)

    def test_sampling_is_repeatable_and_varies_with_the_seed(self, translator: Translator) -> None:
        def draw(seed: int) -> Translation:
            return translator.translate(SENTENCE, sample=SamplingConfig(seed=seed))

        assert timeless(draw(1)) == timeless(draw(1))
        assert len({draw(seed).target.ids for seed in range(5)}) > 1
        with pytest.raises(ConfigError, match="sampling needs beam 1"):
            translator.translate(SENTENCE, sample=SamplingConfig(), beam=5)

    def test_the_prefix_is_kept(self, each: Translator) -> None:
        found = each.translate(SENTENCE, prefix="The dog")
        assert found.text.startswith("The dog")
        assert found.prefix == found.target.ids[: len(found.prefix)]
        assert found.prefix

    def test_prefixes_of_a_list(self, translator: Translator) -> None:
        texts = FRENCH[:3]
        found = translator.translate(texts, prefix=["The", None, "A letter"])
        assert found[0].text.startswith("The")
        assert found[1].prefix == ()
        assert found[2].text.startswith("A letter")
        alike(found[1], translator.translate(texts[1]))
        with pytest.raises(TranslatorError, match="2 prefixes for 3 texts"):
            translator.translate(texts, prefix=["The", None])

    def test_a_prefix_of_ids_and_text(self, each: Translator) -> None:
        first = each.translate(SENTENCE).target.ids
        eos = 2
        found = each.translate(SENTENCE, prefix=first[:2])
        assert found.prefix == first[:2] == found.target.ids[:2]
        mixed = each.translate(SENTENCE, prefix=(*first[:2], "dog "))
        assert mixed.prefix[:2] == first[:2]
        assert mixed.prefix[2:] == each.translate(SENTENCE, prefix="dog ").prefix
        ended = each.translate(SENTENCE, prefix=(*first[:2], eos))
        assert ended.target.ids == (*first[:2], eos)
        again = each.translate([SENTENCE, SENTENCE], prefix=[first[:2], ("dog ",)])
        alike(again[0], found)

    @pytest.mark.parametrize("prefix", [(0,), (1,), (2, 5), (-1,), (10**6,)])
    def test_ids_that_no_translation_holds_are_refused(
        self, translator: Translator, prefix: tuple[int, ...]
    ) -> None:
        with pytest.raises(TranslatorError, match=f"holds id {prefix[0]} at place 1"):
            translator.translate(SENTENCE, prefix=prefix)

    def test_a_prefix_of_something_else_is_refused(self, translator: Translator) -> None:
        with pytest.raises(TranslatorError, match="prefix number 1 is a float"):
            translator.translate(SENTENCE, prefix=[1.5])  # type: ignore[list-item]

    def test_a_prefix_beyond_the_limit(self, translator: Translator) -> None:
        with pytest.raises(TextTooLongError, match=r"prefix has .* pieces for the model, at most"):
            translator.translate(SENTENCE, prefix="word " * MAX_PIECES)
        with pytest.raises(TextTooLongError, match=r"prefix has .* characters"):
            translator.translate(SENTENCE, prefix="x" * (MAX_CHARACTERS + 1))


class TestLanguages:
    def test_may_be_left_out_where_there_is_no_choice(
        self, translator: Translator, folder: Path
    ) -> None:
        wanted = translator.translate(SENTENCE).text
        assert translator.translate(SENTENCE, source="fr").text == wanted
        assert translator.translate(SENTENCE, target="en").text == wanted
        both = Translator.load(str(folder / "both-ways"))
        assert both.direction(source="en") == ("en", "fr")
        found = both.translate("The cat sees the house.", target="fr")
        assert (found.source_language, found.target_language) == ("en", "fr")
        with pytest.raises(TranslatorError, match="needed to choose among fr-en, en-fr"):
            both.translate(SENTENCE)

    def test_unknown_ones_are_named(self, translator: Translator, folder: Path) -> None:
        with pytest.raises(TranslatorError, match="source language 'de' is not one of fr"):
            translator.translate(SENTENCE, source="de")
        with pytest.raises(TranslatorError, match="target language 'xx' is not one of en"):
            translator.translate(SENTENCE, target="xx")
        both = Translator.load(str(folder / "both-ways"))
        with pytest.raises(TranslatorError, match="does not translate fr to fr, only fr-en, en-fr"):
            both.translate(SENTENCE, source="fr", target="fr")
