"""What a model is said to consist of is what it consists of when it is built."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from seq2seq.config import ConfigError, ModelConfig, RecurrentConfig, TransformerConfig
from seq2seq.nn import build_model
from seq2seq.parameters import parameter_count, parameter_shapes, sinusoids

VOCABULARIES = (
    {"source_vocabulary": 40, "target_vocabulary": 40},
    {"source_vocabulary": 40, "target_vocabulary": 30, "share_embeddings": False},
)


def transformers() -> Iterator[ModelConfig]:
    for sizes, norm, positions, tie, bias in itertools.product(
        VOCABULARIES, ("pre", "post"), ("sinusoidal", "learned"), (True, False), (True, False)
    ):
        yield TransformerConfig(
            **sizes,  # type: ignore[arg-type]
            d_model=8, heads=2, encoder_layers=2, decoder_layers=3, feed_forward_size=10,
            norm=norm, positions=positions, max_positions=20, tie_output=tie, output_bias=bias,
        )  # fmt: skip


def recurrents() -> Iterator[ModelConfig]:
    for sizes, cell, attention, layers, decoder_size, bidirectional, tie, fed in itertools.product(
        VOCABULARIES,
        ("gru", "lstm"),
        ("none", "additive", "dot", "general"),
        ((1, 1), (2, 1), (2, 2)),
        (6, 12, 10),
        (True, False),
        (True, False),
        (True, False),
    ):
        try:
            yield RecurrentConfig(
                **sizes,  # type: ignore[arg-type]
                cell=cell, attention=attention, encoder_layers=layers[0], decoder_layers=layers[1],
                embedding_size=10, encoder_size=6, decoder_size=decoder_size, attention_size=7,
                bidirectional=bidirectional, tie_output=tie, input_feeding=fed,
            )  # fmt: skip
        except ConfigError:  # a combination that there is not
            continue


@pytest.mark.parametrize("configs", [transformers, recurrents])
def test_names_shapes_and_number_are_those_of_the_modules(configs: object) -> None:
    assert callable(configs)
    several = list(configs())
    assert len(several) > 30
    for config in several:
        with torch.device("meta"):
            model = build_model(config)
        seen: set[int] = set()
        expected = {}
        for name, tensor in model.state_dict(keep_vars=True).items():
            if id(tensor) not in seen:  # tied ones under their first name
                seen.add(id(tensor))
                expected[name] = tuple(tensor.shape)
        assert parameter_shapes(config) == expected, config
        assert parameter_count(config) == model.parameter_count
        assert config.attention_layout == model.attention_layout


def test_an_architecture_that_nobody_knows() -> None:
    config = ModelConfig(architecture="toy", source_vocabulary=9, target_vocabulary=9)
    with pytest.raises(ConfigError, match="'toy' is not one of recurrent, transformer"):
        parameter_shapes(config)


def test_sinusoids_as_published() -> None:
    table = sinusoids(50, 6)
    assert table.dtype == np.float32
    for position, feature in ((0, 0), (7, 2), (49, 5)):
        angle = position / 1e4 ** (feature // 2 * 2 / 6)
        wave = np.cos(angle) if feature % 2 else np.sin(angle)
        assert table[position, feature] == pytest.approx(wave, abs=1e-6)
    halves = sinusoids(50, 6, halves=True)
    assert np.array_equal(halves, table[:, [0, 2, 4, 1, 3, 5]])
