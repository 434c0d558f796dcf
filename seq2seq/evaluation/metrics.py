"""BLEU, chrF and TER, computed by sacrebleu and by nothing else.

The signature beside each score says how it was computed, so that it can be compared with others'
(Post 2018, "A Call for Clarity in Reporting BLEU Scores").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, Result, _bootstrap_resample, estimate_ci

from seq2seq.evaluation.papers import lowercased_tokenised

__all__ = [
    "PAPERS",
    "TOKENIZERS",
    "Comparison",
    "MetricError",
    "Score",
    "Scores",
    "compare",
    "score",
]

PAPERS = "lc.norm.tok"
TOKENIZERS = ("13a", "zh", "char", "intl", "none", PAPERS)
"""BLEU tokenisations: sacrebleu's own, and for comparison with papers on Multi30k ``lc.norm.tok``:
both sides lower-cased, normalised and tokenised by Moses, then ``none``."""


class MetricError(ValueError):
    """Sentences that cannot be scored; the message says why."""


@dataclass(frozen=True)
class Score:
    """One metric over a whole test set.

    Attributes:
        value: 0 to 100 (TER may exceed it); higher is better, for TER lower.
        signature: sacrebleu's, how it was computed.
        mean, margin: of the bootstrap (Koehn 2004): 95% of the resampled test sets score within
            ``mean`` plus or minus ``margin``; None without one.
    """

    value: float
    signature: str
    mean: float | None = None
    margin: float | None = None


@dataclass(frozen=True)
class Scores:
    """BLEU (Papineni 2002), chrF (Popović 2015) and TER (Snover 2006) of one system output."""

    bleu: Score
    chrf: Score
    ter: Score
    sentences: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)


def score(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    target_language: str,
    tokenize: str | None = None,
    bootstrap_samples: int = 0,
) -> Scores:
    """Score translations against one reference each, case and punctuation included.

    Args:
        hypotheses: detokenised translations.
        references: human translations in the same order.
        target_language: chooses the tokenisation of BLEU (``zh`` for Chinese, else ``13a``) and
            TER's handling of scripts without spaces.
        tokenize: BLEU's tokenisation instead, one of :data:`TOKENIZERS`.
        bootstrap_samples: resampled test sets for the confidence intervals; below 2 there are
            none. sacrebleu draws them with the seed ``SACREBLEU_SEED``, 12345 by default.

    Raises:
        MetricError: different numbers of sentences, none at all, an unknown tokenisation.
    """
    _check(hypotheses, references)
    sides = hypotheses, references
    bleu, chrf, ter = (
        _measure(metric, *_sides(sides, name, target_language, tokenize), bootstrap_samples)
        for name, metric in _metrics(target_language, tokenize).items()
    )
    return Scores(bleu=bleu, chrf=chrf, ter=ter, sentences=len(hypotheses))


@dataclass(frozen=True)
class Comparison:
    """One metric of two systems on the same test set.

    Attributes:
        ours, theirs: the two scores.
        p_value: how often resampled test sets would show such a difference by chance
            (paired bootstrap; Koehn 2004).
        signature: sacrebleu's, with the number of samples.
    """

    ours: float
    theirs: float
    p_value: float
    signature: str


def compare(
    ours: Sequence[str],
    theirs: Sequence[str],
    references: Sequence[str],
    *,
    target_language: str,
    tokenize: str | None = None,
    samples: int = 1000,
) -> dict[str, Comparison]:
    """Compare two systems by sacrebleu's paired bootstrap; by metric name.

    Args and errors are those of :func:`score`; ``samples`` test sets are drawn.
    """
    ours, theirs = list(ours), list(theirs)
    for hypotheses in (ours, theirs):
        _check(hypotheses, references)
    if tokenize == PAPERS:
        raise MetricError(f"two systems cannot be compared with the tokenisation {PAPERS}")
    metrics = _metrics(target_language, tokenize)
    test = PairedTest(
        [("theirs", theirs), ("ours", ours)],
        dict(metrics),
        [references],
        test_type="bs",
        n_samples=samples,
    )
    signatures, results = test()
    found = {}
    for name, theirs_name in zip(metrics, signatures, strict=True):  # in the same order
        other, own = results[theirs_name]
        assert isinstance(other, Result)  # noqa: S101  (for the type checker)
        assert isinstance(own, Result)  # noqa: S101
        found[name] = Comparison(
            ours=round(float(own.score), 2),
            theirs=round(float(other.score), 2),
            # Of two systems that never differ, sacrebleu says that they differ for certain.
            p_value=1.0 if ours == theirs else round(float(own.p_value or 0), 4),
            signature=str(signatures[theirs_name]),
        )
    return found


def _check(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if len(hypotheses) != len(references):
        raise MetricError(
            f"{len(hypotheses)} translations cannot be scored against {len(references)} references"
        )
    if not hypotheses:
        raise MetricError("there are no sentences to score")


_Sides = tuple[Sequence[str], Sequence[str]]


def _sides(sides: _Sides, metric: str, language: str, tokenize: str | None) -> _Sides:
    """Translations and references as a metric reads them."""
    if metric != "bleu" or tokenize != PAPERS:
        return sides
    hypotheses, references = (lowercased_tokenised(side, language=language) for side in sides)
    return hypotheses, references


def _metrics(target_language: str, tokenize: str | None) -> dict[str, Metric]:
    chinese = target_language == "zh"
    chosen = tokenize or ("zh" if chinese else "13a")
    if chosen not in TOKENIZERS:
        raise MetricError(f"tokenisation {chosen!r} is not one of {', '.join(TOKENIZERS)}")
    return {
        "bleu": BLEU(tokenize="none" if chosen == PAPERS else chosen, force=chosen == PAPERS),
        "chrf": CHRF(),
        "ter": TER(normalized=chinese, asian_support=chinese),
    }


def _measure(
    metric: Metric, hypotheses: Sequence[str], references: Sequence[str], samples: int
) -> Score:
    """One metric; the interval is sacrebleu's own bootstrap.

    Its steps are called one by one because ``corpus_score`` (sacrebleu 2.6) fails where a
    resampled test set scores exactly 0: it cannot average float and float32.
    """
    statistics = metric._extract_corpus_statistics(hypotheses, [references])
    value = float(metric._aggregate_and_compute(statistics).score)
    if samples < 2:
        return Score(value=value, signature=str(metric.get_signature()))
    metric.n_bootstrap = samples
    metric.seed, resampled = _bootstrap_resample(statistics, metric, samples)
    mean, margin = estimate_ci(np.array([float(result.score) for result in resampled]))
    return Score(
        value=value,
        signature=str(metric.get_signature()),
        mean=float(mean),
        margin=float(margin),
    )
