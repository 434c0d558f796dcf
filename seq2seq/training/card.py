"""The model card: what a checkpoint is, what it was made from, how well it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seq2seq.checkpoint import describe
from seq2seq.config import Experiment
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
    source, target = (_NAMES.get(code, code) for code in (data.source, data.target))
    lines = [
        "---",
        "library_name: seq2seq-explorer",
        "pipeline_tag: translation",
        f"language: [{data.source}, {data.target}]",
        "license: cc-by-2.0",
        "datasets: [tatoeba]",
        "---",
        "",
        f"# {experiment.name}",
        "",
        f"{source} to {target}. {describe(model.config)}; {model.parameter_count:,} parameters, "
        f"stored as {storage}.",
        "",
        "## Data",
        "",
        f"{dataset['train']:,} sentence pairs after cleaning, everyday sentences of "
        "[Tatoeba](https://tatoeba.org) (CC BY 2.0 FR), from:",
        "",
        *(f"- `{file.path}`" for file in data.train),
        "",
        f"Joint BPE vocabulary of {dataset['vocabulary']:,} pieces, 256 of them bytes. "
        f"{data.copy_rate:.0%} of the pairs were repeated with a rare character on both sides, "
        "so that the model carries over what it cannot translate. Checkpoints were chosen on "
        + ", ".join(f"`{file.path}`" for file in data.dev)
        + "; no test sentence was used.",
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
