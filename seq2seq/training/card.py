"""The model card: what a checkpoint is, what it was made from, how well it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seq2seq.checkpoint import describe
from seq2seq.config import DataConfig, Experiment
from seq2seq.nn import AnyModel

__all__ = ["model_card"]

_NAMES = {"de": "German", "en": "English", "fr": "French", "zh": "Chinese"}


def model_card(
    experiment: Experiment,
    *,
    model: AnyModel,
    dataset: dict[str, Any],
    history: dict[str, Any],
    average: dict[str, Any],
    storage: str,
    scores: Sequence[dict[str, Any]],
) -> str:
    """Markdown with the metadata header that the Hugging Face Hub reads.

    Args:
        experiment: that the model came from.
        model: for its size.
        dataset: what ``prepare`` wrote into ``dataset.json``.
        history: what ``train`` wrote into ``history.json``.
        average: what ``train`` wrote into ``average.json``.
        storage: number format of the weights.
        scores: what ``evaluate`` printed, one object per test file.
    """
    data = experiment.data
    lines = [
        "---",
        "library_name: seq2seq-explorer",
        "pipeline_tag: translation",
        f"language: [{', '.join(data.languages)}]",
        f"license: {data.license}",
        "---",
        "",
        f"# {experiment.name}",
        "",
        f"{_directions(data)}. {describe(model.config)}; {model.parameter_count:,} parameters, "
        f"stored as {storage}.",
        "",
        "## Data",
        "",
        *_data(data, dataset),
        "",
        "## Training",
        "",
        *_training(experiment, history, average),
        "",
        "## Scores",
        "",
        *_scores(scores),
        "",
        "## Known weaknesses",
        "",
        "Trained on short everyday sentences: news, technical text and sentences of more than "
        "about thirty words are translated poorly. Names and rare words can be replaced by "
        "frequent ones. Attention weights show what the decoder read, not why it chose a word.",
        "",
    ]
    return "\n".join(lines)


def _directions(data: DataConfig) -> str:
    names = [[_NAMES.get(code, code) for code in pair] for pair in data.directions]
    return ", ".join(f"{source} to {target}" for source, target in names)


def _data(data: DataConfig, dataset: dict[str, Any]) -> list[str]:
    """What the model was trained on."""
    made = f"{dataset['train']:,} sentence pairs after cleaning"
    if data.temperature > 1:
        made += f", small directions repeated (temperature {data.temperature:g})"
    lines = [made + ", from:", ""]
    for file in data.train:
        note = f" (only towards {_NAMES.get(file.toward, file.toward)})" if file.toward else ""
        lines.append(f"- `{file.path}`{note}")
    lines += ["", *data.origins, ""] if data.origins else [""]
    words = f"Joint BPE vocabulary of {dataset['vocabulary']:,} pieces, 256 of them bytes. "
    if data.copy_rate:
        words += (
            f"{data.copy_rate:.0%} of the pairs were repeated with a rare character on both "
            "sides, so that the model carries over what it cannot translate. "
        )
    if data.join_rate:
        words += (
            f"{data.join_rate:.0%} as many were added as several pairs in a row, so that it "
            "knows longer input. "
        )
    words += "Checkpoints were chosen on " + ", ".join(f"`{file.path}`" for file in data.dev)
    return [*lines, words + "; no test sentence was used."]


def _training(
    experiment: Experiment, history: dict[str, Any], average: dict[str, Any]
) -> list[str]:
    config = experiment.training
    epochs = history["epoch"] + (1 if history["batch"] else 0)
    return [
        f"- {history['step']:,} updates, {history['tokens']:,} target pieces, "
        f"{history['seconds'] / 60:.0f} minutes on {history['machine']} in {history['precision']}, "
        f"in epoch {epochs}",
        f"- AdamW, peak learning rate {config.learning_rate:g}, {config.schedule} schedule, "
        f"{config.warmup_steps:,} updates of warm-up, batches of {config.batch_tokens:,} positions",
        f"- label smoothing {config.label_smoothing:g}, weight decay {config.weight_decay:g}, "
        f"dropout {experiment.model.get('dropout', 0.1):g}",
        f"- mean of the {len(average['checkpoints'])} checkpoints with the best dev BLEU (updates "
        + ", ".join(f"{step:,}" for step in average["checkpoints"])
        + ")",
        f"- settings: `assets/configs/{experiment.name}.json`",
    ]


def _scores(scores: Sequence[dict[str, Any]]) -> list[str]:
    if not scores:
        return ["Not measured yet."]
    lines = [
        "| file | sentences | beam | length penalty | BLEU | chrF | TER |",
        "|---|---|---|---|---|---|---|",
    ]
    signatures: list[str] = []
    for score in scores:
        settings = score["settings"]
        search = settings["search"]
        lines.append(
            f"| {settings['file']} | {score['sentences']:,} | {search['beam']} "
            f"| {search['length_penalty']:g} | {score['bleu']} | {score['chrf']} "
            f"| {score['ter']} |"
        )
        signatures += [f"- `{name}: {text}`" for name, text in score["signatures"].items()]
    return [*lines, "", "sacrebleu signatures:", "", *dict.fromkeys(signatures)]
