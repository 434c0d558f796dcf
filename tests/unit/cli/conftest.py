"""The command line in this process, with tiny models."""

import io
import sys
from pathlib import Path

import pytest
from cli_support import Result, Run
from support import cpu_only, make_checkpoint  # noqa: F401

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.cli import main


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    make_checkpoint(root / "tiny")
    make_checkpoint(root / "two-way", directions=(("fr", "en"), ("en", "fr")))
    make_checkpoint(root / "gru", architecture="gru-additive", storage="int8")
    return root


@pytest.fixture
def run(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Run the command line in this process."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(models))

    def go(*words: str, stdin: bytes | str = b"") -> Result:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        status = main(words)
        out, err = capsysbinary.readouterr()
        return Result(status, out.decode(), err.decode())

    return go
