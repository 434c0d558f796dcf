"""Whoever cancels, fails or is interrupted: everybody else gets their own."""

import itertools
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queueing_support import KIND, OTHER, PATIENCE, Callers, FakeRunner, answer, make, ticket


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
