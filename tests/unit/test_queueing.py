import itertools
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ARCHITECTURES, FRENCH, make_checkpoint
from translator_support import alike, assert_close

from seq2seq import Translation, Translator
from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.decoding.search import PartialHypothesis, SearchResult
from seq2seq.queueing import Batcher, Kind, Ticket
from seq2seq.request import BusyError, TranslatorError
from seq2seq.runner import Outcome

KIND = Kind(SearchConfig(beam=1), trace=False, attention=False)
OTHER = replace(KIND, trace=True)
PATIENCE = 20.0  # seconds until a test that hangs fails


class FakeRunner:
    """Answers with what it was asked; holds every batch until the test lets it go.

    A source that holds a key of ``errors`` makes its batch fail.
    """

    def __init__(self, *, held: bool = True, steps: int = 0) -> None:
        self.batches: list[list[tuple[int, ...]]] = []
        self.kinds: list[tuple[Any, ...]] = []
        self.errors: dict[int, BaseException] = {}
        self.stopped: set[int] = set()  # first ids of the sources that were
        self.steps = steps
        self.most_at_once = self.at_once = 0
        self._held = held
        self._permits = threading.Semaphore(0)
        self._changed = threading.Condition()

    def run(self, sources: Sequence[Sequence[int]], **options: Any) -> Outcome:
        with self._changed:
            self.batches.append([tuple(source) for source in sources])
            self.kinds.append((options["config"], options["trace"], options["attention"]))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self._changed.notify_all()
        try:
            if self._held:
                assert self._permits.acquire(timeout=PATIENCE)
            for source in sources:
                if source[0] in self.errors:
                    raise self.errors[source[0]]
            for step in range(1, self.steps + 1):
                self._step(step, sources, options)
        finally:
            with self._changed:
                self.at_once -= 1
        assert [tuple(p) for p in options["prefixes"]] == [(source[0],) for source in sources]
        results = tuple(cast(SearchResult, ("result", tuple(source))) for source in sources)
        return Outcome(results, encoder=1.0, decoder=2.0, device="cpu", precision="fp32")

    def _step(self, step: int, sources: Sequence[Sequence[int]], options: dict[str, Any]) -> None:
        if options["on_step"]:
            partial = [
                PartialHypothesis((source[0], step), (0.0, 0.0), None, 0.0) for source in sources
            ]
            options["on_step"](partial)
        for row, source in enumerate(sources):
            if source[0] not in self.stopped and options["should_stop"](row):
                self.stopped.add(source[0])

    def go(self, batches: int = 1) -> None:
        self._permits.release(batches)

    def begun(self, batches: int) -> None:
        """Wait until that many have begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.batches) >= batches, PATIENCE)


def ticket(first: int, *, kind: Kind = KIND, length: int = 1, rows: int = 1) -> Ticket:
    sources = [(first, *[0] * (length - 1))] * rows
    return Ticket(kind, sources, prefixes=[(first,)] * rows)


def answer(given: Ticket) -> tuple[Any, ...]:
    return tuple(("result", tuple(source)) for source in given.sources)


def make(runner: FakeRunner, **options: Any) -> Batcher:
    defaults = {"places": 1, "batch_tokens": 100, "max_waiting": 100, "max_wait": PATIENCE}
    return Batcher(runner, **{**defaults, **options})


class Callers:
    """Threads that stand in line in a known order."""

    def __init__(self, batcher: Batcher) -> None:
        self.batcher = batcher
        self.found: dict[int, Any] = {}
        self.threads: list[threading.Thread] = []

    def come(self, given: Ticket) -> Ticket:
        """One more; returns when it stands in line, or has a place."""

        def call() -> None:
            number = given.sources[0][0]
            try:
                self.found[number] = self.batcher.run(given).results
            except BaseException as error:
                self.found[number] = error

        before = self.batcher.waiting
        thread = threading.Thread(target=call)
        self.threads.append(thread)
        thread.start()
        poll = threading.Event()
        for _ in range(int(PATIENCE / 0.002)):
            if self.batcher.waiting > before or given.batch or not thread.is_alive():
                return given
            poll.wait(0.002)
        raise AssertionError("never came to stand in line")

    def end(self) -> dict[int, Any]:
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert self.batcher.waiting == 0
        return self.found


class TestLine:
    def test_a_lone_caller_decodes_in_its_own_thread_at_once(self) -> None:
        runner = FakeRunner(held=False)
        threads: list[threading.Thread] = []
        batcher = make(runner)
        one = ticket(1)
        one.on_step = lambda _: threads.append(threading.current_thread())
        runner.steps = 1
        assert batcher.run(one).results == answer(one)
        assert threads == [threading.current_thread()]

    def test_who_comes_meanwhile_is_decoded_together(self) -> None:
        runner = FakeRunner()
        callers = Callers(make(runner))
        given = [callers.come(ticket(number)) for number in range(6)]
        runner.go(2)
        found = callers.end()
        assert runner.batches == [[(0,)], [(1,), (2,), (3,), (4,), (5,)]]
        assert found == {n: answer(one) for n, one in enumerate(given)}

    def test_seconds_are_shared_by_sentences(self) -> None:
        runner = FakeRunner()
        batcher = make(runner)
        callers = Callers(batcher)
        callers.come(ticket(0))
        large, small = ticket(1, rows=3), ticket(2)
        for one in (large, small):
            callers.come(one)
        runner.go(2)
        callers.end()
        assert large.outcome
        assert small.outcome
        assert (large.outcome.encoder, large.outcome.decoder) == (0.75, 1.5)
        assert (small.outcome.encoder, small.outcome.decoder) == (0.25, 0.5)
        assert len(large.outcome.results) == 3

    def test_places_are_taken_side_by_side_and_never_more(self) -> None:
        runner = FakeRunner()
        callers = Callers(make(runner, places=2))
        for number in range(2):
            callers.come(ticket(number))
        runner.begun(2)
        callers.come(ticket(2))
        runner.go(3)
        callers.end()
        assert runner.most_at_once == 2
        assert sorted(runner.batches) == [[(0,)], [(1,)], [(2,)]]

    def test_the_oldest_is_always_in_the_next_batch(self) -> None:
        """However many of another kind keep coming."""
        runner = FakeRunner()
        callers = Callers(make(runner))
        callers.come(ticket(0))
        callers.come(ticket(1, kind=OTHER))
        callers.come(ticket(2))
        callers.come(ticket(3, kind=OTHER))
        callers.come(ticket(4))
        runner.go(1)
        runner.begun(2)
        callers.come(ticket(5, kind=OTHER))  # the others of its kind are gone: to the end
        runner.go(3)
        callers.end()
        assert runner.batches == [[(0,)], [(1,), (3,)], [(2,), (4,)], [(5,)]]
        assert [trace for _, trace, _ in runner.kinds] == [False, True, False, True]

    def test_a_batch_keeps_to_its_tokens_and_to_similar_lengths(self) -> None:
        runner = FakeRunner()
        callers = Callers(make(runner, batch_tokens=20))
        callers.come(ticket(0))
        for number, length in enumerate((5, 20, 6, 1, 4), start=1):
            callers.come(ticket(number, length=length))
        runner.go(4)
        callers.end()
        numbers = [[source[0] for source in batch] for batch in runner.batches]
        assert numbers == [[0], [1, 3, 5], [2], [4]]

    def test_the_beam_counts(self) -> None:
        runner = FakeRunner()
        callers = Callers(make(runner, batch_tokens=10))
        wide = replace(KIND, config=SearchConfig(beam=5))
        for number in range(4):
            callers.come(ticket(number, kind=wide))
        runner.go(3)
        callers.end()
        assert [len(batch) for batch in runner.batches] == [1, 2, 1]

    def test_a_ticket_beyond_the_budget_is_decoded_alone(self) -> None:
        runner = FakeRunner()
        callers = Callers(make(runner, batch_tokens=3))
        for number in range(3):
            callers.come(ticket(number, length=9))
        runner.go(3)
        callers.end()
        assert [len(batch) for batch in runner.batches] == [1, 1, 1]

    def test_those_who_wait_are_spread_over_the_places(self) -> None:
        runner = FakeRunner()
        callers = Callers(make(runner, places=2))
        for number in range(2):
            callers.come(ticket(number))
        runner.begun(2)
        for number in range(2, 8):
            callers.come(ticket(number))
        runner.go(1)
        runner.begun(3)
        assert len(runner.batches[2]) == 4  # of seven who are left
        runner.go(7)
        assert callers.end() == {number: answer(ticket(number)) for number in range(8)}


class TestCompany:
    """Who comes back after a batch of several waits for the others of it, for a moment."""

    @pytest.fixture(autouse=True)
    def patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("seq2seq.queueing._PATIENCE", 1e9)
        monkeypatch.setattr("seq2seq.queueing._MOST_PATIENCE", PATIENCE)

    def crowd(self, batcher: Batcher, runner: FakeRunner) -> None:
        """A batch of three is over, and nobody is there."""
        callers = Callers(batcher)
        for number in range(4):
            callers.come(ticket(number))
        runner.go(2)
        callers.end()
        assert [len(batch) for batch in runner.batches] == [1, 3]

    def test_they_are_together_again(self) -> None:
        runner = FakeRunner()
        batcher = make(runner)
        self.crowd(batcher, runner)
        callers = Callers(batcher)
        runner.go(1)
        for number in range(3):
            assert len(runner.batches) == 2
            callers.come(ticket(number))
        callers.end()
        assert runner.batches[2:] == [[(0,), (1,), (2,)]]

    def test_nobody_else_waits_for_company(self, monkeypatch: pytest.MonkeyPatch) -> None:
        batcher = make(FakeRunner(held=False))

        def wait(timeout: float | None = None) -> bool:
            raise AssertionError("waited")

        monkeypatch.setattr(batcher._company, "wait", wait)
        for number in range(3):
            batcher.run(ticket(number))

    def test_the_moment_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("seq2seq.queueing._MOST_PATIENCE", 0.01)
        runner = FakeRunner()
        batcher = make(runner)
        self.crowd(batcher, runner)
        runner.go(1)
        assert batcher.run(ticket(0)).results == answer(ticket(0))  # the others never come

    def test_cancelled_meanwhile(self) -> None:
        runner = FakeRunner()
        batcher = make(runner)
        self.crowd(batcher, runner)
        callers = Callers(batcher)
        one = callers.come(ticket(0))
        assert batcher.cancel(one)
        assert isinstance(callers.end()[0], CancelledError)
        assert len(runner.batches) == 2
        assert len(batcher._free) == 1

    def test_interrupted_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        runner = FakeRunner()
        batcher = make(runner)
        self.crowd(batcher, runner)

        def interrupt(timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(batcher._company, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            batcher.run(ticket(0))
        monkeypatch.undo()
        assert len(batcher._free) == 1


class TestLimits:
    def test_a_full_line_is_refused_in_one_line(self) -> None:
        runner = FakeRunner()
        callers = Callers(make(runner, max_waiting=2))
        for number in range(3):
            callers.come(ticket(number))
        with pytest.raises(BusyError, match=r"2 requests are waiting.*try again") as caught:
            callers.batcher.run(ticket(3))
        assert isinstance(caught.value, TranslatorError)
        assert "\n" not in str(caught.value)
        runner.go(2)
        assert callers.end() == {n: answer(ticket(n)) for n in range(3)}
        runner.go()
        assert callers.batcher.run(ticket(4)).results == answer(ticket(4))  # there is room again

    def test_the_wait_is_bounded(self) -> None:
        runner = FakeRunner()
        callers = Callers(make(runner, max_wait=0.0))
        callers.come(ticket(0))
        with pytest.raises(BusyError, match="no turn came in 0 seconds"):
            callers.batcher.run(ticket(1))
        assert callers.batcher.waiting == 0
        runner.go()
        assert callers.end() == {0: answer(ticket(0))}

    def test_the_bound_is_on_waiting_not_on_decoding(self) -> None:
        runner = FakeRunner()
        batcher = make(runner, max_wait=0.05)
        callers = Callers(batcher)
        one = callers.come(ticket(0))
        assert not one.woken.wait(0) or one.batch
        threading.Event().wait(0.1)  # longer than the bound
        runner.go()
        assert callers.end() == {0: answer(one)}


class TestCancelling:
    def test_in_line(self) -> None:
        runner = FakeRunner()
        callers = Callers(make(runner))
        given = [callers.come(ticket(number)) for number in range(3)]
        assert callers.batcher.cancel(given[1])
        callers.threads[1].join(PATIENCE)  # though nothing has been decoded yet
        assert isinstance(callers.found[1], CancelledError)
        runner.go(2)
        assert callers.end().keys() == {0, 1, 2}
        assert runner.batches == [[(0,)], [(2,)]]

    def test_before_it_stands_in_line(self) -> None:
        runner = FakeRunner()
        batcher = make(runner)
        one = ticket(0)
        batcher.cancel(one)
        with pytest.raises(CancelledError):
            batcher.run(one)
        assert runner.batches == []

    def test_aboard_stops_its_row_alone(self) -> None:
        runner = FakeRunner(steps=3)
        callers = Callers(make(runner))
        given = [callers.come(ticket(number)) for number in range(4)]
        runner.go()
        runner.begun(2)
        assert callers.batcher.cancel(given[2])
        callers.threads[2].join(PATIENCE)  # its batch has not ended
        runner.go()
        found = callers.end()
        assert isinstance(found[2], CancelledError)
        assert runner.stopped == {2}
        assert [found[n] for n in (0, 1, 3)] == [answer(ticket(n)) for n in (0, 1, 3)]

    def test_of_a_leader_leaves_the_others_their_results(self) -> None:
        runner = FakeRunner(steps=3)
        callers = Callers(make(runner))
        given = [callers.come(ticket(number)) for number in range(3)]
        runner.go()
        runner.begun(2)
        assert not callers.batcher.cancel(given[1])  # its thread is still needed
        runner.go()
        found = callers.end()
        assert isinstance(found[1], CancelledError)
        assert runner.stopped == {1}
        assert found[2] == answer(given[2])

    def test_afterwards_does_nothing(self) -> None:
        runner = FakeRunner(held=False)
        batcher = make(runner)
        one = ticket(0)
        batcher.run(one)
        assert batcher.cancel(one)
        assert batcher.run(ticket(1)).results == answer(ticket(1))


class TestErrors:
    def test_everybody_gets_their_own(self) -> None:
        runner = FakeRunner()
        runner.errors = {2: ValueError("two"), 4: MemoryError("four")}
        callers = Callers(make(runner))
        for number in range(6):
            callers.come(ticket(number))
        runner.go(20)
        found = callers.end()
        assert found[2] is runner.errors[2]
        assert found[4] is runner.errors[4]
        assert [found[n] for n in (0, 1, 3, 5)] == [answer(ticket(n)) for n in (0, 1, 3, 5)]
        sizes = [len(batch) for batch in runner.batches]
        assert sizes == [1, 5, 1, 1, 1, 1, 1]  # once together, then each once

    def test_a_lone_error_is_not_tried_again(self) -> None:
        runner = FakeRunner(held=False)
        runner.errors = {0: ValueError("zero")}
        batcher = make(runner)
        with pytest.raises(ValueError, match="zero"):
            batcher.run(ticket(0))
        assert len(runner.batches) == 1
        assert batcher.run(ticket(1)).results == answer(ticket(1))

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_an_interrupted_leader_leaves_nobody_behind(self, kind: type[BaseException]) -> None:
        runner = FakeRunner()
        runner.errors = {1: kind()}
        callers = Callers(make(runner))
        for number in range(4):
            callers.come(ticket(number))
        runner.go(3)
        found = callers.end()
        assert isinstance(found[1], kind)
        assert [found[n] for n in (2, 3)] == [answer(ticket(n)) for n in (2, 3)]
        assert runner.batches == [[(0,)], [(1,), (2,), (3,)], [(2,), (3,)]]

    def test_interrupted_in_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        runner = FakeRunner()
        callers = Callers(make(runner))
        callers.come(ticket(0))
        late = ticket(1)

        def interrupt(_: object) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(late.woken, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            callers.batcher.run(late)
        assert callers.batcher.waiting == 0
        runner.go()
        callers.end()

    def test_interrupted_with_a_place_passes_it_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The interrupt comes between getting the place and using it."""
        runner = FakeRunner(held=False)
        batcher = make(runner)
        late = ticket(0)

        def interrupt(_: object) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(late.woken, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            batcher.run(late)
        assert runner.batches == []
        assert batcher.run(ticket(1)).results == answer(ticket(1))


class TestSteps:
    def test_only_rows_that_stream_are_looked_at_and_only_while_they_go_on(self) -> None:
        runner = FakeRunner(steps=4)
        callers = Callers(make(runner))
        callers.come(ticket(0))
        seen: list[tuple[int, ...]] = []
        one = ticket(1)
        one.on_step = lambda partial: seen.append(partial.tokens)
        callers.come(ticket(2))
        callers.come(one)
        runner.go(2)
        callers.end()
        assert seen == [(1, step) for step in (1, 2, 3, 4)]

    def test_a_row_that_is_done_shows_no_more(self) -> None:
        runner = FakeRunner(steps=4)
        runner.stopped = {1}  # the search does not ask about it any more
        seen: list[tuple[int, ...]] = []
        one = ticket(1)
        one.on_step = lambda partial: seen.append(partial.tokens)
        runner.go()
        make(runner).run(one)
        assert seen == [(1, 1)]

    def test_steps_that_follow_too_soon_are_not_looked_at(self) -> None:
        runner = FakeRunner(held=False, steps=4)
        seen: list[tuple[int, ...]] = []
        kind, sources = KIND, [(1,)]
        alone, together = (
            Ticket(
                kind,
                sources,
                prefixes=sources,
                on_step=lambda partial: seen.append(partial.tokens),
                interval=1e9,
            )
            for _ in range(2)
        )
        assert make(runner).run(alone).results == answer(alone)
        assert seen == [(1, 1), (1, 2), (1, 3), (1, 4)]  # takes time from nobody
        seen.clear()
        make(runner)._decode([together, ticket(2)])
        assert seen == [(1, 1)]

    def test_no_step_is_shown_twice_after_an_error(self) -> None:
        runner = FakeRunner(held=False, steps=3)
        batcher = make(runner)
        seen: list[tuple[int, ...]] = []
        one = ticket(1)
        failing = iter([False, True])  # at its second step

        def show(partial: PartialHypothesis) -> None:
            if next(failing, False):
                raise RuntimeError("once")
            seen.append(partial.tokens)

        one.on_step = show
        batcher._decode([one, ticket(2)])
        assert one.error is None
        assert seen == [(1, 1), (1, 3)]  # what failed was the second


@settings(max_examples=25, deadline=None)
@given(
    places=st.integers(1, 3),
    tokens=st.integers(1, 30),
    callers=st.lists(
        st.tuples(st.sampled_from(["run", "cancel", "fail", "interrupt"]), st.integers(1, 6)),
        min_size=1,
        max_size=16,
    ),
)
def test_whatever_happens_everybody_gets_their_own_and_nothing_is_left(
    places: int, tokens: int, callers: list[tuple[str, int]]
) -> None:
    runner = FakeRunner(held=False, steps=1)
    runner.errors = {
        n: ValueError(str(n)) if what == "fail" else KeyboardInterrupt(str(n))
        for n, (what, _) in enumerate(callers)
        if what in ("fail", "interrupt")
    }
    batcher = make(runner, places=places, batch_tokens=tokens)
    kinds = itertools.cycle([KIND, KIND, OTHER])
    tickets = [ticket(n, kind=next(kinds), length=length) for n, (_, length) in enumerate(callers)]

    def call(number: int) -> Any:
        try:
            if callers[number][0] == "cancel":
                threading.Thread(target=batcher.cancel, args=(tickets[number],)).start()
            return batcher.run(tickets[number]).results
        except (ValueError, CancelledError, KeyboardInterrupt) as error:
            return error

    with ThreadPoolExecutor(len(callers)) as pool:
        found = list(pool.map(call, range(len(callers)), timeout=PATIENCE))
    for number, (what, _) in enumerate(callers):
        own = answer(tickets[number])
        if what == "run":
            # An interrupt hits whoever decodes; in a program that is the caller itself.
            hit = isinstance(found[number], KeyboardInterrupt)
            assert found[number] == own or hit
        elif what == "cancel":
            odd = (CancelledError, KeyboardInterrupt)
            assert found[number] == own or isinstance(found[number], odd)
        elif what == "fail":
            hit = isinstance(found[number], KeyboardInterrupt)
            assert found[number] is runner.errors[number] or hit
    assert batcher.waiting == 0
    assert len(batcher._free) == places
    assert runner.most_at_once <= places


# --- With models ------------------------------------------------------------------------------


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
