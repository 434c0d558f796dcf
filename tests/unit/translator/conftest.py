"""A translator of every architecture, on the CPU."""

from pathlib import Path

import pytest
from support import ARCHITECTURES, cpu_only, make_checkpoint  # noqa: F401

from seq2seq import Translator


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    for architecture in ARCHITECTURES:
        make_checkpoint(root / architecture, architecture=architecture)
    make_checkpoint(root / "both-ways", directions=(("fr", "en"), ("en", "fr")), target_tags=True)
    return root


@pytest.fixture(scope="module")
def translator(folder: Path) -> Translator:
    return Translator.load(str(folder / "transformer"))


@pytest.fixture(params=ARCHITECTURES, scope="module")
def each(request: pytest.FixtureRequest, folder: Path) -> Translator:
    return Translator.load(str(folder / request.param))
