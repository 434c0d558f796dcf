"""Training on a toy task: it learns, stops, resumes exactly, and runs in several processes."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from seq2seq.config import ConfigError, Experiment
from seq2seq.training.data import write_ids
from seq2seq.training.trainer import train

REPOSITORY = Path(__file__).parents[2]
TRANSFORMER = {
    "architecture": "transformer", "d_model": 32, "heads": 2, "encoder_layers": 1,
    "decoder_layers": 1, "feed_forward_size": 64, "dropout": 0.1,
}  # fmt: skip
RECURRENT = {
    "architecture": "recurrent", "embedding_size": 32, "encoder_size": 24, "decoder_size": 32,
    "attention_size": 16, "dropout": 0.1,
}  # fmt: skip


def experiment(model: dict[str, Any] = TRANSFORMER, **training: Any) -> Experiment:
    file = {"path": "toy.tsv", "columns": ["en", "fr"]}
    return Experiment.from_dict(
        {
            "name": "toy",
            "data": {"directions": [["fr", "en"]], "train": [file], "dev": [file]},
            "model": model,
            "training": {
                "batch_tokens": 256, "learning_rate": 0.005, "warmup_steps": 20, "max_steps": 24,
                "validate_every": 6, "validation_sentences": 40, "precision": "fp32",
                "label_smoothing": 0.0, **training,
            },
        }
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder whose task is to write the source backwards."""
    folder = tmp_path / "run"
    dataset = folder / "dataset"
    dataset.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, pairs in (("train.0", 600), ("dev.fr-en", 40)):
        words = [random.integers(4, 14, size=random.integers(2, 6)).tolist() for _ in range(pairs)]
        write_ids(dataset, f"{name}.source", [[*word, 2] for word in words])
        write_ids(dataset, f"{name}.target", [[*word[::-1], 2] for word in words])
    pieces = ["<pad>", "<s>", "</s>", "<unk>", *(f"▁{c}" for c in "abcdefghij")]
    (dataset / "vocabulary.json").write_text(json.dumps(pieces), encoding="utf-8")
    return folder


def curve(folder: Path) -> list[dict[str, float]]:
    history = json.loads((folder / "history.json").read_text())
    timed = ("seconds", "tokens_per_second")
    return [{k: v for k, v in r.items() if k not in timed} for r in history["curve"]]


def copy_dataset(run: Path, name: str) -> Path:
    other = run.with_name(name)
    other.mkdir()
    (other / "dataset").symlink_to(run / "dataset")
    return other


