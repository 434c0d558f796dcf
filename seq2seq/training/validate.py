"""How good a model is on the dev pairs while it trains.

BLEU here compares greedy translations with the references as space-separated words of the
text pipeline, rebuilt from the ids alone: it chooses between checkpoints and is not a figure to
report. Reported figures come from ``evaluate``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sacrebleu
import torch

from seq2seq.config import SearchConfig
from seq2seq.decoding.search import search
from seq2seq.inference.hosted import HostedModel
from seq2seq.nn.model import AnyModel
from seq2seq.training.corpus import Direction
from seq2seq.training.data import ParallelIds, make_batch

__all__ = ["Validation", "Vocabulary", "validate"]


class Vocabulary:
    """Ids back to space-separated words, without a text library.

    Args:
        pieces: the vocabulary as ``prepare`` wrote it: ``▁`` begins a word, ``<0x41>`` is a byte.
        special: ids that are left out.
    """

    def __init__(self, pieces: Sequence[str], special: frozenset[int]) -> None:
        self.bytes = [
            bytes([int(piece[3:5], 16)])
            if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")
            else piece.encode()
            for piece in pieces
        ]
        self.special = special

    def text(self, ids: Sequence[int]) -> str:
        """Join the pieces of one sentence."""
        joined = b"".join(self.bytes[i] for i in ids if i not in self.special)
        return joined.decode("utf-8", errors="replace").replace("▁", " ").strip()


@dataclass(frozen=True)
class Validation:
    """Figures on the dev pairs.

    Attributes:
        loss: negative log-likelihood per piece, in nats, without label smoothing.
        accuracy: share of pieces that the model thinks most probable, given the right ones
            before.
        bleu: of greedy translations of the first pairs of each direction, its mean.
    """

    loss: float
    accuracy: float
    bleu: float

    @property
    def perplexity(self) -> float:
        """exp(loss)."""
        return math.exp(min(self.loss, 50))


@torch.inference_mode()
def validate(
    model: AnyModel,
    data: Mapping[Direction, ParallelIds],
    vocabulary: Vocabulary,
    *,
    sentences: int,
) -> Validation:
    """Measure ``model`` (left in the mode it was in) on the dev pairs of every direction.

    Args:
        model: to measure.
        data: dev pairs by direction.
        vocabulary: of the model.
        sentences: to translate, shared between the directions.
    """
    training = model.training
    model.eval()
    try:
        sums = np.sum([_teacher_forced(model, pairs) for pairs in data.values()], axis=0)
        share = -(-sentences // len(data))
        bleu = [
            _greedy_bleu(model, pairs, vocabulary, share, target)
            for (_, target), pairs in data.items()
        ]
    finally:
        model.train(training)
    nll, correct, tokens = map(float, sums)
    return Validation(loss=nll / tokens, accuracy=correct / tokens, bleu=float(np.mean(bleu)))


def _rows_by_length(data: ParallelIds, count: int, rows_at_once: int) -> list[list[int]]:
    order = sorted(range(count), key=lambda row: int(data.source_lengths[row]))
    return [order[i : i + rows_at_once] for i in range(0, count, rows_at_once)]


def _teacher_forced(model: AnyModel, data: ParallelIds) -> tuple[float, float, int]:
    """Negative log-likelihood, right guesses and pieces, summed up."""
    config = model.config
    nll, correct, tokens = 0.0, 0.0, 0
    for rows in _rows_by_length(data, len(data), 128):
        batch = make_batch(data, rows, pad=config.pad_id, bos=config.bos_id).to(model.device)
        memory = model.encode(batch.source, batch.source != config.pad_id)
        hidden = model.hidden(memory, batch.target_in)
        keep = batch.target_out != config.pad_id
        logits = model.project(hidden[keep])
        logs = torch.log_softmax(logits.float(), dim=1)
        wanted = batch.target_out[keep]
        nll -= float(logs.gather(1, wanted[:, None]).sum())
        correct += float((logs.argmax(dim=1) == wanted).sum())
        tokens += batch.tokens
    return nll, correct, tokens


def _greedy_bleu(
    model: AnyModel, data: ParallelIds, vocabulary: Vocabulary, sentences: int, language: str
) -> float:
    greedy = SearchConfig(beam=1, length_factor=1.5)
    count = min(sentences, len(data))
    outputs = [""] * count
    for rows in _rows_by_length(data, count, 128):
        sources = [data.pair(row)[0].tolist() for row in rows]
        results = search(HostedModel(model), sources, config=greedy, attention=False)
        for row, result in zip(rows, results, strict=True):
            outputs[row] = vocabulary.text(result.hypotheses[0].tokens)
    references = [vocabulary.text([int(i) for i in data.pair(row)[1]]) for row in range(count)]
    tokenizer = "zh" if language == "zh" else "13a"
    return sacrebleu.corpus_bleu(outputs, [references], tokenize=tokenizer, force=True).score
