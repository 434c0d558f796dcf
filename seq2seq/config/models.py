"""Architectures and sizes of models."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from seq2seq.config.settings import ConfigError, Settings

__all__ = ["AttentionLayout", "ModelConfig", "RecurrentConfig", "TransformerConfig"]


@dataclass(frozen=True)
class AttentionLayout:
    """Names of the layers and heads, in the order of the attention's axes 1 and 2."""

    layers: tuple[str, ...]
    heads: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Settings):
    """What every architecture needs to know; the subclasses add their own sizes.

    Attributes:
        architecture: chooses the subclass.
        source_vocabulary: number of source pieces.
        target_vocabulary: number of target pieces.
        share_embeddings: source and target look up one table (needs equal vocabularies).
        tie_output: the output layer uses the target embedding as its weight
            (Press and Wolf 2017).
        dropout: probability of zeroing an activation in training.
        pad_id, bos_id, eos_id, unk_id: ids of the special pieces, in both vocabularies.
    """

    architecture: str
    source_vocabulary: int
    target_vocabulary: int
    share_embeddings: bool = True
    tie_output: bool = True
    dropout: float = 0.1
    pad_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    unk_id: int = 3

    registry: ClassVar[dict[str, type[ModelConfig]]] = {}

    def __post_init__(self) -> None:
        self._require(self.source_vocabulary > 4, "source_vocabulary", "above 4")
        self._require(self.target_vocabulary > 4, "target_vocabulary", "above 4")
        self._require(0 <= self.dropout < 1, "dropout", "in [0, 1)")
        same = self.source_vocabulary == self.target_vocabulary
        self._require(
            not self.share_embeddings or same,
            "share_embeddings",
            "possible with source and target vocabularies of different size",
        )
        for key in ("pad_id", "bos_id", "eos_id", "unk_id"):
            inside = 0 <= getattr(self, key) < min(self.source_vocabulary, self.target_vocabulary)
            self._require(inside, key, "inside both vocabularies")

    @property
    def attention_layout(self) -> AttentionLayout | None:
        """Layers and heads of the attention, or None for a model without attention."""
        return None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build the configuration class that ``values["architecture"]`` names."""
        if cls is not ModelConfig or not isinstance(values, dict):
            return super().from_dict(values)
        name = values.get("architecture")
        if not isinstance(name, str) or name not in ModelConfig.registry:
            known = ", ".join(sorted(ModelConfig.registry))
            shown = reprlib.repr(name)
            raise ConfigError(f"ModelConfig.architecture: {shown} is not one of {known}")
        return ModelConfig.registry[name].from_dict(values)  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(ModelConfig):
    """A recurrent encoder and decoder (Sutskever 2014; Bahdanau 2015; Luong 2015).

    Attributes:
        cell: recurrent unit.
        embedding_size: width of the embeddings.
        encoder_size: width of the encoder, per direction.
        decoder_size: width of the decoder.
        encoder_layers, decoder_layers: stacked recurrent layers.
        bidirectional: the encoder also reads from right to left.
        reverse_source: feed the source from its end (Sutskever 2014, section 3.3).
        attention: ``none`` (the decoder gets the encoder's final state and nothing else),
            ``additive`` (Bahdanau 2015), ``dot`` or ``general`` (Luong 2015, eq. 8).
        attention_size: width of the additive alignment model.
        input_feeding: the attentional vector of the previous step is part of the decoder's
            next input (Luong 2015, section 3.3); multiplicative attention only.
    """

    architecture: Literal["recurrent"] = "recurrent"
    cell: Literal["lstm", "gru"] = "gru"
    embedding_size: int = 256
    encoder_size: int = 256
    decoder_size: int = 512
    encoder_layers: int = 1
    decoder_layers: int = 1
    bidirectional: bool = True
    reverse_source: bool = False
    attention: Literal["none", "additive", "dot", "general"] = "additive"
    attention_size: int = 256
    input_feeding: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = ("embedding_size", "encoder_size", "decoder_size", "attention_size")
        for key in (*sizes, "encoder_layers", "decoder_layers"):
            self._require(getattr(self, key) > 0, key, "above 0")
        width = self.encoder_size * (2 if self.bidirectional else 1)
        self._require(
            self.attention != "dot" or width == self.decoder_size,
            "attention",
            "possible here: dot needs an encoder as wide as the decoder",
        )
        self._require(
            not self.input_feeding or self.attention in ("dot", "general"),
            "input_feeding",
            "possible without multiplicative attention",
        )

    @property
    def attention_layout(self) -> AttentionLayout | None:
        """One layer with one head, or None for a model without attention."""
        if self.attention == "none":
            return None
        return AttentionLayout(layers=(f"{self.attention} attention",), heads=("head 1",))


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(ModelConfig):
    """A Transformer encoder and decoder (Vaswani 2017).

    Attributes:
        d_model: width of the residual stream.
        heads: attention heads; divides ``d_model``.
        encoder_layers, decoder_layers: number of layers.
        feed_forward_size: inner width of the feed-forward blocks.
        norm: layer norm before each block (``pre``) or after it (``post``, as in the paper).
        positions: sinusoids (section 3.5), sines and cosines interleaved or, as in Marian, all
            sines before all cosines (``sinusoidal-halves``), or a learned table.
        max_positions: longest sequence of a learned table.
        activation: of the feed-forward blocks.
        scale_embeddings: multiply embeddings by the square root of ``d_model`` (section 3.4).
        zero_start: the decoder begins with a zero vector, not with an embedding of bos, as
            Marian's do (Junczys-Dowmunt 2018).
        output_bias: the output layer adds a bias.
    """

    architecture: Literal["transformer"] = "transformer"
    d_model: int = 256
    heads: int = 4
    encoder_layers: int = 3
    decoder_layers: int = 3
    feed_forward_size: int = 1024
    norm: Literal["pre", "post"] = "pre"
    positions: Literal["sinusoidal", "sinusoidal-halves", "learned"] = "sinusoidal"
    max_positions: int = 512
    activation: Literal["relu", "gelu", "swish"] = "relu"
    scale_embeddings: bool = True
    zero_start: bool = False
    output_bias: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("d_model", "heads", "encoder_layers", "decoder_layers", "feed_forward_size"):
            self._require(getattr(self, key) > 0, key, "above 0")
        self._require(self.d_model % self.heads == 0, "heads", f"a divisor of {self.d_model}")
        self._require(self.d_model % 2 == 0, "d_model", "even")
        self._require(self.max_positions > 0, "max_positions", "above 0")

    @property
    def attention_layout(self) -> AttentionLayout:
        """Every decoder layer, every head."""
        return AttentionLayout(
            layers=tuple(f"layer {n + 1}" for n in range(self.decoder_layers)),
            heads=tuple(f"head {n + 1}" for n in range(self.heads)),
        )


ModelConfig.registry.update(recurrent=RecurrentConfig, transformer=TransformerConfig)
