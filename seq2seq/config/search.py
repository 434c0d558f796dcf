"""How the decoder looks for a translation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seq2seq.config.settings import Settings

__all__ = ["SamplingConfig", "SearchConfig"]


@dataclass(frozen=True, kw_only=True)
class SamplingConfig(Settings):
    """Draw tokens at random instead of searching for the best ones.

    Attributes:
        temperature: divides the logits; below 1 sharpens, above 1 flattens.
        top_k: only the k most probable tokens may be drawn; 0 means all.
        top_p: only the smallest set of tokens with at least this mass (Holtzman 2020).
        seed: of the random numbers; equal seeds give equal draws, row by row.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._require(0 < self.temperature <= 100, "temperature", "in (0, 100]")
        self._require(self.top_k >= 0, "top_k", "at least 0")
        self._require(0 < self.top_p <= 1, "top_p", "in (0, 1]")
        self._require(0 <= self.seed < 2**63, "seed", "a non-negative 63-bit integer")


@dataclass(frozen=True, kw_only=True)
class SearchConfig(Settings):
    """How the decoder looks for a translation.

    Attributes:
        beam: hypotheses kept per step; 1 is greedy search.
        n_best: finished hypotheses to return, at most ``beam`` of them.
        length_penalty: exponent alpha of the length normalisation; 0 switches it off.
        length_formula: ``power``: score / length**alpha; ``wu``: score / ((5 + length) / 6)**alpha
            (Wu 2016, eq. 14). Length counts target tokens including end-of-sentence.
        coverage_penalty: weight beta of Wu 2016, eq. 14, on the mean attention; 0 is off.
        no_repeat_ngram: no n-gram of this size may occur twice; 0 is off.
        min_length, max_length: target tokens before end-of-sentence; ``max_length`` None means
            ``length_factor`` times the source length plus ``length_margin``.
        stopping: when a beam search ends: ``exact`` when no live hypothesis can enter the best
            ``n_best`` any more; ``heuristic`` when ``beam`` hypotheses are finished and the best
            live one, at its present length, scores no better than the worst of them; ``first``
            when ``beam`` hypotheses are finished. The last two are what ``transformers`` calls
            ``early_stopping=False`` and ``True``.
        forced_end: at the length limit an end-of-sentence is added that costs nothing, so it
            counts in the length normalisation alone.
        sampling: draw instead of search; ``beam`` must then be 1, ``n_best`` independent
            draws are made.
        trace_candidates: candidates recorded per hypothesis and step when tracing.
    """

    beam: int = 5
    n_best: int = 1
    length_penalty: float = 1.0
    length_formula: Literal["power", "wu"] = "power"
    coverage_penalty: float = 0.0
    no_repeat_ngram: int = 0
    min_length: int = 0
    max_length: int | None = None
    length_factor: float = 2.0
    length_margin: int = 10
    stopping: Literal["exact", "heuristic", "first"] = "exact"
    forced_end: bool = False
    sampling: SamplingConfig | None = None
    trace_candidates: int = 10

    def __post_init__(self) -> None:
        self._require(1 <= self.beam <= 64, "beam", "between 1 and 64")
        self._require(1 <= self.n_best <= 64, "n_best", "between 1 and 64")
        self._require(0 <= self.length_penalty <= 10, "length_penalty", "between 0 and 10")
        self._require(0 <= self.coverage_penalty <= 10, "coverage_penalty", "between 0 and 10")
        self._require(0 <= self.no_repeat_ngram <= 20, "no_repeat_ngram", "between 0 and 20")
        self._require(self.min_length >= 0, "min_length", "at least 0")
        longest = self.max_length
        self._require(longest is None or 1 <= longest <= 1024, "max_length", "between 1 and 1024")
        self._require(
            longest is None or self.min_length <= longest, "min_length", "at most max_length"
        )
        self._require(0 <= self.length_factor <= 20, "length_factor", "between 0 and 20")
        self._require(0 <= self.length_margin <= 512, "length_margin", "between 0 and 512")
        self._require(1 <= self.trace_candidates <= 50, "trace_candidates", "between 1 and 50")
        if self.sampling is None:
            self._require(self.n_best <= self.beam, "n_best", f"at most the beam ({self.beam})")
        else:
            self._require(self.beam == 1, "beam", "1, which sampling needs")
