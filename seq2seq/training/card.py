"""The model card: what a checkpoint is, what it was made from, how well it does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from seq2seq.checkpoint import describe
from seq2seq.config import DataConfig, Experiment
from seq2seq.nn import AnyModel

__all__ = ["began_with", "effort", "model_card", "restored", "training_of", "with_results"]

_BEGAN = "- began with the weights of "
_NAMES = {"de": "German", "en": "English", "fr": "French", "zh": "Chinese"}


def model_card(
    experiment: Experiment,
    *,
    model: AnyModel,
    dataset: dict[str, Any],
    history: dict[str, Any],
    average: dict[str, Any],
    storage: str,
    results: dict[str, Any],
    earlier: Sequence[str] = (),
) -> str:
    """Markdown with the metadata header that the Hugging Face Hub reads.

    Args:
        experiment: that the model came from.
        model: for its size.
        dataset: what ``prepare`` wrote into ``dataset.json``.
        history: what ``train`` wrote into ``history.json``.
        average: what ``train`` wrote into ``average.json``.
        storage: number format of the weights.
        results: what ``measure`` wrote; empty if nothing was measured yet.
        earlier: one :func:`began_with` for each training that this one goes on from.
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
        *earlier,
        *_training(experiment, history, average),
        "",
        *_measured(results),
        "## Known weaknesses",
        "",
        "Text of another kind than the training text, and long sentences, are translated poorly. "
        "Names and rare words can be replaced by frequent ones, and now and then a word is "
        "dropped. Attention weights show what the decoder read, not why it chose a word.",
        "",
    ]
    return "\n".join(lines)


def with_results(card: str, results: dict[str, Any]) -> str:
    """A card that :func:`model_card` wrote with other scores.

    Raises:
        ValueError: it has no section of scores, with another one after it.
    """
    before, heading, rest = card.partition("\n## Scores\n")
    after = rest.partition("\n## ")
    if not (heading and after[1]):
        raise ValueError("the card has no section of scores with another one after it")
    return "\n".join([before, *_measured(results)]) + "\n" + "".join(after[1:]).lstrip("\n")


def restored(card: str, storage: str) -> str:
    """A card that :func:`model_card` wrote, of weights in another number format."""
    return re.sub(r"(parameters, stored as )\w+", rf"\g<1>{storage}", card, count=1)


def _measured(results: dict[str, Any]) -> list[str]:
    """The section of scores."""
    return [
        "## Scores",
        "",
        *_scores(results.get("tests", [])),
        "",
        *_alignments(results.get("alignments", [])),
        "",
    ]


def _directions(data: DataConfig) -> str:
    text = _listed(data.directions)
    if data.zero_shot:
        text += f"; without having met a pair: {_listed(data.zero_shot)}"
    return text


def _listed(directions: Sequence[tuple[str, str]]) -> str:
    names = [[_NAMES.get(code, code) for code in pair] for pair in directions]
    return ", ".join(f"{source} to {target}" for source, target in names)


def _data(data: DataConfig, dataset: dict[str, Any]) -> list[str]:
    """What the model was trained on."""
    made = f"{dataset['train']:,} sentence pairs after cleaning"
    if data.temperature > 1:
        made += f", small directions repeated (temperature {data.temperature:g})"
    if data.shares:
        shares = (f"{_listed([one.direction])} {one.factor:g} times" for one in data.shares)
        made += f", then more or fewer of them ({', '.join(shares)})"
    lines = [made + ", from:", ""]
    for file in data.train:
        note = f" (only towards {_NAMES.get(file.toward, file.toward)})" if file.toward else ""
        lines.append(f"- `{file.path}`{note}")
    for text in data.repair:
        most = f"{text.most:,} sentences at most" if text.most else "all sentences"
        language = _NAMES.get(text.language, text.language)
        lines.append(
            f"- `{text.path}`: {most}, {data.masked:.0%} of their pieces masked, to be repaired in "
            f"{language}"
        )
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
    if data.bpe_dropout:
        words += (
            f"Words were cut with BPE dropout {data.bpe_dropout:g}, {data.variants} times over. "
        )
    words += "Checkpoints were chosen on " + ", ".join(f"`{file.path}`" for file in data.dev)
    if unseen := [pair for pair in data.directions if pair not in data.validated]:
        words += f" ({_listed(unseen)} had no part in that)"
    return [*lines, words + "; no test sentence was used."]


