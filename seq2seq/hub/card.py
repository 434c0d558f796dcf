"""The model card's metadata, which the Hub reads: languages, licence, measured scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from huggingface_hub import EvalResult, ModelCard

from seq2seq.hub.errors import HubInputError

__all__ = ["body", "license_of", "with_metadata"]

_METRICS = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}
_NO_LICENSE = ("", "unknown", "none")


def with_metadata(
    card: str,
    *,
    name: str,
    library: str = "seq2seq-explorer",
    license: str | None = None,
    languages: Sequence[str] = (),
    datasets: Sequence[str] = (),
    tags: Sequence[str] = (),
    results: Mapping[str, Any] | None = None,
) -> str:
    """The text of a card with its metadata filled in; what it says already about others stays.

    Args:
        card: Markdown, with or without metadata.
        name: of the model, over its scores.
        library: that loads the model, unless the card names one.
        license, languages: replace those of the card if given.
        datasets, tags: added to those of the card.
        results: what ``measure`` wrote; its scores replace those in the metadata.

    Raises:
        HubInputError: the metadata of the card cannot be read.
    """
    parsed = _parse(card)
    data = parsed.data
    data["library_name"] = data.get("library_name") or library
    data["pipeline_tag"] = "translation"
    data["license"] = license or data.get("license")
    data["language"] = list(languages) or data.get("language")
    data["datasets"] = _joined(data.get("datasets"), datasets)
    data["tags"] = _joined(data.get("tags"), ["translation", *tags])
    scores = _scores(results or {})
    if scores:
        data["model_name"] = name
        data["eval_results"] = scores
    text = body(card)
    return f"---\n{data.to_yaml(line_break=chr(10))}\n---\n\n{text}"


def license_of(card: str) -> str | None:
    """The licence that a card's metadata names.

    Raises:
        HubInputError: the metadata of the card cannot be read.
    """
    found = _parse(card).data.get("license")
    return found if isinstance(found, str) and found.lower() not in _NO_LICENSE else None


def body(card: str) -> str:
    """The text of a card without its metadata.

    Raises:
        HubInputError: the metadata of the card cannot be read.
    """
    return str(_parse(card).text).replace("\r\n", "\n").strip() + "\n"


def _parse(card: str) -> ModelCard:
    if not card.lstrip("\ufeff \r\n\t").startswith("---"):
        card = f"---\n{{}}\n---\n{card}"  # otherwise the library logs a warning
    try:
        return ModelCard(card.lstrip("\ufeff \r\n\t"), ignore_metadata_errors=True)
    except Exception as error:  # of the YAML reader, or of the library
        raise HubInputError(
            "README.md: the metadata between the lines --- cannot be read; correct it as YAML"
        ) from error


def _joined(before: object, more: Sequence[str]) -> list[str] | None:
    """Words without repetition; None for none at all."""
    known = [before] if isinstance(before, str) else before if isinstance(before, list) else []
    return list(dict.fromkeys([*map(str, known), *more])) or None


def _scores(results: Mapping[str, Any]) -> list[EvalResult]:
    """One result for each test file and metric, with the metric's signature."""
    found = []
    for test in results.get("tests", []):
        settings = test["settings"]
        pair = f"{settings['source']}-{settings['target']}"
        path = PurePosixPath(settings["file"])
        for key, name in _METRICS.items():
            if key in test:
                found.append(
                    EvalResult(
                        task_type="translation",
                        task_name=f"Translation {pair}",
                        dataset_type=path.parts[0],
                        dataset_name=str(path),
                        dataset_config=pair,
                        dataset_split=path.name.split(".tsv")[0],
                        metric_type=key,
                        metric_name=name,
                        metric_value=test[key],
                        metric_args={"signature": test.get("signatures", {}).get(key, "")},
                    )
                )
    return found
