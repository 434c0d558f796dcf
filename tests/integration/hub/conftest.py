"""A stand-in Hub and an empty cache for every test, and a checkpoint to push."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_in_hub import StandInHub
from support import make_checkpoint


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub() as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def surroundings(hub: StandInHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(cache) + "-token")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    make_checkpoint(folder)
    (folder / "README.md").write_text("---\nlicense: cc-by-2.0\n---\n\n# tiny\n\nA test.\n")
    (folder / "notes.txt").write_text("private notes")
    (folder / ".secret").write_text("private")
    return folder