@pytest.mark.parametrize("model", [TRANSFORMER, RECURRENT], ids=["transformer", "recurrent"])
def test_learns_and_leaves_everything_behind(run: Path, model: dict[str, Any]) -> None:
    settings = experiment(model, max_steps=160, validate_every=40, keep_best=3)
    progress = train(settings, folder=run, device="cpu")
    assert progress.finished == "all updates done"
    first, last = progress.curve[0], progress.curve[-1]
    assert last["dev_loss"] < first["dev_loss"] < np.log(14)
    assert last["dev_bleu"] > 20
    assert [record["step"] for record in progress.curve] == [40, 80, 120, 160]
    average = json.loads((run / "average.json").read_text())
    best = max(record["dev_bleu"] for record in progress.curve)
    assert average["dev_bleu"] >= best - 1e-6  # the best alone is among the candidates
    weights = load_file(run / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert len(list((run / "best").glob("*.safetensors"))) == 3
    assert list((run / "tensorboard").iterdir())


def test_resumed_equals_unbroken(run: Path) -> None:
    settings = experiment()
    other = copy_dataset(run, "other")
    train(settings, folder=run, device="cpu")
    for _ in range(40):  # a budget of no time: one update at a time
        if train(settings, folder=other, device="cpu", minutes=0.0, resume=True).finished:
            break
    assert curve(other) == curve(run)
    whole, parts = load_file(run / "model.safetensors"), load_file(other / "model.safetensors")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_epochs_take_turns_between_variants(run: Path) -> None:
    """Each variant has its own pieces; a resumed training goes on in the right one."""
    dataset = run / "dataset"
    for side in ("source", "target"):
        lengths = np.diff(np.load(dataset / f"train.0.{side}.offsets.npy"))
        words = [[4] * (n - 1) + [2] for n in lengths]  # the same pairs, other pieces
        write_ids(dataset, f"train.1.{side}", words)
    settings = experiment(batch_tokens=2048, max_steps=8, validate_every=1)
    data = dataclasses.replace(settings.data, bpe_dropout=0.1, variants=2)
    settings = dataclasses.replace(settings, data=data)
    other = copy_dataset(run, "other")
    train(settings, folder=run, device="cpu")
    while not train(settings, folder=other, device="cpu", minutes=0.0, resume=True).finished:
        pass
    assert curve(other) == curve(run)
    alone = copy_dataset(run, "alone")
    one = dataclasses.replace(settings, data=dataclasses.replace(data, variants=1))
    train(one, folder=alone, device="cpu")
    same = [a == b for a, b in zip(curve(run), curve(alone), strict=True)]
    epochs = [record["epoch"] for record in curve(run)]
    assert same[0]
    assert not same[epochs.index(1) + 1]


_KILLED = """
import os, signal, sys
from pathlib import Path
from seq2seq.config import Experiment
from seq2seq.training import trainer
import torch
torch.set_num_threads(1)
settings, folder, fatal = Experiment.read(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
calls = 0
rename = Path.rename
def counted(self, target):
    global calls
    calls += 1
    if calls == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.rename = counted
trainer.train(settings, folder=folder, device="cpu", resume=True)
"""


@pytest.mark.parametrize("fatal", [1, 2, 3])
def test_killed_while_saving_goes_on_exactly(run: Path, tmp_path: Path, fatal: int) -> None:
    settings = experiment(max_steps=18)
    other = copy_dataset(run, "other")
    train(settings, folder=run, device="cpu")
    config = tmp_path / "toy.json"
    config.write_text(json.dumps(settings.to_dict()), encoding="utf-8")
    command = [sys.executable, "-c", _KILLED, str(config), str(other), str(fatal)]
    killed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    train(settings, folder=other, device="cpu", resume=True)
    assert curve(other) == curve(run)


def test_two_processes_equal_one(run: Path, tmp_path: Path) -> None:
    settings = experiment({**TRANSFORMER, "dropout": 0.0}, max_steps=12, accumulate=2)
    other = copy_dataset(run, "other")
    train(settings, folder=run, device="cpu")
    config = tmp_path / "toy.json"
    config.write_text(json.dumps(settings.to_dict()), encoding="utf-8")
    script = tmp_path / "two.py"
    script.write_text(
        "import sys, torch\nfrom pathlib import Path\n"
        "from seq2seq.config import Experiment\nfrom seq2seq.training.trainer import train\n"
        "torch.set_num_threads(1)\n"
        "train(Experiment.read(Path(sys.argv[1])), folder=Path(sys.argv[2]), device='cpu')\n",
        encoding="utf-8",
    )
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        str(script), str(config), str(other),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    for one, two in zip(curve(run), curve(other), strict=True):
        assert two == pytest.approx(one, rel=1e-3)
    whole, parts = load_file(run / "model.safetensors"), load_file(other / "model.safetensors")
    for name, tensor in whole.items():
        if tensor.dim() > 1:  # a key's bias has no effect: rounding alone moves it
            torch.testing.assert_close(parts[name], tensor, atol=1e-2, rtol=1e-2)


def test_a_model_is_left_behind_before_the_first_validation(run: Path) -> None:
    progress = train(experiment(), folder=run, device="cpu", minutes=0.0)
    assert progress.step == 1
    assert progress.curve == []
    average = json.loads((run / "average.json").read_text())
    assert average["checkpoints"] == [1]
    assert 0 <= average["dev_bleu"] <= 100
    assert load_file(run / "model.safetensors").keys()


def test_early_stopping(run: Path) -> None:
    settings = experiment(learning_rate=1e-9, max_steps=400, validate_every=2, patience=3)
    progress = train(settings, folder=run, device="cpu")
    assert progress.finished == "dev BLEU no longer rises"
    assert progress.step == 8


def test_bf16_learns_too(run: Path) -> None:
    progress = train(experiment(precision="bf16", max_steps=60), folder=run, device="cpu")
    assert progress.precision == "bf16"
    assert progress.curve[-1]["dev_loss"] < progress.curve[0]["dev_loss"]


def test_automatic_precision_is_chosen_and_kept(run: Path) -> None:
    settings = experiment(precision="auto", max_steps=12)
    first = train(settings, folder=run, device="cpu", minutes=0.0)
    assert first.precision in ("fp32", "bf16")
    assert train(settings, folder=run, device="cpu", resume=True).precision == first.precision


def test_mistakes_are_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run prepare first"):
        train(experiment(), folder=tmp_path / "nothing")
    with pytest.raises(ConfigError, match="not known to PyTorch"):
        train(experiment(), folder=run, device="abacus")
    train(experiment(), folder=run, device="cpu", minutes=0.0)
    with pytest.raises(ConfigError, match="add --resume"):
        train(experiment(), folder=run, device="cpu")
    wider = experiment({**TRANSFORMER, "d_model": 48})
    with pytest.raises(ConfigError, match="does not fit this configuration"):
        train(wider, folder=run, device="cpu", resume=True)
    state = next(run.glob("state-*"))
    (state / "tensors.safetensors").write_bytes(b"x")
    with pytest.raises(ConfigError, match="damaged training state"):
        train(experiment(), folder=run, device="cpu", resume=True)


def test_a_run_can_begin_with_another_ones_weights(run: Path) -> None:
    train(experiment(), folder=run)
    learned = json.loads((run / "average.json").read_text())["dev_bleu"]
    second = run.parent / "second"
    shutil.copytree(run / "dataset", second / "dataset")
    values = {**experiment(max_steps=1, learning_rate=1e-6).to_dict(), "name": "second"}
    go_on = Experiment.from_dict({**values, "begin": run.name})
    train(go_on, folder=second)
    assert json.loads((second / "average.json").read_text())["dev_bleu"] == pytest.approx(
        learned, abs=2
    )
    first = load_file(run / "model.safetensors")
    after = load_file(second / "model.safetensors")
    assert all(torch.allclose(first[name], after[name], atol=1e-4) for name in first)


def test_a_beginning_that_is_not_there_or_does_not_fit_is_named(run: Path) -> None:
    lost = Experiment.from_dict({**experiment().to_dict(), "begin": "nowhere"})
    with pytest.raises(ConfigError, match=r"nowhere/model.safetensors: cannot be begun with"):
        train(lost, folder=run)
    train(experiment(max_steps=1), folder=run)
    second = run.parent / "second"
    shutil.copytree(run / "dataset", second / "dataset")
    values = {**experiment(RECURRENT).to_dict(), "name": "second", "begin": run.name}
    other = Experiment.from_dict(values)
    with pytest.raises(ConfigError, match="with the same model"):
        train(other, folder=second)
    heads = {"model": {**TRANSFORMER, "heads": 4}}  # weights of the same shapes
    with pytest.raises(ConfigError, match=r"begin: model\.heads is 2 in .*run and 4 here"):
        train(Experiment.from_dict({**values, **heads}), folder=second)
    with pytest.raises(ConfigError, match="begin"):
        Experiment.from_dict({**experiment().to_dict(), "begin": "../x"})
