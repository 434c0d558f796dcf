"""What a model consists of, without building it: names, shapes and number of its parameters.

The names are those of the modules in ``nn``. A parameter that the model uses twice (tied
embeddings) has one name, that of its first use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from seq2seq.config import ConfigError, ModelConfig, RecurrentConfig, TransformerConfig

__all__ = ["Shape", "Weights", "parameter_count", "parameter_shapes", "sinusoids", "tables"]

Shape = tuple[int, ...]

_GATES = {"lstm": 4, "gru": 3}


class Weights(Protocol):
    """Gives the parameters of a model by name.

    Attributes:
        positions: sinusoids (positions, width) as they are stored; None to compute them.
    """

    positions: np.ndarray | None

    def read(self, name: str) -> np.ndarray:
        """A parameter in fp32."""

    def read_rows(
        self, name: str, *, at_once: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """A matrix, a few rows after the other: some ``at_once`` numbers.

        Yields:
            Rows in int8 and their scales, or rows in fp32 and None.
        """


def parameter_shapes(config: ModelConfig) -> dict[str, Shape]:
    """All parameters by name.

    Raises:
        ConfigError: an architecture that is not known here.
    """
    if isinstance(config, TransformerConfig):
        return dict(_transformer(config))
    if isinstance(config, RecurrentConfig):
        return dict(_recurrent(config))
    raise ConfigError(f"architecture {config.architecture!r} is not one of recurrent, transformer")


def parameter_count(config: ModelConfig) -> int:
    """Number of trainable parameters, tied ones counted once."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())


def tables(config: ModelConfig) -> tuple[str, str, str]:
    """Names of the source's and the target's table, and of the output layer's matrix."""
    source = "source_embedding.weight"
    target = source if config.share_embeddings else "target_embedding.weight"
    return source, target, target if config.tie_output else "output.weight"


def sinusoids(length: int, width: int, *, halves: bool = False) -> np.ndarray:
    """Position encodings (length, width), fp32 (Vaswani 2017, section 3.5).

    Sines and cosines alternate, or with ``halves`` all sines come before all cosines.
    """
    position = np.arange(length, dtype=np.float64)[:, None]
    rate = np.exp(np.arange(0, width, 2, dtype=np.float64) * (-math.log(1e4) / width))
    waves = np.sin(position * rate), np.cos(position * rate)
    table = np.concatenate(waves, 1) if halves else np.stack(waves, 2).reshape(length, -1)
    return table.astype(np.float32)


_Named = Iterator[tuple[str, Shape]]


def _linear(name: str, width_in: int, width_out: int, *, bias: bool = True) -> _Named:
    yield f"{name}.weight", (width_out, width_in)
    if bias:
        yield f"{name}.bias", (width_out,)


def _tables(config: ModelConfig, width: int, output_width: int) -> _Named:
    """Both embeddings and the output's matrix, each under its first name."""
    source, target, output = tables(config)
    yield source, (config.source_vocabulary, width)
    if target != source:
        yield target, (config.target_vocabulary, width)
    if output != target:
        yield output, (config.target_vocabulary, output_width)


def _transformer(config: TransformerConfig) -> _Named:
    width, inner = config.d_model, config.feed_forward_size

    def norm(name: str) -> _Named:
        yield f"{name}.weight", (width,)
        yield f"{name}.bias", (width,)

    yield from _tables(config, width, width)
    if config.output_bias:
        yield "output.bias", (config.target_vocabulary,)
    if config.positions == "learned":
        for side in ("source", "target"):
            yield f"{side}_positions", (config.max_positions, width)
    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        for n in range(layers):
            layer = f"{side}.{n}"
            yield from _linear(f"{layer}.self_attention.project_in", width, 3 * width)
            yield from _linear(f"{layer}.self_attention.project_out", width, width)
            if side == "decoder":
                yield from _linear(f"{layer}.cross_attention.project_query", width, width)
                yield from _linear(f"{layer}.cross_attention.project_memory", width, 2 * width)
                yield from _linear(f"{layer}.cross_attention.project_out", width, width)
                yield from norm(f"{layer}.cross_norm")
            yield from _linear(f"{layer}.feed_forward.inner", width, inner)
            yield from _linear(f"{layer}.feed_forward.outer", inner, width)
            yield from norm(f"{layer}.self_norm")
            yield from norm(f"{layer}.feed_norm")
        if config.norm == "pre":
            yield from norm(f"{side}_norm")


def _recurrent(config: RecurrentConfig) -> _Named:
    directions = 2 if config.bidirectional else 1
    values, size = config.encoder_size * directions, config.decoder_size
    embedded = config.embedding_size

    def layer(name: str, width: int, own: int) -> _Named:
        gates = _GATES[config.cell] * own
        yield f"{name}.rnn.weight_ih_l0", (gates, width)
        yield f"{name}.rnn.weight_hh_l0", (gates, own)
        yield f"{name}.rnn.bias_ih_l0", (gates,)
        yield f"{name}.rnn.bias_hh_l0", (gates,)

    # What the output layer reads, and what the decoder reads beside an embedding.
    read, extra = size, 0
    if config.attention == "additive":
        read, extra = embedded, values
    elif config.tie_output:
        read = embedded
    if config.input_feeding:
        extra = read
    yield from _tables(config, embedded, read)
    yield "output.bias", (config.target_vocabulary,)
    for n in range(config.encoder_layers):
        for direction in range(directions):
            width = values if n else embedded
            yield from layer(f"encoder.layers.{n}.{direction}", width, config.encoder_size)
    top_only = config.attention == "additive"
    fits = (config.encoder_layers, values) == (config.decoder_layers, size)
    if top_only or not fits:
        width = config.encoder_size if top_only else values * config.encoder_layers
        parts = ("hidden", "cell") if config.cell == "lstm" else ("hidden",)
        for part in parts:
            yield from _linear(f"bridge.{part}", width, config.decoder_layers * size)
    for n in range(config.decoder_layers):
        yield from layer(f"decoder.layers.{n}", size if n else embedded + extra, size)
    if config.attention == "additive":
        hidden = config.attention_size
        yield from _linear("decoder.attention.query", size, hidden, bias=False)
        yield from _linear("decoder.attention.key", values, hidden)
        yield from _linear("decoder.attention.score", hidden, 1, bias=False)
        yield from _linear("decoder.readout", size + embedded + values, 2 * read)
    elif config.attention == "none":
        if read != size:
            yield from _linear("decoder.readout", size, read)
    else:
        if config.attention == "general":
            yield from _linear("decoder.attention.key", values, size, bias=False)
        yield from _linear("decoder.readout", values + size, read, bias=False)
