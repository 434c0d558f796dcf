"""Test sentences in training files."""

import dataclasses
import json
from pathlib import Path

import pytest

from seq2seq.cli import main
from seq2seq.config import DataConfig, DataFile, TextFile
from seq2seq.training.overlap import SharedSentences, shared_sentences

TRAIN = [("Hello.", "Bonjour."), ("Cat.", "Chat."), ("Dog.", "Chien.")]


def write(path: Path, pairs: list[tuple[str, str]]) -> None:
    path.write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "train.tsv", TRAIN)
    write(tmp_path / "fr.tsv", [("Good bye.", "Bonjour."), ("Bird.", "Oiseau.")])
    write(tmp_path / "de.tsv", [("Cat.", "Katze."), ("Dog.", "Hund."), ("Dog.", "Köter.")])
    data = {
        "directions": [["fr", "en"]],
        "train": [{"path": "train.tsv"}],
        "dev": [{"path": "fr.tsv"}],
    }
    model = {"architecture": "transformer"}
    (tmp_path / "my.json").write_text(json.dumps({"name": "my", "data": data, "model": model}))
    tests = [{"path": "fr.tsv"}, {"path": "de.tsv", "columns": ["en", "de"]}]
    (tmp_path / "measure.json").write_text(json.dumps({"tests": tests}))
    return tmp_path


def test_shared_sentences_are_counted_once_by_language(folder: Path) -> None:
    train = DataFile(path="train.tsv")
    data = DataConfig(directions=(("fr", "en"),), train=(train,), dev=(train,))
    tests = [DataFile(path="fr.tsv"), DataFile(path="de.tsv", columns=("en", "de"))]
    text = TextFile(path="de.tsv", language="en", columns=("en", "de"))
    alone = dataclasses.replace(data, repair=(text,))
    assert list(shared_sentences(alone, tests[:1], [folder]))[2:] == [
        SharedSentences("de.tsv", "fr.tsv", "en", 0)
    ]
    assert list(shared_sentences(alone, tests[1:], [folder]))[1:] == [
        SharedSentences("de.tsv", "de.tsv", "en", 2)
    ]
    assert list(shared_sentences(data, tests, [folder])) == [
        SharedSentences("train.tsv", "fr.tsv", "en", 0),
        SharedSentences("train.tsv", "de.tsv", "en", 2),
        SharedSentences("train.tsv", "fr.tsv", "fr", 1),
    ]


def test_the_command_fails_if_there_are_any(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["overlap", str(folder / "my.json"), "--data", str(folder)]
    words += ["--tests", str(folder / "measure.json")]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert "train.tsv\tde.tsv\ten\t2\n" in out
    assert "3 test sentences stand in its training files" in err
    write(folder / "train.tsv", [("Fish.", "Poisson.")])
    assert main(words) == 0
