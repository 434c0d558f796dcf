"""Small Translation documents made by hand, for tests of what the page shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seq2seq.config import SearchConfig
from seq2seq.decoding.trace import Candidate, Expansion, FinishedHypothesis, Trace, TraceStep
from seq2seq.text.encoding import Encoding, Piece, Word
from seq2seq.translation import Alternative, AttentionMap, ModelCardInfo, Timing, Translation

EOS = "</s>"
NASTY = (
    "<b>x</b>",
    "<img src=x onerror=window.hacked=1>",
    "</s>",
    "${alert(1)}",
    "{{value}}",
    "%{z}",
    "chat",
    "chat",
    "猫",
    "قطة",
    "&lt;",
    "\x00",
    "\u202egnp",
    "$x^2$",
)
MODEL = ModelCardInfo(
    name="tiny", revision="0" * 12, architecture="Transformer, 2+2 layers", parameters=1234
)


def encoding(words: Sequence[Sequence[str] | str], *, language: str = "fr") -> Encoding:
    """Words, each a string or a list of pieces, separated by spaces, and end-of-sentence."""
    text, pieces, spans = "", [], []
    for index, word in enumerate(words):
        parts = [word] if isinstance(word, str) else list(word)
        text += " " if text else ""
        start = len(text)
        for part in parts:
            end = len(text) + len(part)
            pieces.append(
                Piece(id=len(pieces) + 4, text=part, word=index, start=len(text), end=end)
            )
            text += part
        spans.append(Word(text="".join(parts), start=start, end=len(text)))
    end = len(text)
    pieces.append(Piece(id=2, text=EOS, word=len(words), start=end, end=end))
    spans.append(Word(text=EOS, start=end, end=end, special=True))
    return Encoding(text=text, language=language, pieces=tuple(pieces), words=tuple(spans))


def attention(targets: int, sources: int, *, layers: int = 2, heads: int = 2) -> AttentionMap:
    """Random rows that sum to 1, the same for equal sizes."""
    rng = np.random.default_rng(targets * 100 + sources)
    raw = rng.random((targets, layers, heads, sources)).astype(np.float32)
    return AttentionMap(
        weights=raw / raw.sum(axis=-1, keepdims=True),
        layers=tuple(f"layer {i + 1}" for i in range(layers)),
        heads=tuple(f"head {i + 1}" for i in range(heads)),
        layer=layers - 1,
        head=None,
    )


def candidate(token: int, probability: float, **changes: object) -> Candidate:
    """A pruned candidate unless told otherwise."""
    values = {
        "token": token,
        "probability": probability,
        "rank": 1,
        "step_score": float(np.log(probability)),
        "cumulative": float(np.log(probability)),
        "normalised": float(np.log(probability)),
        "fate": "pruned",
        "reason": "outside beam",
        "node": None,
    }
    return Candidate(**(values | changes))  # type: ignore[arg-type]


def greedy_trace(target: Encoding, *, probability: float = 0.7) -> tuple[Trace, dict[int, str]]:
    """One hypothesis per step; each step weighs the true piece and two others."""
    steps, total, names = [], 0.0, {}
    ids = target.ids
    others = (900, 901)
    names.update({900: "other<i>", 901: "rare"})
    for position, token in enumerate(ids):
        names[token] = target.pieces[position].text
        last = position == len(ids) - 1
        before = total
        total += float(np.log(probability))
        choices = [
            candidate(
                token,
                probability,
                cumulative=total,
                normalised=total / (position + 1),
                fate="finished" if last else "kept",
                reason="end of sentence" if last else "best in beam",
                node=position + 1,
            )
        ]
        for rank, (other, share) in enumerate(zip(others, (0.2, 0.05), strict=True), start=2):
            choices.append(
                candidate(
                    other,
                    share,
                    rank=rank,
                    cumulative=before + float(np.log(share)),
                    normalised=(before + float(np.log(share))) / (position + 1),
                )
            )
        expansion = Expansion(
            node=position,
            parent=position - 1 if position else None,
            token=ids[position - 1] if position else 1,
            cumulative=before,
            entropy=0.9,
            attention=None,
            candidates=tuple(choices),
        )
        steps.append(TraceStep(position=position, expansions=(expansion,)))
    finished = FinishedHypothesis(
        node=len(ids), tokens=ids, cumulative=total, normalised=total / len(ids), ended=True
    )
    return Trace(steps=tuple(steps), finished=(finished,)), names


def translation(
    source: Sequence[Sequence[str] | str] = ("Le", ["ch", "at"], "dort"),
    target: Sequence[Sequence[str] | str] = ("The", "cat", ["sle", "eps"]),
    *,
    with_attention: bool = True,
    with_trace: bool = True,
    complete: bool = True,
    probability: float = 0.7,
) -> Translation:
    """A complete document of a greedy search."""
    src, tgt = encoding(source), encoding(target, language="en")
    logs = tuple([float(np.log(probability))] * len(tgt.pieces))
    trace, names = greedy_trace(tgt, probability=probability)
    total = float(sum(logs))
    best = Alternative(
        target=tgt,
        score=total / len(logs),
        log_probability=total,
        token_log_probabilities=logs,
        node=len(logs) if with_trace else None,
    )
    return Translation(
        source=src,
        target=tgt,
        source_language="fr",
        target_language="en",
        score=best.score,
        log_probability=total,
        token_log_probabilities=logs,
        attention=attention(len(tgt.pieces), len(src.pieces)) if with_attention else None,
        n_best=(best,),
        trace=trace if with_trace else None,
        piece_texts=names,
        timing=Timing(text=0.001, encoder=0.002, decoder=0.03),
        model=MODEL,
        search=SearchConfig(beam=1),
        complete=complete,
    )


def nasty_translation() -> Translation:
    """Every token is something that a careless page would run, style, merge or swallow."""
    return translation(NASTY, tuple(reversed(NASTY)))


def beam_translation() -> Translation:
    """Beam 2 over two steps, worked out by hand.

    ::

        root -- a (node 1) -- </s> (node 3, finished, the translation)
             \\- b (node 2) -- c    (node 4, kept)
             \\. c (pruned)   \\. </s> (pruned)
    """
    names = {1: "<s>", 2: EOS, 10: "a", 11: "b", 12: "c"}
    log = lambda p: float(np.log(p))  # noqa: E731
    kept = {"fate": "kept", "reason": "best in beam"}
    first = (
        candidate(10, 0.6, rank=1, node=1, **kept),
        candidate(11, 0.3, rank=2, node=2, **kept),
        candidate(12, 0.05, rank=3),
    )
    after_a = (
        candidate(
            2,
            0.9,
            cumulative=log(0.54),
            normalised=log(0.54) / 2,
            fate="finished",
            reason="end of sentence",
            node=3,
        ),
        candidate(12, 0.02, rank=2, cumulative=log(0.012), normalised=log(0.012) / 2),
    )
    after_b = (
        candidate(12, 0.5, cumulative=log(0.15), normalised=log(0.15) / 2, node=4, **kept),
        candidate(2, 0.4, rank=2, cumulative=log(0.12), normalised=log(0.12) / 2),
    )
    trace = Trace(
        steps=(
            TraceStep(0, (Expansion(0, None, 1, 0.0, 0.9, None, first),)),
            TraceStep(
                1,
                (
                    Expansion(1, 0, 10, log(0.6), 0.4, None, after_a),
                    Expansion(2, 0, 11, log(0.3), 1.0, None, after_b),
                ),
            ),
        ),
        finished=(FinishedHypothesis(3, (10, 2), log(0.54), log(0.54) / 2, True),),
    )
    src = encoding(["x"])
    tgt = encoding(["a"], language="en")
    logs = (log(0.6), log(0.9))
    best = Alternative(tgt, log(0.54) / 2, log(0.54), logs, node=3)
    return Translation(
        source=src,
        target=tgt,
        source_language="fr",
        target_language="en",
        score=best.score,
        log_probability=best.log_probability,
        token_log_probabilities=logs,
        attention=attention(2, 2),
        n_best=(best,),
        trace=trace,
        piece_texts=names,
        timing=Timing(0.0, 0.0, 0.0),
        model=MODEL,
        search=SearchConfig(beam=2),
    )
