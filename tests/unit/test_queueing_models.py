"""Requests that share a batch get what each gets alone."""

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from queueing_support import PATIENCE
from support import ARCHITECTURES, FRENCH, make_checkpoint
from translator_support import alike, assert_close

from seq2seq import Translation, Translator
from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.request import BusyError, TranslatorError
from seq2seq.runner import Outcome


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    for architecture in ARCHITECTURES:
        make_checkpoint(root / architecture, architecture=architecture)
    return root


@pytest.fixture(params=ARCHITECTURES)
def each(request: pytest.FixtureRequest, folder: Path) -> Translator:
    return Translator.load(str(folder / request.param), device="cpu")


class Gate:
    """Holds the first batch of a translator until as many single requests wait as wanted."""

    def __init__(self, translator: Translator, *, waiting: int) -> None:
        self._line = translator._engine._singles
        self._runner = translator._runner
        self._waiting = waiting
        self.sizes: list[int] = []
        translator._engine._singles._runner = self

    def run(self, sources: Sequence[Sequence[int]], **options: Any) -> Outcome:
        poll = threading.Event()
        for _ in range(int(PATIENCE / 0.002)):
            if self.sizes or self._line.waiting >= self._waiting:
                break
            poll.wait(0.002)
        self.sizes.append(len(sources))
        return self._runner.run(sources, **options)


def together(translator: Translator, calls: Sequence[Any]) -> tuple[list[Translation], list[int]]:
    """What the calls give when all but the first wait and are then decoded together."""
    gate = Gate(translator, waiting=len(calls) - 1)
    with ThreadPoolExecutor(len(calls)) as pool:
        found = list(pool.map(lambda call: call(), calls))
    translator._engine._singles._runner = translator._runner
    return found, gate.sizes


class TestModels:
    @pytest.mark.parametrize("options", [{}, {"trace": True, "n_best": 3}, {"beam": 1}])
    def test_together_as_alone(self, each: Translator, options: dict[str, Any]) -> None:
        texts = random.Random(3).sample(FRENCH, 9)
        prefixes = [None, "The dog", None, "A letter", None, None, "My", None, "The"]
        pairs = list(zip(texts, prefixes, strict=True))
        calls = [
            lambda text=text, prefix=prefix: each.translate(text, prefix=prefix, **options)
            for text, prefix in pairs
        ]
        found, sizes = together(each, calls)
        assert sizes == [1, 8]
        for call, one in zip(calls, found, strict=True):
            alone = call()
            alike(one, alone)
            assert one.prefix == alone.prefix
            assert_close(one.to_dict()["trace"], alone.to_dict()["trace"])

    def test_sampling_together_as_alone(self, each: Translator) -> None:
        def draw(number: int) -> Translation:
            sample = SamplingConfig(seed=number % 2)
            return each.translate(FRENCH[40 * number], sample=sample, n_best=2)

        calls = [lambda n=n: draw(n) for n in range(8)]
        found, sizes = together(each, calls)
        assert sorted(sizes) == [1, 3, 4]  # the first, and then one batch a seed
        for number, one in enumerate(found):
            alike(one, draw(number))

    def test_streams_and_whole_ones_share_a_batch(self, each: Translator) -> None:
        texts = FRENCH[:300:60]
        alone = [list(each.translate_stream(text)) for text in texts]
        streams: dict[int, list[Translation]] = {}

        def stream(number: int) -> Translation:
            streams[number] = list(each.translate_stream(texts[number]))
            return streams[number][-1]

        calls = [lambda: each.translate(FRENCH[7])]
        calls += [lambda n=n: stream(n) for n in range(len(texts))]
        found, sizes = together(each, calls)
        assert sizes == [1, 5]
        alike(found[0], each.translate(FRENCH[7]))
        for number, expected in enumerate(alone):
            assert [t.target for t in streams[number]] == [t.target for t in expected]
            alike(streams[number][-1], expected[-1])

    def test_a_closed_stream_leaves_the_others_alone(self, folder: Path) -> None:
        translator = Translator.load(str(folder / "transformer"), device="cpu")
        endless = SearchConfig(beam=2, max_length=1024, min_length=1023)
        first = translator.translate_stream(FRENCH[0], search=endless)
        next(first)
        waiting = translator.translate_stream(FRENCH[1], search=endless)
        puller = threading.Thread(target=lambda: list(waiting), daemon=True)
        puller.start()
        line = translator._engine._singles
        poll = threading.Event()
        while not line.waiting:
            poll.wait(0.002)
        cast(Iterator[Any], first).close()  # type: ignore[attr-defined]
        del first
        short = translator.translate(FRENCH[2])  # runs after, or waits for, the second stream
        assert short.complete
        puller.join(PATIENCE)
        assert not puller.is_alive()
        assert line.waiting == 0

    def test_lists_hold_up_no_single_request(self, folder: Path) -> None:
        translator = Translator.load(str(folder / "gru-additive"), device="cpu")
        line = translator._engine._lists
        held, entered = threading.Event(), threading.Event()
        runner = translator._runner

        class Held:
            def run(self, *arguments: Any, **options: Any) -> Outcome:
                entered.set()
                assert held.wait(PATIENCE)
                return runner.run(*arguments, **options)

        line._runner = Held()
        with ThreadPoolExecutor(1) as pool:
            listed = pool.submit(translator.translate, FRENCH[:3])
            assert entered.wait(PATIENCE)
            single = translator.translate(FRENCH[0])  # while the list has its place
            held.set()
            alike(listed.result(PATIENCE)[0], single)

    def test_busy_through_the_translator(self, folder: Path) -> None:
        translator = Translator.load(
            str(folder / "lstm"), device="cpu", max_waiting=0, max_wait=None
        )
        gate = Gate(translator, waiting=1)  # for ever: nobody can wait
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(translator.translate, FRENCH[0])
            poll = threading.Event()
            while translator._engine._singles._free:
                poll.wait(0.002)
            with pytest.raises(BusyError, match="0 requests are waiting"):
                translator.translate(FRENCH[1])
            with pytest.raises(BusyError):
                next(translator.translate_stream(FRENCH[1]))
            gate.sizes.append(0)  # opens it
            assert first.result(PATIENCE).complete

    @pytest.mark.parametrize("options", [{"max_waiting": -1}, {"max_wait": -0.5}])
    def test_limits_out_of_range(self, folder: Path, options: dict[str, Any]) -> None:
        with pytest.raises(TranslatorError, match=next(iter(options))):
            Translator.load(str(folder / "lstm"), **options)
