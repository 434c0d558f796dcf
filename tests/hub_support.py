"""What the tests of the Hub put on a stand-in, and how they pull and fail."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from seq2seq import hub as api
from seq2seq.hub import HubError

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz012345"
WEIGHTS = os.urandom(700_000)
CARD = b"---\nlicense: apache-2.0\nlanguage: [fr, en]\n---\n# A model\n"
MARIAN = {
    ".gitattributes": b"*.bin filter=lfs\n",
    "README.md": CARD,
    "config.json": b'{"model_type": "marian", "d_model": 4}',
    "generation_config.json": b"{}",
    "tokenizer_config.json": b"{}",
    "vocab.json": b'{"</s>": 0}',
    "source.spm": b"spm source",
    "target.spm": b"spm target",
    "pytorch_model.bin": b"no safetensors",
    "model.safetensors": WEIGHTS,
    "tf_model.h5": b"not needed",
    "rust_model.ot": b"not needed",
}
NEEDED = sorted(
    set(MARIAN) - {".gitattributes", "pytorch_model.bin", "tf_model.h5", "rust_model.ot"}
)
NAME = "org/opus"


def pull(name: str = NAME, **options: Any) -> Path:
    return api.pull(name, **{"timeout": 1.0, "stall": 0.4, **options})


def failure(
    kind: type[HubError] = HubError, name: str = NAME, *, within: float = 5.0, **options: Any
) -> str:
    """The message of a pull that fails soon, in one line."""
    start = time.monotonic()
    with pytest.raises(HubError) as caught:
        pull(name, **options)
    assert time.monotonic() - start < within
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def leftovers(cache: Path) -> list[str]:
    """Files in the cache that are neither whole contents nor bookkeeping."""
    return sorted(path.name for path in cache.rglob("*.incomplete"))
