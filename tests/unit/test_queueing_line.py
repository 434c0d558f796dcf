"""Who waits is decoded together, in order, and within limits."""

import threading
from concurrent.futures import CancelledError
from dataclasses import replace

import pytest
from queueing_support import KIND, OTHER, PATIENCE, Callers, FakeRunner, answer, make, ticket

from seq2seq.config import SearchConfig
from seq2seq.queueing import Batcher
from seq2seq.request import BusyError, TranslatorError


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
