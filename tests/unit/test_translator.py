import dataclasses
import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import ARCHITECTURES, FRENCH, make_checkpoint, replace_step

from seq2seq import Translation, Translator
from seq2seq.catalogue import FOLDER_VARIABLE, ModelNotFoundError, embedded, locate
from seq2seq.checkpoint import CheckpointError, load_checkpoint
from seq2seq.config import ConfigError, SamplingConfig, SearchConfig
from seq2seq.device import DeviceError
from seq2seq.hub import HubError
from seq2seq.inference import choose
from seq2seq.translation import AttentionMap
from seq2seq.translator import MAX_CHARACTERS, MAX_PIECES, TextTooLongError, TranslatorError

SENTENCE = "Le chat voit la maison."


@pytest.fixture(autouse=True, scope="module")
def cpu_only() -> Iterator[None]:
    """The same figures on every machine, whether or not it has a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seq2seq.device._available", lambda: ["cpu"])
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    for architecture in ARCHITECTURES:
        make_checkpoint(root / architecture, architecture=architecture)
    make_checkpoint(root / "both-ways", directions=(("fr", "en"), ("en", "fr")), target_tags=True)
    return root


@pytest.fixture(scope="module")
def translator(folder: Path) -> Translator:
    return Translator.load(str(folder / "transformer"))


@pytest.fixture(params=ARCHITECTURES, scope="module")
def each(request: pytest.FixtureRequest, folder: Path) -> Translator:
    return Translator.load(str(folder / request.param))


def timeless(translation: Translation) -> dict[str, Any]:
    values = translation.to_dict()
    del values["timing"]
    return values


def alike(first: Translation, second: Translation) -> None:
    """Equal, but for time and the last digits of floating-point numbers."""
    assert first.target == second.target
    assert first.source == second.source
    assert first.score == pytest.approx(second.score, abs=1e-4)
    assert first.token_log_probabilities == pytest.approx(second.token_log_probabilities, abs=1e-4)
    assert (first.attention is None) == (second.attention is None)
    if first.attention is not None and second.attention is not None:
        assert np.allclose(first.attention.weights, second.attention.weights, atol=1e-4)
    assert [a.target for a in first.n_best] == [a.target for a in second.n_best]


def assert_close(first: Any, second: Any) -> None:
    """Equal JSON, but for the last digits of floating-point numbers."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert_close(value, second[key])
    elif isinstance(first, list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_close(one, other)
    elif isinstance(first, float):
        assert first == pytest.approx(second, abs=1e-4)
    else:
        assert first == second


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


class TestBatches:
    def test_equal_single_translations_in_order(self, each: Translator) -> None:
        texts = [*random.Random(5).sample(FRENCH, 12), "", "Le chat.", " "]
        for text, found in zip(texts, each.translate(texts), strict=True):
            alike(found, each.translate(text))

    def test_small_batches_change_nothing(self, folder: Path) -> None:
        texts = random.Random(6).sample(FRENCH, 10)
        one_by_one = Translator.load(str(folder / "gru-additive"), batch_tokens=1)
        together = Translator.load(str(folder / "gru-additive"))
        for first, second in zip(
            one_by_one.translate(texts), together.translate(texts), strict=True
        ):
            alike(first, second)

    def test_workers_change_nothing(self, folder: Path) -> None:
        texts = [*random.Random(8).sample(FRENCH, 30), ""]
        path = str(folder / "lstm-general")
        alone = Translator.load(path, batch_tokens=100)
        team = Translator.load(path, batch_tokens=100, workers=3)
        steps: list[int] = []
        found = list(team.translate_many(texts, attention=True, progress=steps.append))
        assert sum(steps) == 31
        for first, second in zip(alone.translate(texts), found, strict=True):
            alike(first, second)
        with pytest.raises(TranslatorError, match="workers is 0"):
            Translator.load(path, workers=0)

    def test_an_error_in_a_worker_reaches_the_caller(self, folder: Path) -> None:
        broken = Translator.load(str(folder / "lstm"), batch_tokens=1, workers=2)

        def fail(tokens: object, state: object, **_: object) -> object:
            raise RuntimeError("broken on purpose")

        replace_step(broken, lambda _: fail)
        with pytest.raises(RuntimeError, match="on purpose"):
            broken.translate(FRENCH[:6])

    def test_an_empty_list(self, translator: Translator) -> None:
        assert translator.translate([]) == []

    def test_sampling_does_not_depend_on_the_batch(self, translator: Translator) -> None:
        texts = [FRENCH[3], FRENCH[700] + " " + FRENCH[9], FRENCH[1200]]
        sample = SamplingConfig(seed=4)
        together = translator.translate(texts, sample=sample)
        alone = [translator.translate(text, sample=sample) for text in texts]
        assert [t.target.ids for t in together] == [t.target.ids for t in alone]

    def test_a_stream_is_read_in_chunks_and_reports_progress(self, translator: Translator) -> None:
        taken = 0

        def texts() -> Iterator[str]:
            nonlocal taken
            for text in [*FRENCH[:7], "", *FRENCH[7:12]]:
                taken += 1
                yield text

        steps: list[int] = []
        found = translator.translate_many(texts(), chunk=4, progress=steps.append)
        first = next(found)
        assert taken == 4
        rest = list(found)
        assert sum(steps) == 13
        texts_found = [t.source.text for t in (first, *rest)]
        assert texts_found == [*FRENCH[:7], "", *FRENCH[7:12]]

    def test_a_stream_names_the_text_that_is_too_long(self, translator: Translator) -> None:
        texts = [*FRENCH[:5], "la " * 400, FRENCH[6]]
        with pytest.raises(TextTooLongError) as caught:
            list(translator.translate_many(texts, chunk=4))
        assert caught.value.index == 5

    def test_wrong_batch_tokens(self, folder: Path) -> None:
        with pytest.raises(TranslatorError, match="batch_tokens is 0"):
            Translator.load(str(folder / "lstm"), batch_tokens=0)


class TestStreaming:
    def test_ends_with_what_translate_gives(self, each: Translator) -> None:
        found = list(each.translate_stream(SENTENCE, n_best=2, trace=True))
        assert [t.complete for t in found] == [False] * (len(found) - 1) + [True]
        assert timeless(found[-1]) == timeless(each.translate(SENTENCE, n_best=2, trace=True))
        assert len(found) > 2

    def test_partial_ones_grow_and_are_consistent(self, each: Translator) -> None:
        partial = list(each.translate_stream(SENTENCE))[:-1]
        lengths = [len(t.target.pieces) for t in partial]
        assert lengths[:5] == [1, 2, 3, 4, 5]
        assert all(length <= step for step, length in enumerate(lengths, start=1))
        for translation in partial:
            assert len(translation.word_probabilities) == len(translation.target.words)
            if translation.attention is not None:
                assert len(translation.attention.weights) == len(translation.target.pieces)
            assert Translation.from_dict(json.loads(json.dumps(translation.to_dict())))

    def test_closing_stops_the_search(self, translator: Translator) -> None:
        before = threading.active_count()
        stream = translator.translate_stream(
            SENTENCE, search=SearchConfig(beam=5, max_length=1024, min_length=1023)
        )
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert threading.active_count() == before

    def test_blank_gives_one(self, translator: Translator) -> None:
        found = list(translator.translate_stream(" "))
        assert [t.complete for t in found] == [True]

    def test_errors_come_at_once(self, translator: Translator) -> None:
        with pytest.raises(TextTooLongError):
            translator.translate_stream("x" * 6000)
        with pytest.raises(TranslatorError):
            translator.translate_stream(SENTENCE, source="xx")

    def test_an_error_in_the_search_reaches_the_consumer(self, folder: Path) -> None:
        broken = Translator.load(str(folder / "transformer"))

        def fail(tokens: object, state: object, **_: object) -> object:
            raise RuntimeError("broken on purpose")

        replace_step(broken, lambda _: fail)
        with pytest.raises(RuntimeError, match="on purpose"):
            list(broken.translate_stream(SENTENCE))


class TestThreads:
    def test_eight_threads_give_what_one_gives(self, each: Translator) -> None:
        texts = random.Random(7).sample(FRENCH, 24)
        serial = [each.translate(text, trace=True) for text in texts]
        with ThreadPoolExecutor(8) as pool:
            parallel = list(pool.map(lambda text: each.translate(text, trace=True), texts))
        for first, second in zip(parallel, serial, strict=True):
            alike(first, second)
            assert_close(first.to_dict()["trace"], second.to_dict()["trace"])

    def test_loading_leaves_torch_threads_alone_unless_told(self, folder: Path) -> None:
        before = torch.get_num_threads()
        Translator.load(str(folder / "lstm"))
        assert torch.get_num_threads() == before
        try:
            Translator.load(str(folder / "lstm"), threads=2)
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)
        with pytest.raises(TranslatorError, match="threads is 0"):
            Translator.load(str(folder / "lstm"), threads=0)


