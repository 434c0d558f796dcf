"""What the tests of the operators share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from seq2seq import kernels
from seq2seq.config import ConfigError, ModelConfig, RecurrentConfig, TransformerConfig
from seq2seq.inference import InferenceModel, Session
from seq2seq.nn import build_model

needs_operators = pytest.mark.skipif(not kernels.loaded(), reason="not built on this machine")


def transformers() -> Iterator[ModelConfig]:
    common = {"source_vocabulary": 90, "target_vocabulary": 90, "d_model": 24, "encoder_layers": 2,
              "decoder_layers": 2, "feed_forward_size": 50}  # fmt: skip
    yield TransformerConfig(**common, norm="pre", heads=4)
    yield TransformerConfig(**common, norm="post", heads=2, positions="sinusoidal-halves",
                            activation="swish", zero_start=True, output_bias=True)  # fmt: skip
    yield TransformerConfig(**common, heads=1, positions="learned", activation="gelu",
                            scale_embeddings=False, tie_output=False)  # fmt: skip
    yield TransformerConfig(**{**common, "target_vocabulary": 70}, heads=3,
                            share_embeddings=False)  # fmt: skip
    # Of the sizes that a matrix unit multiplies.
    yield TransformerConfig(**{**common, "d_model": 128, "feed_forward_size": 192}, heads=2)


def recurrents() -> Iterator[RecurrentConfig]:
    for cell, attention, layers, options in itertools.product(
        ("gru", "lstm"),
        ("none", "additive", "dot", "general"),
        (1, 2),
        (
            {},
            {"reverse_source": True, "bidirectional": False},
            {"input_feeding": True},
            {"tie_output": False, "share_embeddings": False, "target_vocabulary": 70},
        ),
    ):
        config = {"source_vocabulary": 90, "target_vocabulary": 90, "cell": cell,
                  "attention": attention, "encoder_layers": layers, "decoder_layers": layers,
                  "embedding_size": 20, "encoder_size": 16, "attention_size": 12,
                  "decoder_size": 16 if "bidirectional" in options else 32}  # fmt: skip
        try:
            yield RecurrentConfig(**{**config, **options})  # type: ignore[arg-type]
        except ConfigError:
            continue


def operated(config: ModelConfig) -> Session:
    """A model with random weights on the operators."""
    torch.manual_seed(1)
    return InferenceModel(build_model(config).eval(), precision="int8").session()


def some_of_each() -> Iterator[ModelConfig]:
    """All Transformers, and recurrent models of every kind of cell and attention."""
    yield from transformers()
    kinds = {(config.cell, config.attention): config for config in recurrents()}
    yield from kinds.values()


def sentences(model: Session, *, count: int, length: int) -> list[list[int]]:
    """Sentences of ever fewer pieces."""
    chance = np.random.default_rng(2)
    most = model.config.source_vocabulary
    return [chance.integers(4, most, length - 2 * n).tolist() for n in range(count)]


def walk(model: Session) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Logits and attention of 12 steps in which hypotheses come and go."""
    state = model.start(model.encode(sentences(model, count=4, length=9)))
    chance = np.random.default_rng(3)
    rows = 4
    for _ in range(12):
        tokens = chance.integers(1, model.config.target_vocabulary, rows).tolist()
        output = model.step(tokens, state)
        yield output.logits, output.attention
        index = chance.integers(0, rows, 1 + 11 * rows % 37).tolist()
        state, rows = output.state.select(index), len(index)
