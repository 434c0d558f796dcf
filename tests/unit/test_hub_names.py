"""Names of repositories, choice of files, and where the surroundings say things are."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seq2seq.hub import HubCancelledError, HubInputError, RepositoryId
from seq2seq.hub.cache import CachedRepository, free_bytes
from seq2seq.hub.errors import NoAnswerError
from seq2seq.hub.listing import kind_of, missing_from, needed, shards_in, written_by_us
from seq2seq.hub.session import Hub, Pulse, watch

MARIAN = {"config.json", "tokenizer_config.json", "vocab.json", "source.spm", "target.spm"}
INDEX = "model.safetensors.index.json"
SHARD = "model-00001-of-00002.safetensors"


class TestRepositoryId:
    @pytest.mark.parametrize(
        ("text", "name", "revision"),
        [
            ("Helsinki-NLP/opus-mt-fr-en", "Helsinki-NLP/opus-mt-fr-en", None),
            (" a/b ", "a/b", None),
            ("a/b@main", "a/b", "main"),
            ("a/b@v1.0", "a/b", "v1.0"),
            ("a/b@refs/pr/3", "a/b", "refs/pr/3"),
            ("a/b@" + "0" * 40, "a/b", "0" * 40),
        ],
    )
    def test_what_people_write(self, text: str, name: str, revision: str | None) -> None:
        found = RepositoryId.parse(text)
        assert found == RepositoryId(name, revision)
        assert str(found) == text.strip()
        assert RepositoryId.parse(name, revision=revision) == found
        assert found.pinned == (revision == "0" * 40)

    @pytest.mark.parametrize(
        "text",
        [
            "", "name", "a/b/c", "/b", "a/", "a b/c", "../b", "a/..", "a//b", "a/b.git", "a/-b",
            "a/b--c", "é/b", "a/b\n", "https://huggingface.co/a/b", "a/" + "x" * 200, "~/x",
            "@main",
        ],
    )  # fmt: skip
    def test_other_names(self, text: str) -> None:
        if text == "a/b\n":
            assert RepositoryId.parse(text).id == "a/b"  # surrounding space is no harm
            return
        with pytest.raises(HubInputError) as caught:
            RepositoryId.parse(text)
        message = str(caught.value)
        assert message.endswith(
            " is no model of the Hub: write OWNER/NAME or OWNER/NAME@REVISION, for instance "
            "Helsinki-NLP/opus-mt-fr-en"
        )
        assert "\n" not in message
        assert len(message) < 250

    @pytest.mark.parametrize(
        "revision", ["", "../x", "a..b", "-x", "/x", "a b", "x\n", "é", "a//b"]
    )
    def test_other_revisions(self, revision: str) -> None:
        message = f"{revision!r} is no revision of a/b: give a branch, a tag or a commit"
        with pytest.raises(HubInputError) as caught:
            RepositoryId.parse("a/b", revision=revision)
        assert str(caught.value) == message

    def test_two_revisions_contradict(self) -> None:
        assert RepositoryId.parse("a/b@x", revision="x").revision == "x"
        with pytest.raises(HubInputError, match=r"'a/b@x' and the revision 'y' contradict"):
            RepositoryId.parse("a/b@x", revision="y")


class TestListing:
    def test_kinds(self) -> None:
        assert kind_of({"model_type": "marian"}) == "marian"
        assert kind_of({"format_version": 1}) == "seq2seq"
        assert kind_of({"model_type": "bert"}) is None

    def test_the_best_form_of_the_weights_comes_last(self) -> None:
        names = {*MARIAN, "pytorch_model.bin", "model.safetensors", INDEX, SHARD, "tf_model.h5"}
        assert needed(names, "marian")[-1] == "model.safetensors"
        assert set(needed(names, "marian")) == MARIAN | {"model.safetensors"}
        names.remove("model.safetensors")
        assert needed(names, "marian")[-2:] == (INDEX, SHARD)
        names.remove(SHARD)
        assert needed(names, "marian")[-1] == "pytorch_model.bin"

    def test_our_own_reader_prefers_the_index(self) -> None:
        names = {"config.json", "tokenizer.json", "model.safetensors", INDEX, SHARD}
        assert needed(names, "seq2seq")[-2:] == (INDEX, SHARD)

    def test_what_is_missing(self) -> None:
        assert missing_from(MARIAN, "marian") == "model.safetensors"
        assert missing_from(MARIAN | {"pytorch_model.bin"}, "marian") is None
        assert missing_from({"config.json", "pytorch_model.bin"}, "seq2seq") == "tokenizer.json"
        names = {"config.json", "tokenizer.json", "pytorch_model.bin"}
        assert missing_from(names, "seq2seq") == "model.safetensors"

    def test_files_of_other_people_are_not_ours(self) -> None:
        names = {"config.json", SHARD, "notes.txt", "model-1-of-2.safetensors", ".gitattributes"}
        assert written_by_us(names, "seq2seq") == {"config.json", SHARD}

    @pytest.mark.parametrize(
        "index",
        ["[", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../x"}}',
         '{"weight_map": {"a": []}}', '{"weight_map": {"a": 1}}', "[" * 100_000],
    )  # fmt: skip
    def test_an_index_that_cannot_be_used(self, tmp_path: Path, index: str) -> None:
        (tmp_path / INDEX).write_text(index)
        assert shards_in(tmp_path) is None

    def test_an_index(self, tmp_path: Path) -> None:
        assert shards_in(tmp_path) is None
        (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": SHARD, "b": SHARD}}))
        assert shards_in(tmp_path) == {SHARD}


class TestSurroundings:
    def test_they_are_read_at_every_call(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HF_ENDPOINT", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME",
                     "XDG_CACHE_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):  # fmt: skip
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        hub = Hub.here()
        assert hub.endpoint == "https://huggingface.co"
        assert hub.cache == tmp_path / ".cache" / "huggingface" / "hub"
        assert not hub.offline
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert Hub.here().cache == tmp_path / "xdg" / "huggingface" / "hub"
        monkeypatch.setenv("HF_HOME", "~/hf")
        assert Hub.here().cache == tmp_path / "hf" / "hub"
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        assert Hub.here().cache == tmp_path / "cache"
        assert Hub.here(cache=tmp_path / "other").cache == tmp_path / "other"
        monkeypatch.setenv("HF_ENDPOINT", "http://localhost:1/")
        assert Hub.here().endpoint == "http://localhost:1"
        for value, wanted in (("1", True), ("true", True), ("0", False), ("", False)):
            monkeypatch.setenv("HF_HUB_OFFLINE", value)
            assert Hub.here().offline is wanted
        assert Hub.here(offline=True).offline

    @pytest.mark.parametrize(("said", "silent"), [(None, True), ("1", True), ("0", False)])
    def test_nothing_is_sent_beside_what_was_asked(self, said: str | None, silent: bool) -> None:
        names = "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET"
        program = (
            "import os, huggingface_hub.constants as known\n"  # as gradio does, before the rest
            f"os.environ.update({dict.fromkeys(names, said) if said else {}})\n"
            "import seq2seq.hub.session\n"
            f"print(*(getattr(known, name) for name in {names}))"
        )
        rest = {key: value for key, value in os.environ.items() if key not in names}
        command = [sys.executable, "-c", program]
        told = subprocess.run(command, env=rest, capture_output=True, text=True, check=True)
        assert told.stdout.split() == [str(silent)] * 2

    def test_free_space_of_a_folder_that_is_not_there_yet(self, tmp_path: Path) -> None:
        assert (free_bytes(tmp_path / "a" / "b") or 0) > 0

    def test_a_ref_that_is_no_commit(self, tmp_path: Path) -> None:
        refs = tmp_path / "models--a--b" / "refs"
        refs.mkdir(parents=True)
        (refs / "main").write_text("../../..")
        assert CachedRepository(tmp_path, "a/b").commit_of(None) is None
        assert CachedRepository(tmp_path, "a/b").complete(None) is None


class TestWatch:
    def test_value_and_error_come_through(self) -> None:
        assert watch(lambda _: 7, patience=1) == 7
        with pytest.raises(ZeroDivisionError):
            watch(lambda _: 1 // 0, patience=1)

    def test_silence_ends_it_and_signs_of_life_do_not(self) -> None:
        def beating(pulse: Pulse) -> str:
            for _ in range(5):
                time.sleep(0.1)
                pulse.beat()
            return "done"

        assert watch(beating, patience=0.3) == "done"
        start = time.monotonic()
        with pytest.raises(NoAnswerError):
            watch(lambda _: time.sleep(5), patience=0.2)
        assert time.monotonic() - start < 1

    def test_a_thread_that_was_left_behind_ends_at_its_next_step(self) -> None:
        steps: list[int] = []

        def work(pulse: Pulse) -> None:
            for step in range(100):
                steps.append(step)
                pulse.pause(0.05)

        with pytest.raises(HubCancelledError):
            watch(work, patience=5, cancelled=lambda: len(steps) > 2)
        time.sleep(0.2)
        assert len(steps) < 6
