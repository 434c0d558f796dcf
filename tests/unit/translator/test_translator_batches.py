"""Batches, streams and threads give what single translations give."""

import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from support import FRENCH, replace_step
from translator_support import SENTENCE, alike, assert_close, timeless

from seq2seq import Translation, Translator
from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.translator import TextTooLongError, TranslatorError


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
