"""Steps are shown to those who stream, and to nobody else."""

from queueing_support import KIND, Callers, FakeRunner, answer, make, ticket

from seq2seq.decoding.search import PartialHypothesis
from seq2seq.queueing import Ticket


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
