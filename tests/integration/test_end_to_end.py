"""From a file of sentence pairs to a translation, by the commands that the README names."""

import gzip
import io
import json
import random
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from support import cpu_only, sentence_pairs  # noqa: F401

from seq2seq import Translation, Translator
from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.cli import main
from seq2seq.pool import TranslatorPool


class Trained(NamedTuple):
    checkpoints: Path
    test: Path
    scores: dict[str, float]
    run: Path


def settings(file: str) -> dict[str, object]:
    return {"path": file, "columns": ["en", "fr"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Prepare, train, package and evaluate a small model of the small grammar."""
    root = tmp_path_factory.mktemp("end-to-end")
    pairs = sentence_pairs()
    random.Random(1).shuffle(pairs)
    for name, part in (("test", pairs[:60]), ("dev", pairs[60:100]), ("train", pairs[100:])):
        text = "".join(f"{english}\t{french}\n" for english, french in part)
        (root / f"{name}.tsv").write_text(text, encoding="utf-8")
    config = {
        "name": "grammar",
        "data": {
            "directions": [["fr", "en"]],
            "train": [settings("train.tsv")],
            "dev": [settings("dev.tsv")],
            "vocabulary": 400,
        },
        "model": {
            "architecture": "recurrent",
            "embedding_size": 32,
            "encoder_size": 32,
            "decoder_size": 64,
            "attention_size": 32,
        },
        "training": {
            "batch_tokens": 512,
            "learning_rate": 0.01,
            "warmup_steps": 20,
            "max_steps": 160,
            "validate_every": 80,
            "validation_sentences": 40,
            "precision": "fp32",
        },
    }
    experiment = root / "grammar.json"
    experiment.write_text(json.dumps(config))
    run, checkpoint = str(root / "run"), str(root / "checkpoints" / "grammar")
    assert main(["prepare", str(experiment), "--data", str(root), "--out", run]) == 0
    assert main(["train", str(experiment), "--out", run, "--device", "cpu"]) == 0
    assert main(["package", run, checkpoint, "--storage", "int8"]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(root / "checkpoints"))
        out = io.TextIOWrapper(io.BytesIO())
        patch.setattr(sys, "stdout", out)
        words = ["--model", "grammar", "--source", "fr", "--target", "en", "--beam", "4"]
        words += ["--columns", "en,fr", str(root / "test.tsv"), "--bootstrap-samples", "0"]
        assert main(["evaluate", *words]) == 0
        scores = json.loads(out.buffer.getvalue())  # type: ignore[attr-defined]
    return Trained(root / "checkpoints", root / "test.tsv", scores, Path(run))


@pytest.fixture
def translator(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Translator:
    monkeypatch.setenv(FOLDER_VARIABLE, str(trained.checkpoints))
    return Translator.load("grammar")


def test_unseen_sentences_are_translated_well(trained: Trained) -> None:
    assert trained.scores["sentences"] == 60
    assert trained.scores["bleu"] > 80


@pytest.mark.parametrize("name", ["history.json", "average.json", "dataset/dataset.json"])
def test_a_run_with_a_damaged_record_is_not_packaged(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    for damage in ("{}", '{"step": []}', "[1]", "{"):
        (tmp_path / "run" / name).write_text(damage)
        assert main(["package", str(tmp_path / "run"), str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "run" in error
        assert not (tmp_path / "out").exists()


def test_what_was_not_trained_is_not_packaged(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    for missing, message in (
        ("", "run: cannot be read: there is no such folder"),
        ("dataset", "run: is neither a run nor a checkpoint; give"),
        ("experiment.json", "run: was prepared, but not trained; train it first"),
        ("model.safetensors", "run: its training has not come to an end; go on with it first"),
    ):
        if missing:
            shutil.copytree(trained.run, run, ignore=shutil.ignore_patterns(missing))
        assert main(["package", str(run), str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert message in error
        assert not (tmp_path / "out").exists()
        shutil.rmtree(run, ignore_errors=True)


@pytest.mark.parametrize(
    "content",
    [
        {"name": "grammar", "data": {}},
        {"tests": [{"path": "test.tsv"}]},
        {"tests": {}},
        {"tests": [1]},
        {"model": {}, "tests": [{"bleu": 1.0}]},
    ],
)
def test_what_are_no_results_is_refused(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: object
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(content))
    for run in (trained.run, trained.checkpoints / "grammar"):
        words = ["package", str(run), str(tmp_path / "out"), "--results", str(path)]
        assert main(words) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "settings.json: holds no results; give a file that measure wrote" in error
    assert not (tmp_path / "out").exists()


def test_preparing_and_packaging_say_what_they_wrote(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(trained.test.parent), "--out", str(tmp_path / "run")]
    assert main(["prepare", str(trained.run.parent / "grammar.json"), *words]) == 0
    report = json.loads((tmp_path / "run" / "dataset" / "dataset.json").read_text())
    numbers = f"{report['train']:,} pairs to train on, 40 to validate on, {report['vocabulary']}"
    assert capsys.readouterr().err.endswith(f"dataset: {numbers} pieces\n")
    out = tmp_path / "out"
    assert main(["package", str(trained.run), str(out)]) == 0
    parameters = Translator.load(str(out)).card.parameters
    said = f"{out}: bidirectional GRU, 1+1 layers, 64 wide, additive attention"
    assert capsys.readouterr() == ("", f"{said}, {parameters:,} parameters in fp16\n")
    assert main(["package", str(out), str(tmp_path / "again"), "--storage", "int8"]) == 0
    assert capsys.readouterr().err.endswith(f", {parameters:,} parameters in int8\n")


def test_measured_results_reach_the_card_and_the_attention_shown_first(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(trained.checkpoints))
    (tmp_path / "gold.text").write_text("My sister sleeps . ||| Ma sœur dort .\n", "utf-8")
    (tmp_path / "gold.links").write_text("1-1 2-2 3-3 4-4\n", "utf-8")
    shutil.copy(trained.test, tmp_path / "test.tsv")
    gold = {"sentences": "gold.text", "links": "gold.links", "languages": ["en", "fr"]}
    config = {"tests": [settings("test.tsv")], "joined": ["test.tsv"], "alignments": [gold]}
    (tmp_path / "measure.json").write_text(json.dumps(config))
    words = [str(tmp_path / "measure.json"), "--data", str(tmp_path), "--out", str(tmp_path)]
    assert main(["measure", *words, "--bootstrap-samples", "0", "--beam", "4"]) == 0
    results = json.loads((tmp_path / "grammar.json").read_text())
    (test,) = results["tests"]
    assert test["bleu"] == trained.scores["bleu"]
    assert test["failures"] == {"empty": 0, "copied": 0, "looping": 0, "wrong_language": 0}
    assert sum(one["sentences"] for one in results["lengths"][0]["bins"]) == 60
    (alignment,) = results["alignments"]
    assert (alignment["source"], alignment["target"]) == ("fr", "en")
    assert len(alignment["heads"]) == 2 * 4  # layer, head and their means, in two readings
    alignment["best"].update(layer=0, head=0)
    (tmp_path / "grammar.json").write_text(json.dumps(results))
    made = tmp_path / "made"
    results_file = str(tmp_path / "grammar.json")
    assert main(["package", str(trained.run), str(made), "--results", results_file]) == 0
    card = (made / "README.md").read_text(encoding="utf-8")
    assert f"| fr-en | test.tsv | 60 | 4 | 1 | {test['bleu']} |" in card
    assert f"{alignment['best']['error_rate']:.1%} (layer 1 and head 1" in card
    relative = alignment["best_relative"]["relative_error_rate"]
    assert relative == min(one["relative_error_rate"] for one in alignment["heads"])
    assert f"{relative:.1%} (" in card
    attention = Translator.load(str(made)).translate("Ma sœur dort.").attention
    assert attention is not None
    assert (attention.layer, attention.head) == (0, 0)
    # The alignments alone, and the same checkpoint again with what they say.
    before = [{**test, "bleu": 12.34}]
    results["tests"] = before
    results["alignments"] = []
    (tmp_path / "grammar.json").write_text(json.dumps(results))
    assert main(["measure", *words, "--only", "alignments"]) == 0
    again = json.loads((tmp_path / "grammar.json").read_text())
    assert again["tests"] == before
    assert again["alignments"][0]["heads"] == alignment["heads"]
    assert main(["package", str(made), str(tmp_path / "new"), "--results", results_file]) == 0
    new = (tmp_path / "new" / "README.md").read_text(encoding="utf-8")
    assert new == card.replace(f"| {test['bleu']} |", "| 12.34 |").replace(
        "layer 1 and head 1", "mean of all layers and mean of all heads"
    )
    attention = Translator.load(str(tmp_path / "new")).translate("Ma sœur dort.").attention
    assert attention is not None
    assert (attention.layer, attention.head) != (0, 0)
    (tmp_path / "grammar.json").write_text(json.dumps({**again, "model": {"parameters": 1}}))
    assert main(["measure", *words, "--only", "alignments"]) == 2


def test_a_checkpoint_is_packaged_again(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    assert main(["package", str(trained.run), str(first), "--storage", "int8"]) == 0
    assert main(["package", str(first), str(second)]) == 0
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
    assert main(["package", str(first), str(third), "--storage", "fp32"]) == 0
    card = (third / "README.md").read_text(encoding="utf-8")
    assert card == (first / "README.md").read_text("utf-8").replace("as int8.", "as fp32.")
    assert '"storage": "fp32"' in (third / "config.json").read_text()
    (first / "README.md").write_text("My own words.\n")
    assert main(["package", str(first), str(third)]) == 0
    assert (third / "README.md").read_text() == "My own words.\n"
    (tmp_path / "results.json").write_text('{"tests": []}')
    capsys.readouterr()
    words = ["package", str(first), str(third), "--results", str(tmp_path / "results.json")]
    assert main(words) == 2
    assert "first/README.md: cannot be given other scores" in capsys.readouterr().err


def test_the_card_says_what_a_run_began_with(trained: Trained, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(trained.run, second)
    path = second / "experiment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "begin": "first"}))
    begun = "- began with the weights of `first` (`assets/configs/first.json`)"

    def card() -> str:
        assert main(["package", str(second), str(tmp_path / "made")]) == 0
        return (tmp_path / "made" / "README.md").read_text(encoding="utf-8")

    assert f"{begun}\n- 160 updates, " in card()
    shutil.copytree(trained.run, first)
    assert f"{begun}: 160 updates, " in card()
    path = first / "experiment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "begin": "zeroth"}))
    before = "- began with the weights of `zeroth` (`assets/configs/zeroth.json`)"
    assert f"{before}\n{begun}: 160 updates, " in card()
    shutil.copytree(first, tmp_path / "zeroth")  # in a circle, which ends
    path = tmp_path / "zeroth" / "experiment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "begin": "first"}))
    assert card().count(begun) == 1
    shutil.rmtree(tmp_path / "zeroth")
    assert main(["package", str(first), str(tmp_path / "checkpoint")]) == 0
    whole = card()
    shutil.rmtree(first)
    shutil.copytree(tmp_path / "checkpoint", first)
    assert card() == whole


def test_a_run_can_begin_with_a_checkpoint(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained.checkpoints / "grammar", tmp_path / "grammar")
    values = json.loads((trained.run / "experiment.json").read_text())
    values |= {"name": "more", "begin": "grammar"}
    values["training"] |= {"max_steps": 1, "learning_rate": 1e-6}
    (tmp_path / "more.json").write_text(json.dumps(values))
    words = [str(tmp_path / "more.json"), "--out", str(tmp_path / "more")]
    assert main(["prepare", *words, "--data", str(trained.test.parent)]) == 0
    assert main(["train", *words, "--threads", "1"]) == 0
    learned, after = (
        json.loads((run / "average.json").read_text())["dev_bleu"]
        for run in (trained.run, tmp_path / "more")
    )
    assert after == pytest.approx(learned, abs=2)
    (tmp_path / "grammar" / "model.safetensors").write_bytes(b"")
    shutil.rmtree(tmp_path / "more")
    assert main(["prepare", *words, "--data", str(trained.test.parent)]) == 0
    capsys.readouterr()
    assert main(["train", *words]) == 2
    assert "begin: " in (said := capsys.readouterr().err)
    assert "model.safetensors" in said


def test_text_in_one_language_becomes_training_pairs(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(trained.checkpoints))
    lines = ["Ma sœur achète une pomme aujourd'hui.", "", "Le chat voit la maison."]
    (tmp_path / "mono.txt").write_text("\n".join([*lines, lines[0]]) + "\n", "utf-8")
    (tmp_path / "dev.tsv").write_text("Le chat voit la maison.\tx\n", "utf-8")
    out = tmp_path / "new" / "back.tsv.gz"
    words = ["backtranslate", "--model", "grammar", str(tmp_path / "mono.txt"), "--out", str(out)]
    assert main([*words, "--without", str(tmp_path / "dev.tsv")]) == 0
    assert gzip.decompress(out.read_bytes()).decode() == (
        "Ma sœur achète une pomme aujourd'hui.\tMy sister buys an apple today.\n"
    )
    assert main([*words, "--column", "3"]) == 2
    before = out.read_bytes()
    (tmp_path / "dev.tsv").write_text("My sister buys an apple today.\t" + lines[2], "utf-8")
    assert main([*words, "--without", str(tmp_path / "dev.tsv")]) == 1  # nothing new is made
    assert out.read_bytes() == before


def test_a_sentence_and_why(translator: Translator) -> None:
    found = translator.translate("Ma sœur achète une pomme aujourd'hui.", trace=True)
    assert found.text == "My sister buys an apple today."
    assert all(probability > 0.2 for probability in found.word_probabilities)
    assert found.trace is not None
    assert found.attention is not None
    words = found.attention.merge_words(
        found.attention.select(), source=found.source, target=found.target
    )
    assert np.allclose(words.sum(axis=1), 1, atol=1e-5)
    looked_at = {
        target.text: found.source.words[int(row.argmax())].text
        for target, row in zip(found.target.words, words, strict=True)
    }
    assert looked_at["apple"] in ("pomme", "une")


def test_a_forced_word_changes_the_rest_sensibly(translator: Translator) -> None:
    found = translator.translate("Le chat voit la maison.", prefix="The dog")
    assert found.text == "The dog sees the house."
    assert found.word_probabilities[1] < 0.5  # the model would not have said so itself


def test_the_stream_ends_like_the_translation(translator: Translator) -> None:
    text = "Le médecin dessine un oiseau."
    *partial, last = translator.translate_stream(text)
    assert last.text == translator.translate(text).text == "The doctor draws a bird."
    assert partial[0].text.startswith("The")


def test_the_document_survives_a_download(translator: Translator) -> None:
    found = translator.translate("Le chien perd une lettre.", trace=True, n_best=3)
    assert Translation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_pool_serves_it(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(trained.checkpoints))
    pool = TranslatorPool(10**8)
    assert pool.get("grammar").translate("Le chien aime le jardin.").text
    assert pool.loaded == ("grammar",)


def test_lines_through_the_command_line(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(trained.checkpoints))
    rows = [row.split("\t") for row in trained.test.read_text(encoding="utf-8").splitlines()]
    data = "\n".join(french for _, french in rows).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["translate", "--model", "grammar"]) == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    right = sum(line == english for line, (english, _) in zip(lines, rows, strict=True))
    assert right > 0.6 * len(rows)
