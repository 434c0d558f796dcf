"""A trained run to a checkpoint folder that can be loaded, shipped and published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError
from safetensors.torch import load_file

from seq2seq.checkpoint import CheckpointInfo, save_checkpoint
from seq2seq.config import ConfigError, Experiment, ModelConfig, SearchConfig, read_json
from seq2seq.nn import build_model
from seq2seq.text.moses_bpe import MosesBpe
from seq2seq.training.card import model_card

__all__ = ["package"]


def package(
    run: Path,
    folder: Path,
    *,
    storage: Literal["fp32", "fp16", "int8"] = "fp16",
    search: SearchConfig | None = None,
) -> None:
    """Write ``folder`` from the averaged weights of a training run.

    Args:
        run: folder that ``prepare`` and ``train`` filled.
        folder: checkpoint folder to write.
        storage: number format of the weights on disk.
        search: default settings of the checkpoint, tuned on dev pairs.

    Raises:
        ConfigError: a file of the run is missing or damaged.
    """
    experiment = Experiment.read(run / "experiment.json")
    config = ModelConfig.from_dict(read_json(run / "model.json"))
    languages = (experiment.data.source, experiment.data.target)
    text = MosesBpe.load(run / "dataset", languages=languages)
    model = build_model(config)
    try:
        weights = load_file(run / "model.safetensors")
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigError(f"{run}: no usable model.safetensors; run train first") from error
    # Tied weights are stored once; anything else must be there.
    known = {name for name, _ in model.named_parameters()}
    if unexpected or known & set(missing):
        raise ConfigError(f"{run}/model.safetensors does not fit model.json")
    info = CheckpointInfo(
        name=experiment.name,
        languages=languages,
        directions=((experiment.data.source, experiment.data.target),),
        search=search or SearchConfig(),
    )
    save_checkpoint(folder, model, text, info, storage=storage)
    dataset = json.loads((run / "dataset" / "dataset.json").read_text(encoding="utf-8"))
    history = json.loads((run / "history.json").read_text(encoding="utf-8"))
    average = json.loads((run / "average.json").read_text(encoding="utf-8"))
    card = model_card(
        experiment, model=model, dataset=dataset, history=history, average=average, storage=storage
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
