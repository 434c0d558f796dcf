"""Listing models, scoring a test file, and the commands of a training."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from cli_support import Result, Run, refused
from support import make_checkpoint, sentence_pairs

from seq2seq import Translator
from seq2seq.catalogue import FOLDER_VARIABLE


class TestModels:
    def test_table(self, run: Run) -> None:
        result = run("models")
        assert result.status == 0
        lines = result.out.splitlines()
        assert [line.split()[0] for line in lines] == ["gru", "tiny", "two-way"]
        assert "fr-en, en-fr" in lines[2]
        assert "bidirectional GRU" in lines[0]

    def test_json(self, run: Run, models: Path) -> None:
        listing = json.loads(run("models", "--json").out)
        assert [model["name"] for model in listing] == ["gru", "tiny", "two-way"]
        assert listing[1]["directions"] == ["fr-en"]
        assert listing[1]["folder"] == str(models / "tiny")
        assert listing[1]["parameters"] == Translator.load("tiny").card.parameters

    def test_a_damaged_one_is_named_and_hides_nothing(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_checkpoint(tmp_path / "good")
        make_checkpoint(tmp_path / "bad")
        (tmp_path / "bad" / "config.json").write_text('{"format_version": 9}')
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
        result = run("models")
        assert result.status == 0
        assert result.out.startswith("good")
        assert "bad/config.json: format version 9 is newer" in result.err

    def test_none_at_all(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
        assert run("models") == (0, "", f"seq2seq: no models in {tmp_path}\n")
        assert json.loads(run("models", "--json").out) == []


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    path = tmp_path / "test.tsv"
    pairs = sentence_pairs()[::50]
    path.write_text("".join(f"{english}\t{french}\n" for english, french in pairs))
    return path


class TestEvaluate:
    def scores(self, result: Result) -> dict[str, Any]:
        assert result.status == 0, result.err
        values: dict[str, Any] = json.loads(result.out)
        return values

    def test_one_json_object(self, run: Run, pairs_file: Path) -> None:
        words = ("evaluate", "--model", "tiny", "--source", "fr", "--target", "en")
        more = ("--columns", "en,fr", str(pairs_file), "--beam", "2", "--bootstrap-samples", "20")
        values = self.scores(run(*words, *more))
        assert {"bleu", "chrf", "ter", "signatures", "confidence", "sentences"} <= set(values)
        assert values["sentences"] == 27
        assert "tok:13a" in values["signatures"]["bleu"]
        assert set(values["confidence"]["bleu"]) == {"mean", "margin"}
        assert values["seconds"] > 0
        assert values["model"]["name"] == "tiny"
        assert values["settings"]["search"]["beam"] == 2

    def test_a_model_that_gives_the_references_makes_no_errors(
        self, run: Run, tmp_path: Path, pairs_file: Path
    ) -> None:
        columns = [line.split("\t") for line in pairs_file.read_text().splitlines()]
        translator = Translator.load("tiny")
        lines = [f"x\t{translator.translate(french).text}\t{french}\n" for _, french in columns]
        path = tmp_path / "own.tsv"
        path.write_text("".join(lines))
        words = ("--model", "tiny", "--columns", "de,en,fr", "--bootstrap-samples", "0")
        values = self.scores(run("evaluate", *words, str(path)))
        assert values["chrf"] == 100
        assert values["ter"] == 0
        assert values["confidence"] == {}

    def test_gzip_limit_and_tokenisation(self, run: Run, pairs_file: Path) -> None:
        packed = pairs_file.with_suffix(".tsv.gz")
        packed.write_bytes(gzip.compress(pairs_file.read_bytes()))
        words = ("--columns", "en,fr", "--limit", "5", "--tokenize", "char")
        values = self.scores(
            run("evaluate", "--model", "tiny", str(packed), *words, "--bootstrap-samples", "0")
        )
        assert values["sentences"] == 5
        assert "tok:char" in values["signatures"]["bleu"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"one\ttwo\nonly one\n", "line 2 has 1 columns"),
            (b"caf\xe9\tx\n", "line 1 is not UTF-8"),
            (b"", "holds no sentence pairs"),
            (b"a\t" + b"x" * 6000 + b"\n", "line 1: the text has 6000 characters"),
        ],
    )
    def test_bad_files(self, run: Run, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "bad.tsv"
        path.write_bytes(content)
        found = refused(run("evaluate", "--model", "tiny", "--columns", "en,fr", str(path)))
        assert message in found
        assert str(path) in found

    def test_bad_arguments(self, run: Run, pairs_file: Path, tmp_path: Path) -> None:
        base = ("evaluate", "--model", "tiny")
        file = str(pairs_file)
        cases = [
            (("--columns", "en,fr", str(tmp_path / "none.tsv")), "none.tsv: cannot be read"),
            (("--columns", "en,fr", str(tmp_path)), "cannot be read"),
            (("--columns", "en,de", file), "does not name 'fr'"),
            (("--columns", "en,fr,en", file), "columns"),
            (("--columns", "en,fr", "--limit", "0", file), "--limit: 0"),
            (("--columns", "en,fr", "--tokenize", "x", file), "--tokenize: 'x' is not one of"),
            ((file,), "required: --columns"),
        ]
        (tmp_path / "broken.tsv.gz").write_bytes(b"\x1f\x8bno")
        cases.append((("--columns", "en,fr", str(tmp_path / "broken.tsv.gz")), "cannot be read"))
        for words, message in cases:
            assert message in refused(run(*base, *words))


class TestTrainingCommands:
    def test_errors_name_the_file(self, run: Run, tmp_path: Path) -> None:
        for command in ("prepare", "train"):
            missing = tmp_path / "none.json"
            assert "none.json: cannot be read" in refused(run(command, str(missing)))
            bad = tmp_path / "bad.json"
            bad.write_text('{"name": "x", "datta": {}}')
            assert "bad.json" in refused(run(command, str(bad)))
        assert "cannot be read" in refused(run("package", str(tmp_path / "no"), "x"))
        assert "invalid choice: 'fp8'" in refused(run("package", "a", "b", "--storage", "fp8"))

    def test_wrong_numbers(self, run: Run, tmp_path: Path) -> None:
        for option, value in (("--minutes", "0"), ("--minutes", "nan"), ("--threads", "0")):
            assert option in refused(run("train", "x.json", option, value))
