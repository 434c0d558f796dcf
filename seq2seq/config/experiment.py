"""How a model is made: data, training, and everything together in one file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from seq2seq.config.models import ModelConfig
from seq2seq.config.search import SearchConfig
from seq2seq.config.settings import ConfigError, Settings, read_json

__all__ = ["DataConfig", "DataFile", "Experiment", "Share", "TextFile", "TrainingConfig"]

_PAIR = {"form": 'a pair of languages, for instance ["fr", "en"]'}
_PAIRS = {"form": 'a list of pairs of languages, for instance [["fr", "en"]]'}
_NAME = re.compile(r"(?=[^.])[A-Za-z0-9._-]*[A-Za-z0-9][A-Za-z0-9._-]*")  # of a folder


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
class TextFile(Settings):
    """Sentences of one language, plain or gzip.

    Attributes:
        path: relative to a data folder given on the command line.
        language: of the sentences.
        columns: language of each column; empty for a sentence a line.
        most: sentences at most, drawn at random; None for all.
    """

    path: str
    language: str
    columns: tuple[str, ...] = ()
    most: int | None = None

    def __post_init__(self) -> None:
        known = not self.columns or self.columns.count(self.language) == 1
        self._require(known, "columns", f"empty, or name {self.language!r} once")
        self._require(self.most is None or self.most > 0, "most", "above 0")


@dataclass(frozen=True, kw_only=True)
class Share(Settings):
    """How much more, or less, of a direction is met in training.

    Attributes:
        direction: source and target language.
        factor: what multiplies the number of its pairs that ``temperature`` gives.
    """

    direction: tuple[str, str] = field(metadata=_PAIR)
    factor: float

    def __post_init__(self) -> None:
        self._require(0.001 <= self.factor <= 1000, "factor", "between 0.001 and 1000")


@dataclass(frozen=True, kw_only=True)
class DataConfig(Settings):
    """What ``prepare`` reads and how it cleans and mixes it.

    Attributes:
        directions: pairs of source and target language. With several target languages, a piece
            that names the target stands before every source sentence (Johnson 2017).
        zero_shot: directions that the model offers without having met a pair of them, between
            languages that it can read and write (Johnson 2017).
        train: files of pairs; every direction needs one.
        dev: files of pairs; a direction without one is trained, but training neither shows how
            good it is nor chooses its checkpoints by it.
        repair: text of one language from which sentences are to be repaired: spans of their pieces
            are masked, and the model writes the whole, told the language as for a translation
            (denoising, Lewis 2020). It learns to write, and what each tag means.
        masked: share of the pieces that are masked there.
        license: of a model trained on this text, as the Hugging Face Hub writes it.
        origins: what the text is and under which licence, for the model card.
        vocabulary: size of the joint BPE vocabulary, special and byte pieces included.
        max_pieces: pairs with a longer side are left out of training.
        max_ratio: pairs whose sides differ by more than this factor in words are left out.
        temperature: 1 mixes directions as large as they are; the higher, the more often the
            pairs of the small ones are repeated.
        shares: of single directions, on top of that.
        join_rate: share of training pairs that are added as several in a row, as one pair.
        copy_rate: share of training pairs in which the same rare character (an emoji, say) is
            put on both sides, so that the model learns to carry over what it cannot translate.
        bpe_dropout: probability that a merge is left out where the training pairs are cut into
            pieces (Provilkov 2020).
        variants: how often the pairs are cut so; epochs take turns.
        seed: of these choices.
    """

    directions: tuple[tuple[str, str], ...] = field(metadata=_PAIRS)
    train: tuple[DataFile, ...]
    dev: tuple[DataFile, ...]
    repair: tuple[TextFile, ...] = ()
    masked: float = 0.35
    zero_shot: tuple[tuple[str, str], ...] = field(default=(), metadata=_PAIRS)
    license: str = "unknown"
    origins: tuple[str, ...] = ()
    vocabulary: int = 8000
    max_pieces: int = 100
    max_ratio: float = 4.0
    temperature: float = 1.0
    shares: tuple[Share, ...] = ()
    join_rate: float = 0.0
    copy_rate: float = 0.02
    bpe_dropout: float = 0.0
    variants: int = 1
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
            if not any(file.serves((source, target)) for file in self.train):
                raise ConfigError(f"DataConfig.train: no file serves {source} to {target}")
        self._check_shares()
        read, written = ({pair[side] for pair in pairs} for side in (0, 1))
        possible = all(
            source in read and target in written and source != target
            for source, target in self.zero_shot
        )
        self._require(
            possible and not set(self.zero_shot) & set(pairs),
            "zero_shot",
            "other directions between languages that are read and written in training",
        )
        for text in self.repair:
            if text.language not in written:
                raise ConfigError(
                    f"TextFile.language: {text.path} is to be repaired in {text.language!r}, "
                    "which no direction writes"
                )
        self._require(0 < self.masked < 1, "masked", "in (0, 1)")
        self._require(300 <= self.vocabulary <= 65535, "vocabulary", "between 300 and 65535")
        self._require(self.max_pieces > 1, "max_pieces", "above 1")
        self._require(self.max_ratio > 1, "max_ratio", "above 1")
        self._require(1 <= self.temperature <= 100, "temperature", "between 1 and 100")
        self._require(0 <= self.join_rate < 1, "join_rate", "in [0, 1)")
        self._require(0 <= self.copy_rate < 1, "copy_rate", "in [0, 1)")
        self._require(0 <= self.bpe_dropout < 1, "bpe_dropout", "in [0, 1)")
        self._require(1 <= self.variants <= 100, "variants", "between 1 and 100")
        self._require(
            self.variants == 1 or self.bpe_dropout > 0,
            "variants",
            "1, as without bpe_dropout all are the same",
        )

    def _check_shares(self) -> None:
        """Each direction has one share at most, and is trained."""
        met: set[tuple[str, str]] = set()
        for share in self.shares:
            named = "{} to {}".format(*share.direction)
            if share.direction not in self.directions:
                known = ", ".join("{} to {}".format(*pair) for pair in self.directions)
                raise ConfigError(
                    f"DataConfig.shares: {named} is none of the directions ({known}); add it to "
                    "'directions', or leave its share out"
                )
            if share.direction in met:
                raise ConfigError(
                    f"DataConfig.shares: {named} stands there twice; give it one factor"
                )
            met.add(share.direction)

    @property
    def validated(self) -> tuple[tuple[str, str], ...]:
        """The directions that have dev pairs."""
        return tuple(
            pair for pair in self.directions if any(file.serves(pair) for file in self.dev)
        )

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

    ``begin`` names another run beside this one, finished or not, or a checkpoint put there: its
    vocabulary is taken over, and training begins with its averaged weights, with other data or
    another schedule.
    """

    name: str
    data: DataConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    begin: str | None = None
    model: dict  # type: ignore[type-arg]

    def __post_init__(self) -> None:
        for key in ("name", "begin"):
            name = getattr(self, key)
            plain = name is None or _NAME.fullmatch(name) is not None
            self._require(plain, key, "letters, digits, '-', '_' and '.'")
        self._require(self.begin != self.name, "begin", "another run")
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
