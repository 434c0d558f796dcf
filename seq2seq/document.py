"""From a search result to the Translation document."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from seq2seq.checkpoint import AttentionChoice
from seq2seq.config import AttentionLayout, SearchConfig
from seq2seq.decoding.search import Hypothesis, PartialHypothesis, SearchResult
from seq2seq.decoding.trace import Trace
from seq2seq.request import Job
from seq2seq.text.encoding import Encoding, TextPipeline
from seq2seq.translation import (
    Alternative,
    AttentionMap,
    ModelCardInfo,
    PieceTexts,
    Timing,
    Translation,
)

__all__ = ["Writer"]


@dataclass(frozen=True)
class Writer:
    """Writes the documents of one model.

    Attributes:
        text: turns ids into readable text.
        card: the model.
        layout: names of its attention layers and heads, None without attention.
        attention_default: the map that is shown first.
    """

    text: TextPipeline
    card: ModelCardInfo
    layout: AttentionLayout | None
    attention_default: AttentionChoice | None
    _known: dict[int, str] = field(default_factory=dict, repr=False)  # texts of pieces, as met

    def complete(
        self,
        job: Job,
        result: SearchResult,
        *,
        config: SearchConfig,
        target_language: str,
        model: ModelCardInfo,
        encoder: float,
        decoder: float,
        warnings: tuple[str, ...] = (),
    ) -> Translation:
        """The finished document.

        Args:
            model: what the model was in the end.
            encoder, decoder: seconds spent on this text.
            warnings: for people.
        """
        started = time.perf_counter()
        n_best = tuple(self._alternative(h, target_language) for h in result.hypotheses)
        best = result.hypotheses[0]
        if not best.ended:
            warnings += (
                f"the translation was cut off at the length limit ({len(best.tokens)} pieces)",
            )
        attention, pieces = self._map(best.attention), self._piece_texts(result.trace)
        seconds = job.seconds + time.perf_counter() - started
        return Translation(
            source=job.source,
            target=n_best[0].target,
            source_language=job.source.language,
            target_language=target_language,
            score=n_best[0].score,
            log_probability=n_best[0].log_probability,
            token_log_probabilities=n_best[0].token_log_probabilities,
            attention=attention,
            n_best=n_best,
            trace=result.trace,
            piece_texts=pieces,
            timing=Timing(text=seconds, encoder=encoder, decoder=decoder),
            model=model,
            search=config,
            prefix=job.prefix,
            warnings=warnings,
        )

    def partial(
        self,
        job: Job,
        best: PartialHypothesis,
        *,
        config: SearchConfig,
        target_language: str,
    ) -> Translation:
        """The best hypothesis so far, while the search still runs."""
        return Translation(
            source=job.source,
            target=self.text.decode(best.tokens, language=target_language),
            source_language=job.source.language,
            target_language=target_language,
            score=float(best.cumulative),
            log_probability=float(sum(best.token_log_probabilities)),
            token_log_probabilities=tuple(map(float, best.token_log_probabilities)),
            attention=self._map(best.attention),
            n_best=(),
            trace=None,
            piece_texts={},
            timing=Timing(text=job.seconds, encoder=0.0, decoder=0.0),
            model=self.card,
            search=config,
            prefix=job.prefix,
            complete=False,
        )

    def empty(self, job: Job, *, config: SearchConfig, target_language: str) -> Translation:
        """What blank text gives: an empty target, certain, with nothing to show."""
        target = Encoding(text="", language=target_language, pieces=(), words=())
        only = Alternative(
            target=target, score=0.0, log_probability=0.0, token_log_probabilities=()
        )
        return Translation(
            source=job.source,
            target=target,
            source_language=job.source.language,
            target_language=target_language,
            score=0.0,
            log_probability=0.0,
            token_log_probabilities=(),
            attention=None,
            n_best=(only,),
            trace=None,
            piece_texts={},
            timing=Timing(text=job.seconds, encoder=0.0, decoder=0.0),
            model=self.card,
            search=config,
        )

    def _alternative(self, hypothesis: Hypothesis, language: str) -> Alternative:
        logs = tuple(float(value) for value in hypothesis.token_log_probabilities)
        return Alternative(
            target=self.text.decode(hypothesis.tokens, language=language),
            score=float(hypothesis.score),
            log_probability=float(sum(logs)),
            token_log_probabilities=logs,
            node=hypothesis.node,
        )

    def _map(self, weights: np.ndarray | None) -> AttentionMap | None:
        if weights is None or self.layout is None:
            return None
        chosen = self.attention_default or AttentionChoice()
        return AttentionMap(
            weights=np.asarray(weights, dtype=np.float32),
            layers=self.layout.layers,
            heads=self.layout.heads,
            layer=chosen.layer,
            head=chosen.head,
        )

    def _piece_texts(self, trace: Trace | None) -> Mapping[int, str]:
        return {} if trace is None else PieceTexts(partial(self._texts_of, trace))

    def _texts_of(self, trace: Trace) -> dict[int, str]:
        known = self._known
        for token in (tokens := sorted(trace.tokens())):
            if token not in known:
                known[token] = self.text.piece_text(token)
        return {token: known[token] for token in tokens}
