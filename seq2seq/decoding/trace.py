"""The complete record of a search, in plain numbers.

A trace holds ids, not strings: it can be stored, sent and drawn as it is. Step scores add up: a
candidate's ``cumulative`` is its parent's cumulative plus its own ``step_score``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Self

__all__ = ["Candidate", "Expansion", "Fate", "FinishedHypothesis", "Record", "Trace", "TraceStep"]

Fate = Literal["kept", "pruned", "finished"]


class Candidate(NamedTuple):
    """One continuation of a live hypothesis that the search weighed.

    A tuple, because a search makes thousands of them.

    Attributes:
        token: id of the piece.
        probability: the model's own, from a softmax over the raw logits; never changed by
            forcing, constraints or temperature.
        rank: 1 for the piece that the model itself thinks most probable.
        step_score: log-probability that the search added for it (natural logarithm).
        cumulative: sum of the step scores from the start up to this piece.
        normalised: ``cumulative`` after length and coverage penalty: what hypotheses are
            compared by once finished.
        fate: what became of it.
        reason: why, in a few words: ``"best in beam"``, ``"outside beam"``, ``"forced"``,
            ``"not the forced token"``, ``"repeats a 3-gram"``, ``"end of sentence"``, ``"drawn"`` …
        node: number of the hypothesis that it became, None if pruned.
    """

    token: int
    probability: float
    rank: int
    step_score: float
    cumulative: float
    normalised: float
    fate: Fate
    reason: str
    node: int | None


@dataclass(frozen=True)
class Expansion:
    """A live hypothesis at one step, with everything it could have become.

    Attributes:
        node: its number, unique in the trace; the root is 0.
        parent: node that it grew from, None for the root.
        token: piece it ends with, which the decoder read at this step (bos for the root).
        cumulative: its score so far.
        entropy: of the model's raw distribution at this step, in nats.
        attention: weights over the source pieces at this step, mean over layers and heads;
            None for a model without attention.
        candidates: the most probable ones, every one that survived among them, best first.
    """

    node: int
    parent: int | None
    token: int
    cumulative: float
    entropy: float
    attention: tuple[float, ...] | None
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class TraceStep:
    """All live hypotheses at position ``position`` (0 produces the first target piece)."""

    position: int
    expansions: tuple[Expansion, ...]


@dataclass(frozen=True)
class FinishedHypothesis:
    """A hypothesis that left the search, in the order of its final rank.

    Attributes:
        node: number of its last piece in the trace.
        tokens: its pieces without bos, with the final eos if it ended by itself.
        cumulative: sum of its step scores.
        normalised: what it was ranked by.
        ended: False if the length limit cut it off.
    """

    node: int
    tokens: tuple[int, ...]
    cumulative: float
    normalised: float
    ended: bool


class Record(Protocol):
    """What a search leaves behind, from which its trace is written."""

    def tokens(self) -> frozenset[int]:
        """All pieces that occur in it."""

    def steps(self) -> tuple[TraceStep, ...]:
        """Write the steps."""

    def finished(self) -> tuple[FinishedHypothesis, ...]:
        """Write the finished hypotheses."""


@dataclass(frozen=True)
class Trace:
    """Everything that happened in the search for one sentence.

    Attributes:
        steps: in order of position.
        finished: all finished hypotheses, best first; more than were asked for as n-best.
        forced: number of leading positions whose piece was forced.
    """

    steps: tuple[TraceStep, ...]
    finished: tuple[FinishedHypothesis, ...]
    forced: int = 0

    @classmethod
    def of(cls, record: Record, *, forced: int = 0) -> Self:
        """A trace that is written when it is first looked at.

        A search weighs hundreds of candidates for a sentence, nearly all of which it prunes, and
        many a trace is asked for and never opened.
        """
        trace = cls.__new__(cls)
        trace.__dict__.update(_record=record, forced=forced)
        return trace

    def tokens(self) -> frozenset[int]:
        """All pieces that occur in it."""
        record: Record | None = self.__dict__.get("_record")
        if record is not None:
            return record.tokens()
        ends = [hypothesis.tokens for hypothesis in self.finished]
        expansions = [expansion for step in self.steps for expansion in step.expansions]
        shown = [[candidate.token for candidate in e.candidates] for e in expansions]
        return frozenset(e.token for e in expansions).union(*shown, *ends)

    if not TYPE_CHECKING:  # or every name would pass for an attribute

        def __getattr__(self, name: str) -> Any:
            """Write what is looked at; asked only for what is not there."""
            own = self.__dict__
            record: Record | None = own.get("_record")
            if record is not None and name in ("steps", "finished"):
                # Two threads may both write it, and find the same.
                own[name] = record.steps() if name == "steps" else record.finished()
                if "steps" in own and "finished" in own:
                    own.pop("_record", None)
            if name in own:
                return own[name]
            raise AttributeError(f"a trace has no {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.steps, self.finished, self.forced)
