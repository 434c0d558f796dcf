"""What a training goes on from: another run beside it, or a checkpoint that was put there."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from seq2seq.config import ConfigError
from seq2seq.manifest import is_checkpoint, read_checkpoint
from seq2seq.training.average import Weights
from seq2seq.training.optim import MasterAdamW
from seq2seq.weights import CheckpointError, load_weights

__all__ = ["begin_with", "text_folder"]


def text_folder(begin: Path) -> Path:
    """Where the vocabulary of what is begun with lies."""
    return begin if is_checkpoint(begin) else begin / "dataset"


def begin_with(begin: Path, optimizer: MasterAdamW) -> None:
    """Take over the averaged weights of a run, or those of a checkpoint.

    Raises:
        ConfigError: there are none, or they are of another model.
    """
    if is_checkpoint(begin):
        weights, path, remedy = _stored(begin), begin, "its model must be the same"
    else:
        path, remedy = begin / "model.safetensors", "train that run first, with the same model"
        weights = _averaged(path, remedy)
    try:
        optimizer.load_weights(weights)
    except (KeyError, RuntimeError) as error:
        raise _unfit(path, remedy) from error


def _stored(checkpoint: Path) -> Weights:
    """The weights of a checkpoint, by parameter name."""
    try:
        info = read_checkpoint(checkpoint)
        model = load_weights(checkpoint, info.model, storage=info.storage)
    except CheckpointError as error:
        raise ConfigError(f"begin: {error}") from error
    return {name: value.detach() for name, value in model.named_parameters()}


def _averaged(path: Path, remedy: str) -> Weights:
    """What a training left in ``model.safetensors``."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unfit(path, remedy) from error


def _unfit(path: Path, remedy: str) -> ConfigError:
    return ConfigError(f"{path}: cannot be begun with; {remedy}")
