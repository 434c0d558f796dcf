"""On which device a model runs, and by which name it is found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import ARCHITECTURES, make_checkpoint, replace_step
from translator_support import SENTENCE

from seq2seq import Translator
from seq2seq.catalogue import FOLDER_VARIABLE, ModelNotFoundError, embedded, locate
from seq2seq.checkpoint import CheckpointError
from seq2seq.device import DeviceError
from seq2seq.hub import HubError


class TestDevices:
    @pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", "meta", "", "cuda:-1"])
    def test_unknown_names_are_refused(self, folder: Path, name: str) -> None:
        with pytest.raises(DeviceError, match="is not one of auto"):
            Translator.load(str(folder / "lstm"), device=name)

    def test_missing_ones_are_refused(self, folder: Path) -> None:
        with pytest.raises(DeviceError, match="this machine has no cuda:99; it has"):
            Translator.load(str(folder / "lstm"), device="cuda:99")

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_out_of_memory_falls_back_to_the_cpu_with_a_warning(
        self, folder: Path, architecture: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        wanted = Translator.load(str(folder / architecture)).translate(SENTENCE, trace=True)
        poor = Translator.load(str(folder / architecture))
        calls = 0

        def running_out(step: Callable[..., Any]) -> Callable[..., Any]:
            def run_out(tokens: torch.Tensor, state: Any, **options: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls > 2:
                    raise torch.OutOfMemoryError("CUDA out of memory")
                return step(tokens, state, **options)

            return run_out

        replace_step(poor, running_out)
        found = poor.translate(SENTENCE, trace=True)
        assert found.target == wanted.target
        assert found.trace == wanted.trace
        assert found.model.device == "cpu"
        assert "ran out of memory" in found.warnings[0]
        assert "ran out of memory" in caplog.text
        assert poor.memory_bytes > Translator.load(str(folder / architecture)).memory_bytes

    def test_without_the_checkpoint_there_is_no_falling_back(self, tmp_path: Path) -> None:
        make_checkpoint(tmp_path / "x")
        poor = Translator.load(str(tmp_path / "x"))

        def run_out(tokens: object, state: object, **_: object) -> object:
            raise torch.OutOfMemoryError("CUDA out of memory")

        replace_step(poor, lambda _: run_out)
        make_checkpoint(tmp_path / "x", seed=2)
        with pytest.raises(CheckpointError, match="has changed since it was loaded"):
            poor.translate(SENTENCE)


class TestNames:
    def test_embedded_names_and_folders(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
        assert set(embedded()) == {*ARCHITECTURES, "both-ways"}
        assert locate("lstm") == folder / "lstm"
        assert locate(str(folder / "lstm")) == folder / "lstm"
        assert Translator.load("lstm").card.name == "lstm"

    def test_unknown_names_list_the_known_ones(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
        with pytest.raises(ModelNotFoundError) as caught:
            Translator.load("transfomer")
        message = str(caught.value)
        assert "did you mean 'transformer'?" in message
        assert "both-ways, gru-additive" in message
        for name in ("", "x" * 5000, "a\0b", "./nowhere", "/no/such/folder"):
            with pytest.raises(ModelNotFoundError):
                locate(name)

    def test_a_hub_that_is_not_there_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(HubError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
            Translator.load("Helsinki-NLP/opus-mt-fr-en")

    def test_a_path_that_leads_nowhere_does_not_ask_the_hub(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        (tmp_path / "runs" / "packages").mkdir(parents=True)
        for name in ("runs/mine", "runs/my model"):
            with pytest.raises(ModelNotFoundError, match=f"there is no model folder '{name}'"):
                Translator.load(name)
        with pytest.raises(CheckpointError, match=r"runs/packages/config\.json: is missing"):
            Translator.load("runs/packages")
        for name in ("run/mine", "runs/mine@main"):
            with pytest.raises(HubError, match="cannot be reached"):
                Translator.load(name)
        snapshot = tmp_path / "cache" / "models--runs--mine" / "snapshots" / ("0" * 40)
        monkeypatch.setattr("seq2seq.hub.cached", lambda name: snapshot)
        assert locate("runs/mine") == snapshot  # pulled before

    def test_a_damaged_neighbour_hides_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
        make_checkpoint(tmp_path / "good")
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "config.json").write_text('{"format_version": 1, "x": 2}')
        (tmp_path / "file").write_text("")
        assert set(embedded()) == {"good"}
        with pytest.raises(CheckpointError, match="unknown key 'x'"):
            Translator.load("bad")

    def test_no_embedded_models_at_all(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "none"))
        assert embedded() == {}
        with pytest.raises(ModelNotFoundError, match="none in"):
            locate("fr-en-transformer")
