"""Settings as frozen, validated dataclasses that read and write JSON.

Every settings object refuses unknown keys and values out of range with a
:class:`ConfigError` that names the key, so that a typing mistake in a file never
becomes a silent default.
"""

from __future__ import annotations

import dataclasses
import json
import math
import reprlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

__all__ = [
    "ConfigError",
    "DataConfig",
    "DataFile",
    "Experiment",
    "ModelConfig",
    "RecurrentConfig",
    "SamplingConfig",
    "SearchConfig",
    "Settings",
    "TrainingConfig",
    "TransformerConfig",
    "read_json",
]


class ConfigError(ValueError):
    """A setting that cannot be used; the message names the key and what is accepted."""


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object from ``path``.

    Raises:
        ConfigError: the file is missing, not UTF-8, not JSON, not an object, or says a key twice.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repetition)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:  # also a number with too many digits
        raise ConfigError(f"{path}: is not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must hold a JSON object")
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that is said twice, ``json`` alone would silently drop the first value."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} occurs twice")
        found[key] = value
    return found


class Settings:
    """Shared behaviour of all settings: from and to plain dictionaries, with checks."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; :meth:`from_dict` gives an equal object back."""
        return {
            f.name: _plain(getattr(self, f.name))
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build the settings from plain JSON types.

        Raises:
            ConfigError: an unknown key, a wrong type, or a value out of range.
        """
        name = cls.__name__
        if not isinstance(values, dict):
            raise ConfigError(f"{name}: must be a JSON object, not {type(values).__name__}")
        fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - set(fields))
        if unknown:
            known = ", ".join(sorted(fields))
            raise ConfigError(f"{name}: unknown key {unknown[0]!r} (known: {known})")
        missing = [
            f.name
            for f in fields.values()
            if f.name not in values
            and f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise ConfigError(f"{name}: key {missing[0]!r} is missing")
        hints = get_type_hints(cls)
        return cls(**{key: _typed(f"{name}.{key}", hints[key], v) for key, v in values.items()})

    def _require(self, condition: bool, key: str, expected: str) -> None:
        if not condition:
            value = getattr(self, key)
            raise ConfigError(f"{type(self).__name__}.{key}: {value!r} is not {expected}")


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _typed(where: str, hint: Any, value: Any) -> Any:
    """Check ``value`` against a field's type; build nested settings and tuples."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        return _typed(where, next(a for a in get_args(hint) if a is not type(None)), value)
    if origin is Literal:
        if value not in get_args(hint):
            choices = ", ".join(repr(choice) for choice in get_args(hint))
            raise ConfigError(f"{where}: {reprlib.repr(value)} is not one of {choices}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where}: must be a list")
        inner = get_args(hint)
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) != len(value):
            raise ConfigError(f"{where}: must hold {len(kinds)} values, not {len(value)}")
        return tuple(_typed(where, kind, v) for kind, v in zip(kinds, value, strict=True))
    if isinstance(hint, type) and issubclass(hint, Settings):
        return value if isinstance(value, hint) else hint.from_dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < sys.float_info.max else math.inf
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where}: {reprlib.repr(value)} is not of type {hint.__name__}")
    if hint is float and not math.isfinite(value):
        raise ConfigError(f"{where}: {value!r} is not a finite number")
    return value


# --- Models -----------------------------------------------------------------------------------


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


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(ModelConfig):
    """A Transformer encoder and decoder (Vaswani 2017).

    Attributes:
        d_model: width of the residual stream.
        heads: attention heads; divides ``d_model``.
        encoder_layers, decoder_layers: number of layers.
        feed_forward_size: inner width of the feed-forward blocks.
        norm: layer norm before each block (``pre``) or after it (``post``, as in the paper).
        positions: sinusoids (section 3.5) or a learned table.
        max_positions: longest sequence of a learned table.
        activation: of the feed-forward blocks.
        scale_embeddings: multiply embeddings by the square root of ``d_model`` (section 3.4).
    """

    architecture: Literal["transformer"] = "transformer"
    d_model: int = 256
    heads: int = 4
    encoder_layers: int = 3
    decoder_layers: int = 3
    feed_forward_size: int = 1024
    norm: Literal["pre", "post"] = "pre"
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    max_positions: int = 512
    activation: Literal["relu", "gelu", "swish"] = "relu"
    scale_embeddings: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("d_model", "heads", "encoder_layers", "decoder_layers", "feed_forward_size"):
            self._require(getattr(self, key) > 0, key, "above 0")
        self._require(self.d_model % self.heads == 0, "heads", f"a divisor of {self.d_model}")
        self._require(self.d_model % 2 == 0, "d_model", "even")
        self._require(self.max_positions > 0, "max_positions", "above 0")


