"""What a training goes on from: another run beside it, or a checkpoint that was put there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from seq2seq.config import ConfigError, DataConfig, ModelConfig, read_json
from seq2seq.manifest import is_checkpoint, read_checkpoint
from seq2seq.stored import CheckpointError
from seq2seq.training.average import Weights
from seq2seq.training.optim import MasterAdamW
from seq2seq.weights import load_weights

__all__ = ["begin_with", "check_model", "check_text", "text_folder"]

_FREE = "dropout"  # the only setting of a model that may change from one training to the next


def text_folder(begin: Path) -> Path:
    """Where the vocabulary of what is begun with lies."""
    return begin if is_checkpoint(begin) else begin / "dataset"


def check_text(begin: Path, data: DataConfig) -> None:
    """Whether a vocabulary can be taken over: it must be of the same languages and tags.

    Raises:
        ConfigError: it cannot, or nothing is there.
    """
    languages, tags = _text_of(begin)
    if tags != data.target_tags:
        there, here = (_several(several) for several in (tags, data.target_tags))
        raise ConfigError(
            f"begin: {begin} translates into {there}, these settings into {here}; "
            "name such directions as were trained there, or leave out 'begin'"
        )
    # The order decides which id a tag has; without tags it decides nothing.
    if (languages if tags else set(languages)) != (data.languages if tags else set(data.languages)):
        there, here = (", ".join(codes) for codes in (languages, data.languages))
        order = " in this order" if tags else ""
        raise ConfigError(
            f"begin: {begin} has the languages {there}{order}, these settings {here}; "
            "let 'directions' name the same ones, or leave out 'begin'"
        )


def _several(tags: bool) -> str:
    return "several languages, told by tags" if tags else "one language, without tags"


def _text_of(begin: Path) -> tuple[tuple[str, ...], bool]:
    """Languages of what is begun with, and whether it has target tags."""
    with _named(begin):
        if is_checkpoint(begin):
            info = read_checkpoint(begin)
            return info.languages, info.target_tags
        folder = text_folder(begin)
        if not (folder / "tokenizer.json").is_file():
            raise ConfigError(
                f"{folder / 'tokenizer.json'}: is missing, and {begin} is no checkpoint; prepare "
                "and train that run first, or copy a checkpoint there"
            )
        data = DataConfig.from_dict(read_json(folder / "dataset.json").get("data", {}))
        return data.languages, data.target_tags


def check_model(begin: Path, model: ModelConfig) -> None:
    """Whether weights can be taken over: but for dropout the model must be the same.

    What was not trained yet cannot be told.

    Raises:
        ConfigError: they cannot, or the settings there cannot be read.
    """
    before = _model_of(begin)
    if before is None:
        return
    sizes = [one.source_vocabulary for one in (before, model)]
    if sizes[0] != sizes[1]:
        raise ConfigError(
            f"begin: {begin} was trained with a vocabulary of {sizes[0]:,} pieces, here are "
            f"{sizes[1]:,}; prepare and train that run, then prepare this one"
        )
    theirs, ours = before.to_dict(), model.to_dict()
    for key in ours:
        if key != _FREE and theirs.get(key) != ours[key]:
            raise ConfigError(
                f"begin: model.{key} is {theirs.get(key)} in {begin} and {ours[key]} here; go on "
                "with the same model, or leave out 'begin'"
            )


def _model_of(begin: Path) -> ModelConfig | None:
    """The model that is begun with; None if it was not trained yet."""
    with _named(begin):
        if is_checkpoint(begin):
            return read_checkpoint(begin).model
        path = begin / "model.json"
        return ModelConfig.from_dict(read_json(path)) if path.is_file() else None


@contextmanager
def _named(begin: Path) -> Iterator[None]:
    """Errors say that it is the beginning that cannot be read, and where it lies."""
    try:
        yield
    except (CheckpointError, ConfigError) as error:
        text = str(error)
        raise ConfigError(f"begin: {text if str(begin) in text else f'{begin}: {text}'}") from error


def begin_with(begin: Path, optimizer: MasterAdamW, model: ModelConfig) -> None:
    """Take over the averaged weights of a run, or those of a checkpoint, for a model like theirs.

    Raises:
        ConfigError: there are none, or they are of another model.
    """
    check_model(begin, model)
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
    with _named(checkpoint):
        info = read_checkpoint(checkpoint)
        model = load_weights(checkpoint, info.model, storage=info.storage)
    return {name: value.detach() for name, value in model.named_parameters()}


def _averaged(path: Path, remedy: str) -> Weights:
    """What a training left in ``model.safetensors``."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unfit(path, remedy) from error


def _unfit(path: Path, remedy: str) -> ConfigError:
    return ConfigError(f"{path}: cannot be begun with; {remedy}")