def _training(
    experiment: Experiment,
    history: dict[str, Any],
    average: dict[str, Any],
) -> list[str]:
    config = experiment.training
    epochs = history["epoch"] + (1 if history["batch"] else 0)
    return [
        f"- {effort(history)}, in epoch {epochs}",
        f"- AdamW, peak learning rate {config.learning_rate:g}, {config.schedule} schedule, "
        f"{config.warmup_steps:,} updates of warm-up, batches of {config.batch_tokens:,} positions",
        f"- label smoothing {config.label_smoothing:g}, weight decay {config.weight_decay:g}, "
        f"dropout {experiment.model.get('dropout', 0.1):g}",
        f"- mean of the {len(average['checkpoints'])} checkpoints with the best dev BLEU (updates "
        + ", ".join(f"{step:,}" for step in average["checkpoints"])
        + ")",
        f"- settings: `assets/configs/{experiment.name}.json`",
    ]


def began_with(name: str, done: str = "") -> str:
    """A line of a model card about the run whose weights a training began with.

    Args:
        name: of that run.
        done: its :func:`effort`, if it is known.
    """
    line = f"{_BEGAN}`{name}` (`assets/configs/{name}.json`)"
    return f"{line}: {done}" if done else line


def training_of(card: str, name: str) -> list[str]:
    """One :func:`began_with` for each training that a model card tells of, in their order.

    Args:
        card: written by :func:`model_card`.
        name: of the last one.
    """
    lines = card.partition("\n## Training\n")[2].splitlines()
    before = [line for line in lines if line.startswith(_BEGAN)]
    own = next((line for line in lines if ", in epoch " in line), "")
    return [*before, began_with(name, own.removeprefix("- ").rpartition(", in epoch ")[0])]


def effort(history: dict[str, Any]) -> str:
    """What a training cost, as ``history.json`` has it."""
    return (
        f"{history['step']:,} updates, {history['tokens']:,} target pieces, "
        f"{history['seconds'] / 60:.0f} minutes on {history['machine']} in {history['precision']}"
    )


def _scores(tests: Sequence[dict[str, Any]]) -> list[str]:
    if not tests:
        return ["Not measured yet."]
    lines = [
        "| direction | file | sentences | beam | length penalty | BLEU | chrF | TER "
        "| empty | copied | looping | wrong language |",
        "|" + "---|" * 12,
    ]
    signatures: list[str] = []
    for test in tests:
        settings, failures = test["settings"], test["failures"]
        search = settings["search"]
        cells = [
            f"{settings['source']}-{settings['target']}", settings["file"],
            f"{test['sentences']:,}", search["beam"], f"{search['length_penalty']:g}",
            test["bleu"], test["chrf"], test["ter"], failures["empty"], failures["copied"],
            failures["looping"], failures["wrong_language"],
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
        signatures += [f"- `{name}: {text}`" for name, text in test["signatures"].items()]
    return [*lines, "", "sacrebleu signatures:", "", *dict.fromkeys(signatures)]


def _alignments(alignments: Sequence[dict[str, Any]]) -> list[str]:
    """Best attention per gold file and direction; nothing for a model without attention."""
    lines = []
    for one in alignments:
        where = f"{one['source']}-{one['target']}, {one['sentences']} sentences of `{one['file']}`"
        if "best" in one:
            relative = one["best_relative"]
            lines += [
                f"- {where}: {_aligned(one['best'], 'error_rate')}",
                f"- {where}: {_aligned(relative, 'relative_error_rate')}, relative to what each "
                "source word gets in all",
            ]
        else:
            lines.append(f"- {where}: {one['symmetrised']:.1%} (both directions joined)")
    return ["Alignment error rate of the best attention:", "", *lines] if lines else []


def _aligned(best: dict[str, Any], key: str) -> str:
    parts = [
        f"mean of all {kind}s" if best[kind] is None else f"{kind} {best[kind] + 1}"
        for kind in ("layer", "head")
    ]
    place = " and ".join(dict.fromkeys(parts))
    reading = "is produced" if best["reading"] == "producing" else "is input"
    return f"{best[key]:.1%} ({place}, while the word {reading})"
