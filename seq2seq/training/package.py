"""A trained run to a checkpoint folder that can be loaded, shipped and published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file

from seq2seq.checkpoint import (
    AttentionChoice,
    Checkpoint,
    CheckpointInfo,
    is_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from seq2seq.config import ConfigError, Experiment, ModelConfig, read_json
from seq2seq.nn import AnyModel, build_model
from seq2seq.stored import Storage
from seq2seq.text.moses_bpe import MosesBpe
from seq2seq.training.card import (
    began_with,
    effort,
    model_card,
    restored,
    training_of,
    with_results,
)

__all__ = ["Packaged", "package"]


class Packaged(NamedTuple):
    """What was written.

    Attributes:
        info: what the checkpoint's ``config.json`` says.
        parameters: of its model.
    """

    info: Checkpoint
    parameters: int


def package(
    run: Path, folder: Path, *, storage: Storage | None = None, results: Path | None = None
) -> Packaged:
    """Write ``folder`` from the averaged weights of a training run, or again from a checkpoint.

    Args:
        run: folder that ``prepare`` and ``train`` filled, or a checkpoint of ours: only the scores
            of its card, the attention shown first and the number format become others.
        folder: checkpoint folder to write; an older checkpoint there is replaced.
        storage: number format of the weights on disk; None for fp16, or a checkpoint's own.
        results: what ``measure`` wrote about this model: scores for the model card, and the
            attention that aligns best, which is then shown first.

    Raises:
        ConfigError: a file of the run is missing or damaged, or ``results`` are none.
        CheckpointError: the checkpoint is.
    """
    measured = _measured(results) if results else {}
    if is_checkpoint(run):
        return _again(run, folder, storage=storage, measured=measured)
    _check_trained(run)
    storage = storage or "fp16"
    experiment = Experiment.read(run / "experiment.json")
    data = experiment.data
    text = MosesBpe.load(run / "dataset", languages=data.languages, target_tags=data.target_tags)
    model = _model(run)
    try:
        info = CheckpointInfo(
            name=experiment.name,
            languages=data.languages,
            target_tags=data.target_tags,
            directions=(*data.directions, *data.zero_shot),
            search=experiment.search,
            attention_default=_best_attention(measured),
        )
        card = model_card(
            experiment,
            model=model,
            dataset=read_json(run / "dataset" / "dataset.json"),
            history=read_json(run / "history.json"),
            average=read_json(run / "average.json"),
            storage=storage,
            results=measured,
            earlier=_earlier(run.parent, experiment.begin),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{run}: dataset.json, history.json, average.json or the results lack what the "
            f"model card needs ({error!r}); write it again"
        ) from error
    saved = save_checkpoint(folder, model, text, info, storage=storage, card=card)
    return Packaged(saved, model.parameter_count)


def _check_trained(run: Path) -> None:
    """Say what is missing of a run before any of its files cannot be read."""
    if not run.is_dir():
        raise ConfigError(f"{run}: cannot be read: there is no such folder; give that of a run")
    if not (run / "dataset").is_dir():
        raise ConfigError(
            f"{run}: is neither a run nor a checkpoint; give the folder that prepare and train "
            "have filled"
        )
    if not (run / "experiment.json").is_file():
        raise ConfigError(
            f"{run}: was prepared, but not trained; train it first "
            "(python -m seq2seq train CONFIG.json)"
        )
    if not (run / "model.safetensors").is_file():
        raise ConfigError(
            f"{run}: its training has not come to an end; go on with it first "
            "(python -m seq2seq train CONFIG.json --resume)"
        )


def _measured(path: Path) -> dict[str, Any]:
    """What ``measure`` wrote, as far as it can be told from other files of settings."""
    results = read_json(path)
    tests = results.get("tests")
    if not isinstance(tests, list) or not all(_is_score(test) for test in tests):
        raise ConfigError(
            f"{path}: holds no results; give a file that measure wrote, such as "
            "assets/results/MODEL.json"
        )
    return results


def _is_score(test: Any) -> bool:
    return isinstance(test, dict) and {"bleu", "settings"} <= test.keys()


def _again(
    checkpoint: Path, folder: Path, *, storage: Storage | None, measured: dict[str, Any]
) -> Packaged:
    """A checkpoint with what was measured since."""
    loaded = load_checkpoint(checkpoint)
    storage = storage or loaded.info.storage
    path = checkpoint / "README.md"
    info: CheckpointInfo = loaded.info
    try:
        card = path.read_text(encoding="utf-8") if path.is_file() else None
        if measured:
            info = replace(info, attention_default=_best_attention(measured))
            card = card and with_results(card, measured)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"the results lack what the model card needs ({error!r}); measure again"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be given other scores ({error})") from error
    card = card and restored(card, storage)
    saved = save_checkpoint(folder, loaded.model, loaded.text, info, storage=storage, card=card)
    return Packaged(saved, loaded.model.parameter_count)


def _earlier(folder: Path, name: str | None, met: frozenset[str] = frozenset()) -> list[str]:
    """What the model card says about the runs in ``folder`` that this one began with."""
    if name is None or name in met:
        return []
    begin = folder / name
    if is_checkpoint(begin):
        card = begin / "README.md"
        return training_of(card.read_text(encoding="utf-8") if card.is_file() else "", name)
    if not (begin / "history.json").is_file():
        return [began_with(name)]
    path = begin / "experiment.json"
    before = Experiment.read(path).begin if path.is_file() else None
    own = began_with(name, effort(read_json(begin / "history.json")))
    return [*_earlier(folder, before, met | {name}), own]


def _best_attention(results: dict[str, Any]) -> AttentionChoice | None:
    """Layer and head with the lowest alignment error on the first gold file."""
    for alignment in results.get("alignments", ()):
        if "best" in alignment:
            return AttentionChoice(layer=alignment["best"]["layer"], head=alignment["best"]["head"])
    return None


def _model(run: Path) -> AnyModel:
    """The run's model with its averaged weights."""
    path = run / "model.safetensors"
    model = build_model(ModelConfig.from_dict(read_json(run / "model.json")))
    try:
        missing, unexpected = model.load_state_dict(load_file(path), strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigError(f"{path}: cannot be used ({error}); run train first") from error
    # A tied weight is stored under one of its names; anything else must be there.
    needed = {name for name, _ in model.named_parameters()}
    if unexpected or needed & set(missing):
        raise ConfigError(f"{path}: does not fit {run / 'model.json'}")
    return model