class TestDevices:
    @pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", "meta", "", "cuda:-1"])
    def test_unknown_names_are_refused(self, folder: Path, name: str) -> None:
        with pytest.raises(DeviceError, match="is not one of auto"):
            Translator.load(str(folder / "lstm"), device=name)

    def test_missing_ones_are_refused(self, folder: Path) -> None:
        with pytest.raises(DeviceError, match="this machine has no cuda:99; it has"):
            Translator.load(str(folder / "lstm"), device="cuda:99")

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_out_of_memory_falls_back_to_the_cpu_with_a_warning(
        self, folder: Path, architecture: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        wanted = Translator.load(str(folder / architecture)).translate(SENTENCE, trace=True)
        poor = Translator.load(str(folder / architecture))
        calls = 0

        def running_out(step: Callable[..., Any]) -> Callable[..., Any]:
            def run_out(tokens: torch.Tensor, state: Any, **options: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls > 2:
                    raise torch.OutOfMemoryError("CUDA out of memory")
                return step(tokens, state, **options)

            return run_out

        replace_step(poor, running_out)
        found = poor.translate(SENTENCE, trace=True)
        assert found.target == wanted.target
        assert found.trace == wanted.trace
        assert found.model.device == "cpu"
        assert "ran out of memory" in found.warnings[0]
        assert "ran out of memory" in caplog.text
        assert poor.memory_bytes > Translator.load(str(folder / architecture)).memory_bytes

    def test_without_the_checkpoint_there_is_no_falling_back(self, tmp_path: Path) -> None:
        make_checkpoint(tmp_path / "x")
        poor = Translator.load(str(tmp_path / "x"))

        def run_out(tokens: object, state: object, **_: object) -> object:
            raise torch.OutOfMemoryError("CUDA out of memory")

        replace_step(poor, lambda _: run_out)
        make_checkpoint(tmp_path / "x", seed=2)
        with pytest.raises(CheckpointError, match="has changed since it was loaded"):
            poor.translate(SENTENCE)


class TestNames:
    def test_embedded_names_and_folders(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
        assert set(embedded()) == {*ARCHITECTURES, "both-ways"}
        assert locate("lstm") == folder / "lstm"
        assert locate(str(folder / "lstm")) == folder / "lstm"
        assert Translator.load("lstm").card.name == "lstm"

    def test_unknown_names_list_the_known_ones(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
        with pytest.raises(ModelNotFoundError) as caught:
            Translator.load("transfomer")
        message = str(caught.value)
        assert "did you mean 'transformer'?" in message
        assert "both-ways, gru-additive" in message
        for name in ("", "x" * 5000, "a\0b", "./nowhere", "/no/such/folder"):
            with pytest.raises(ModelNotFoundError):
                locate(name)

    def test_a_hub_that_is_not_there_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(HubError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
            Translator.load("Helsinki-NLP/opus-mt-fr-en")

    def test_a_damaged_neighbour_hides_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
        make_checkpoint(tmp_path / "good")
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "config.json").write_text('{"format_version": 1, "x": 2}')
        (tmp_path / "file").write_text("")
        assert set(embedded()) == {"good"}
        with pytest.raises(CheckpointError, match="unknown key 'x'"):
            Translator.load("bad")

    def test_no_embedded_models_at_all(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "none"))
        assert embedded() == {}
        with pytest.raises(ModelNotFoundError, match="none in"):
            locate("fr-en-transformer")
