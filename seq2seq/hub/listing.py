"""Which files make up a model, of all that lie in a repository or a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "CARD",
    "CONFIG",
    "INDEX",
    "Kind",
    "kind_of",
    "missing_from",
    "needed",
    "read_config",
    "shards_in",
    "written_by_us",
]

Kind = Literal["marian", "seq2seq"]

CONFIG = "config.json"
CARD = "README.md"
_SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_PICKLED = "pytorch_model.bin"  # read with weights_only=True
_SHARD = re.compile(r"model-[0-9]{5}-of-[0-9]{5}\.safetensors")

_REQUIRED: dict[Kind, tuple[str, ...]] = {
    "marian": (CONFIG, "tokenizer_config.json", "vocab.json", "source.spm", "target.spm"),
    "seq2seq": (CONFIG, "tokenizer.json"),
}
_OPTIONAL: dict[Kind, tuple[str, ...]] = {
    "marian": ("generation_config.json", "special_tokens_map.json", "target_vocab.json", CARD),
    "seq2seq": (CARD,),
}


def kind_of(config: Mapping[str, Any]) -> Kind | None:
    """The kind of model that a ``config.json`` describes; None for one that cannot be read."""
    if config.get("model_type") == "marian":
        return "marian"
    return "seq2seq" if "format_version" in config else None


def needed(names: Collection[str], kind: Kind) -> tuple[str, ...]:
    """Of all file names the needed ones, weights last: once they are there, all is there.

    Only names that are known are ever chosen, so that no other name can do harm.
    """
    texts = [*_OPTIONAL[kind], *_REQUIRED[kind]]
    return (*(name for name in texts if name in names), *_weights(names, kind))


def missing_from(names: Collection[str], kind: Kind) -> str | None:
    """The first file that a model of this kind cannot do without and that is not there."""
    for name in _REQUIRED[kind]:
        if name not in names:
            return name
    return None if _weights(names, kind) else _SINGLE


def written_by_us(names: Collection[str], kind: Kind) -> set[str]:
    """Every file that a model of this kind may consist of, whichever weights are preferred."""
    known = {*_REQUIRED[kind], *_OPTIONAL[kind], _SINGLE, INDEX, _PICKLED}
    return {name for name in names if name in known or _SHARD.fullmatch(name)}


def shards_in(folder: Path) -> set[str] | None:
    """The shards that the index in ``folder`` names; None if it is not usable."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        shards = set(index["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    fits = all(isinstance(name, str) and _SHARD.fullmatch(name) for name in shards)
    return shards if shards and fits else None


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a folder; empty if there is none that can be read."""
    try:
        value = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _weights(names: Collection[str], kind: Kind) -> tuple[str, ...]:
    """The weights' files, in the best form of those that are there."""
    sharded = sorted(name for name in names if _SHARD.fullmatch(name))
    if kind == "seq2seq" and INDEX in names and sharded:
        return (INDEX, *sharded)  # as its own reader prefers
    if _SINGLE in names:
        return (_SINGLE,)
    if INDEX in names and sharded:
        return (INDEX, *sharded)
    return (_PICKLED,) if kind == "marian" and _PICKLED in names else ()
