"""Settings as frozen, validated dataclasses that read and write JSON."""

from seq2seq.config.experiment import (
    DataConfig,
    DataFile,
    Experiment,
    Share,
    TextFile,
    TrainingConfig,
)
from seq2seq.config.measure import GoldFile, MeasureConfig
from seq2seq.config.models import (
    AttentionLayout,
    ModelConfig,
    RecurrentConfig,
    TransformerConfig,
)
from seq2seq.config.search import SamplingConfig, SearchConfig
from seq2seq.config.settings import ConfigError, Settings, read_json

__all__ = [
    "AttentionLayout",
    "ConfigError",
    "DataConfig",
    "DataFile",
    "Experiment",
    "GoldFile",
    "MeasureConfig",
    "ModelConfig",
    "RecurrentConfig",
    "SamplingConfig",
    "SearchConfig",
    "Settings",
    "Share",
    "TextFile",
    "TrainingConfig",
    "TransformerConfig",
    "read_json",
]
