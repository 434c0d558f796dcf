"""Handlers of a page with tiny models."""

from pathlib import Path

import pytest
from handlers_support import make_handlers
from support import make_checkpoint

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.config import SearchConfig
from seq2seq.ui.handlers import Handlers
from seq2seq.ui.service import Service


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    make_checkpoint(root / "fr-en-transformer")
    make_checkpoint(root / "fr-en-lstm", architecture="lstm")
    make_checkpoint(
        root / "many",
        languages=("fr", "en", "de"),
        directions=(("en", "fr"), ("de", "en")),
        target_tags=True,
        search=SearchConfig(beam=7, length_penalty=0.5),
    )
    return root


@pytest.fixture
def handlers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Handlers:
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return make_handlers(Service())
