"""A small model of the contract, and searches written the plain way to compare with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.config import AttentionLayout, ModelConfig, SearchConfig
from seq2seq.decoding.search import SearchResult
from seq2seq.decoding.search import search as decoding_search
from seq2seq.inference.hosted import HostedModel
from seq2seq.nn.model import (
    AnyModel,
    DecoderState,
    Memory,
    Seq2SeqModel,
    StepOutput,
)

PAD, BOS, EOS, UNK = 0, 1, 2, 3


@dataclass(frozen=True)
class ToyMemory(Memory):
    keys: Tensor  # (rows, S, width)


@dataclass(frozen=True)
class ToyState(DecoderState):
    memory: ToyMemory
    hidden: Tensor  # (rows, width)


class ToyModel(Seq2SeqModel[ToyMemory, ToyState]):
    """Random tables: the next piece depends on all earlier ones and on what is attended to.

    In double precision, so that rounding is no reason for differences.
    """

    WIDTH, LAYERS, HEADS = 6, 2, 3

    def __init__(
        self,
        *,
        vocabulary: int = 6,
        seed: int = 0,
        sharpness: float = 2.0,
        ending: float = 0.0,
        attends: bool = True,
    ) -> None:
        sizes = {"source_vocabulary": vocabulary, "target_vocabulary": vocabulary}
        super().__init__(ModelConfig(architecture="toy", **sizes))
        generator = torch.Generator().manual_seed(seed)

        def table(*shape: int) -> nn.Parameter:
            values = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return nn.Parameter(values, requires_grad=False)

        self.source_table = table(vocabulary, self.WIDTH)
        self.target_table = table(vocabulary, self.WIDTH)
        self.recurrence = table(self.WIDTH, self.WIDTH)
        self.queries = table(self.LAYERS, self.HEADS, self.WIDTH, self.WIDTH)
        self.output = table(self.WIDTH, vocabulary)
        self.bias = table(vocabulary)
        self.bias[EOS] += ending
        self.sharpness = sharpness
        self.attends = attends

    @property
    def attention_layout(self) -> AttentionLayout | None:
        if not self.attends:
            return None
        return AttentionLayout(layers=("one", "two"), heads=("a", "b", "c"))

    def encode(self, source: Tensor, source_mask: Tensor) -> ToyMemory:
        return ToyMemory(mask=source_mask, keys=self.source_table[source])

    def start(self, memory: ToyMemory) -> ToyState:
        kept = memory.keys * memory.mask[..., None]
        return ToyState(memory=memory, hidden=torch.tanh(kept.sum(1)))

    def step(self, tokens: Tensor, state: ToyState) -> StepOutput[ToyState]:
        mixed = state.hidden @ self.recurrence + self.target_table[tokens]
        keys, mask = state.memory.keys, state.memory.mask
        scores = torch.einsum("rw,lhwv,rsv->rlhs", torch.tanh(mixed), self.queries, keys)
        weights = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1)
        context = torch.einsum("rlhs,rsw->rw", weights, keys) / (self.LAYERS * self.HEADS)
        hidden = torch.tanh(mixed + context)
        logits = self.project(hidden)
        state = ToyState(memory=state.memory, hidden=hidden)
        return StepOutput(logits, weights if self.attends else None, state)

    def hidden(self, memory: ToyMemory, target_in: Tensor) -> Tensor:
        state, outputs = self.start(memory), []
        for tokens in target_in.unbind(1):
            state = self.step(tokens, state).state
            outputs.append(state.hidden)
        return torch.stack(outputs, 1)

    def project(self, hidden: Tensor) -> Tensor:
        return self.sharpness * (hidden @ self.output) + self.bias


def search(model: AnyModel, sources: Sequence[Sequence[int]], **options: Any) -> list[SearchResult]:
    """As :func:`seq2seq.decoding.search.search`, of a model on PyTorch."""
    return decoding_search(HostedModel(model), sources, **options)


@dataclass(frozen=True)
class Scored:
    """A target and what the model says about it, piece by piece."""

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    attention: Tensor | None  # (len(tokens), layers, heads, S)


def score(model: AnyModel, source: Sequence[int], tokens: Sequence[int]) -> Scored:
    """Feed ``tokens`` to the model and read off their probabilities and attention."""
    ids = torch.tensor([list(source)])
    state = model.start(model.encode(ids, torch.ones_like(ids, dtype=torch.bool)))
    logs, maps = [], []
    for before, token in itertools.pairwise((BOS, *tokens)):
        output = model.step(torch.tensor([before]), state)
        logs.append(float(output.logits.double().log_softmax(-1)[0, token]))
        maps.append(output.attention)
        state = output.state
    attention = None if model.attention_layout is None else torch.cat(maps)  # type: ignore[arg-type]
    return Scored(tuple(tokens), tuple(logs), attention)


def normalised(scored: Scored, config: SearchConfig) -> float:
    """Wu 2016, eq. 14, written out."""
    length = len(scored.tokens)
    base = length if config.length_formula == "power" else (5 + length) / 6
    total = sum(scored.log_probabilities) / base**config.length_penalty
    if config.coverage_penalty and scored.attention is not None:
        mean = scored.attention.double().mean((1, 2))
        for received in mean.sum(0).tolist():
            total += config.coverage_penalty * math.log(min(received, 1.0))
    return total


def repeats(tokens: Sequence[int], size: int) -> bool:
    """The last n-gram of ``size`` has occurred before."""
    grams = [tuple(tokens[n : n + size]) for n in range(len(tokens) - size + 1)]
    return bool(grams) and grams[-1] in grams[:-1]


def allowed(tokens: Sequence[int], config: SearchConfig, *, prefix: int = 0) -> bool:
    """Whether the constraints permit a target that begins with ``prefix`` forced pieces."""
    content = [token for token in tokens if token != EOS]
    if PAD in tokens or BOS in tokens:
        return False
    if EOS in tokens and len(content) < config.min_length and len(tokens) > prefix:
        return False
    size = config.no_repeat_ngram
    ends = range(prefix + 1, len(tokens) + 1)
    return not size or not any(repeats(tokens[:end], size) for end in ends)


def everything(
    model: AnyModel,
    source: Sequence[int],
    config: SearchConfig,
    *,
    prefix: Sequence[int] = (),
) -> list[tuple[float, Scored]]:
    """All targets of at most ``max_length`` pieces and an end-of-sentence, best first."""
    assert config.max_length is not None
    pieces = range(UNK, model.config.target_vocabulary)
    found = []
    for length in range(len(prefix), config.max_length + 1):
        for rest in itertools.product(pieces, repeat=length - len(prefix)):
            target = (*prefix, *rest, EOS)
            if allowed(target, config, prefix=len(prefix)):
                scored = score(model, source, target)
                found.append((normalised(scored, config), scored))
    return sorted(found, key=lambda pair: -pair[0])


def greedy(
    model: AnyModel,
    source: Sequence[int],
    config: SearchConfig,
    *,
    prefix: Sequence[int] = (),
) -> tuple[int, ...]:
    """The most probable permitted piece, again and again."""
    assert config.max_length is not None
    tokens: list[int] = []
    ids = torch.tensor([list(source)])
    while True:
        logits = model(ids, torch.tensor([[BOS, *tokens]]))[0, -1]
        if len(tokens) < len(prefix):
            tokens.append(prefix[len(tokens)])
        else:
            choices = [
                token
                for token in range(len(logits))
                if allowed([*tokens, token], config, prefix=len(prefix))
            ]
            if not choices:
                return tuple(tokens)
            best = max(choices, key=lambda token: float(logits[token]))
            if len(tokens) == config.max_length and best != EOS:
                return tuple(tokens)
            tokens.append(best)
        if tokens[-1] == EOS:
            return tuple(tokens)