ModelConfig.registry.update(recurrent=RecurrentConfig, transformer=TransformerConfig)


# --- Search -----------------------------------------------------------------------------------


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


# --- Data and training ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DataFile(Settings):
    """A tab-separated file of sentence pairs, plain or gzip.

    Attributes:
        path: relative to a data folder given on the command line.
        columns: language of each column, for instance ``["en", "fr"]``.
        toward: only used to translate into this language; for text whose other side was made by
            a machine. None allows every direction.
    """

    path: str
    columns: tuple[str, ...] = ("en", "fr")
    toward: str | None = None

    def __post_init__(self) -> None:
        self._require(len(set(self.columns)) == len(self.columns) >= 2, "columns", "2 languages")
        known = self.toward is None or self.toward in self.columns
        self._require(known, "toward", "one of the columns")

    def serves(self, direction: tuple[str, str]) -> bool:
        """Whether pairs for a direction (source, target) can be taken from this file."""
        return set(direction) <= set(self.columns) and self.toward in (None, direction[1])


@dataclass(frozen=True, kw_only=True)
class DataConfig(Settings):
    """What ``prepare`` reads and how it cleans and mixes it.

    Attributes:
        directions: pairs of source and target language. With several target languages, a piece
            that names the target stands before every source sentence (Johnson 2017).
        train, dev: files of pairs; every direction needs one of each.
        license: of a model trained on this text, as the Hugging Face Hub writes it.
        origins: what the text is and under which licence, for the model card.
        vocabulary: size of the joint BPE vocabulary, special and byte pieces included.
        max_pieces: pairs with a longer side are left out of training.
        max_ratio: pairs whose sides differ by more than this factor in words are left out.
        temperature: 1 mixes directions as large as they are; the higher, the more often the
            pairs of the small ones are repeated.
        join_rate: share of training pairs that are added as several in a row, as one pair.
        copy_rate: share of training pairs in which the same rare character (an emoji, say) is
            put on both sides, so that the model learns to carry over what it cannot translate.
        seed: of these choices.
    """

    directions: tuple[tuple[str, str], ...]
    train: tuple[DataFile, ...]
    dev: tuple[DataFile, ...]
    license: str = "unknown"
    origins: tuple[str, ...] = ()
    vocabulary: int = 8000
    max_pieces: int = 100
    max_ratio: float = 4.0
    temperature: float = 1.0
    join_rate: float = 0.0
    copy_rate: float = 0.02
    seed: int = 1

    def __post_init__(self) -> None:
        pairs = self.directions
        self._require(len(pairs) > 0, "directions", "a list of at least one pair")
        self._require(len(set(pairs)) == len(pairs), "directions", "free of repetitions")
        different = all(source != target for source, target in pairs)
        self._require(different, "directions", "between two different languages each")
        for key in ("train", "dev"):
            files = getattr(self, key)
            self._require(len(files) > 0, key, "a list of at least one file")
            for file in files:
                if not any(file.serves(direction) for direction in pairs):
                    raise ConfigError(
                        f"DataFile.columns: {file.path} has {list(file.columns)}, "
                        "which serves none of the directions"
                    )
            for source, target in pairs:
                if not any(file.serves((source, target)) for file in files):
                    raise ConfigError(f"DataConfig.{key}: no file serves {source} to {target}")
        self._require(300 <= self.vocabulary <= 65535, "vocabulary", "between 300 and 65535")
        self._require(self.max_pieces > 1, "max_pieces", "above 1")
        self._require(self.max_ratio > 1, "max_ratio", "above 1")
        self._require(1 <= self.temperature <= 100, "temperature", "between 1 and 100")
        self._require(0 <= self.join_rate < 1, "join_rate", "in [0, 1)")
        self._require(0 <= self.copy_rate < 1, "copy_rate", "in [0, 1)")

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of all languages, in the order in which the directions name them."""
        return tuple(dict.fromkeys(code for pair in self.directions for code in pair))

    @property
    def target_tags(self) -> bool:
        """Whether the source has to say which language is wanted."""
        return len({target for _, target in self.directions}) > 1


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Settings):
    """How a model is trained.

    Attributes:
        batch_tokens: target positions per batch, padding included, over all processes.
        accumulate: batches per update.
        max_epochs: passes over the data at most.
        learning_rate: peak rate.
        schedule: after a linear warm-up, decay by the inverse square root of the step
            (Vaswani 2017, eq. 3) or by a cosine down to a tenth at ``max_steps``.
        warmup_steps, max_steps: counted in updates.
        label_smoothing: mass spread evenly over the vocabulary (Szegedy 2016).
        weight_decay: decoupled (AdamW), on matrices only.
        clip_norm: largest gradient norm; 0 switches clipping off.
        precision: ``auto`` measures bf16 against fp32 on this machine and takes the faster.
        validate_every: updates between validations.
        validation_sentences: dev pairs that are translated greedily for BLEU.
        patience: validations without a better dev BLEU before training stops.
        keep_best: checkpoints with the best dev BLEU that are averaged at the end.
        seed: of initialisation, batch order and dropout.
    """

    batch_tokens: int = 4096
    accumulate: int = 1
    max_epochs: int = 100
    learning_rate: float = 1e-3
    schedule: Literal["inverse_sqrt", "cosine"] = "inverse_sqrt"
    warmup_steps: int = 1000
    max_steps: int = 100_000
    label_smoothing: float = 0.1
    weight_decay: float = 0.01
    adam_betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: float = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    validate_every: int = 500
    validation_sentences: int = 500
    patience: int = 10
    keep_best: int = 5
    seed: int = 1

    def __post_init__(self) -> None:
        positive = ("batch_tokens", "accumulate", "max_epochs", "max_steps", "validate_every")
        for key in (*positive, "warmup_steps", "validation_sentences", "patience", "keep_best"):
            self._require(getattr(self, key) > 0, key, "above 0")
        self._require(0 < self.learning_rate <= 1, "learning_rate", "in (0, 1]")
        self._require(0 <= self.label_smoothing < 1, "label_smoothing", "in [0, 1)")
        self._require(self.weight_decay >= 0, "weight_decay", "at least 0")
        self._require(self.clip_norm >= 0, "clip_norm", "at least 0")
        self._require(all(0 <= b < 1 for b in self.adam_betas), "adam_betas", "in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class Experiment(Settings):
    """One file that says how a model is made: data, architecture, training, search.

    ``search`` becomes the checkpoint's default; tune it on the dev pairs.

    ``model`` may leave out the vocabulary sizes and special ids: ``prepare`` knows them.
    """

    name: str
    data: DataConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    model: dict  # type: ignore[type-arg]

    def __post_init__(self) -> None:
        safe = self.name.replace("-", "").replace("_", "").replace(".", "")
        plain = safe.isascii() and safe.isalnum() and not self.name.startswith(".")
        self._require(plain, "name", "letters, digits, '-', '_' and '.'")
        self.model_config(source_vocabulary=300, target_vocabulary=300)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an experiment from a JSON file; raises :class:`ConfigError`."""
        values = read_json(path)
        try:
            return cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    def model_config(self, *, source_vocabulary: int, target_vocabulary: int) -> ModelConfig:
        """Complete ``model`` with the vocabulary sizes that ``prepare`` found."""
        sizes = {"source_vocabulary": source_vocabulary, "target_vocabulary": target_vocabulary}
        return ModelConfig.from_dict({**self.model, **sizes})
