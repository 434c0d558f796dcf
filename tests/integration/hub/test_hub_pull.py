"""Pulling brings what is needed, once, and where other programs find it."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import huggingface_hub
import pytest
from hub_support import MARIAN, NAME, NEEDED, TOKEN, WEIGHTS, contents, leftovers, pull
from stand_in_hub import StandInHub
from support import make_checkpoint

from seq2seq import hub as api


class TestPull:
    def test_first_pull_brings_what_is_needed_and_nothing_else(
        self, hub: StandInHub, cache: Path
    ) -> None:
        commit = hub.add(NAME, MARIAN)
        told: list[tuple[int, int, str]] = []
        folder = pull(progress=lambda *now: told.append(now))
        assert folder == cache / "models--org--opus" / "snapshots" / commit
        assert contents(folder) == {name: MARIAN[name] for name in NEEDED}
        total = sum(len(MARIAN[name]) for name in NEEDED)
        assert told[-1] == (total, total, "model.safetensors")
        assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
        assert leftovers(cache) == []

    def test_second_pull_asks_for_the_newest_state_only(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        first = pull()
        hub.requests.clear()
        assert pull() == first
        assert hub.paths() == [f"GET /api/models/{NAME}?blobs=true"]

    def test_a_new_state_brings_only_what_has_changed(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        old = pull()
        hub.add(NAME, {**MARIAN, "vocab.json": b'{"</s>": 0, "x": 1}'})
        hub.requests.clear()
        new = pull()
        assert new != old
        assert contents(new)["vocab.json"] == b'{"</s>": 0, "x": 1}'
        assert contents(new)["model.safetensors"] == WEIGHTS
        assert [p for p in hub.paths() if "safetensors" in p or "storage" in p] == []

    def test_a_pinned_commit_that_is_there_needs_no_request(self, hub: StandInHub) -> None:
        commit = hub.add(NAME, MARIAN)
        first = pull(f"{NAME}@{commit}")
        hub.requests.clear()
        assert pull(f"{NAME}@{commit}") == first
        assert pull(revision=commit) == first
        assert hub.requests == []

    def test_an_older_commit_and_a_tag(self, hub: StandInHub) -> None:
        old = hub.add(NAME, {**MARIAN, "vocab.json": b"{}"})
        hub.add(NAME, MARIAN)
        hub.repositories[NAME].refs["v1.0"] = old
        assert pull(revision=old).name == old
        assert pull(f"{NAME}@v1.0").name == old
        hub.fail("status")
        assert api.cached(NAME, "v1.0") == pull(revision=old)

    def test_other_programs_see_what_was_pulled_and_the_other_way_round(
        self, hub: StandInHub, cache: Path
    ) -> None:
        commit = hub.add(NAME, MARIAN)
        folder = pull()
        theirs = huggingface_hub.hf_hub_download(
            NAME, "model.safetensors", cache_dir=cache, local_files_only=True
        )
        assert Path(theirs) == folder / "model.safetensors"
        scan = huggingface_hub.scan_cache_dir(cache)
        assert scan.warnings == []
        assert [repo.repo_id for repo in scan.repos] == [NAME]
        shutil.rmtree(cache)
        for name in NEEDED:
            huggingface_hub.hf_hub_download(NAME, name, cache_dir=cache, endpoint=hub.url)
        hub.requests.clear()
        assert pull() == folder
        assert pull(revision=commit) == folder
        assert len(hub.requests) == 1

    def test_our_own_checkpoints(self, hub: StandInHub, tmp_path: Path) -> None:
        make_checkpoint(tmp_path / "tiny")
        (tmp_path / "tiny" / "notes.txt").write_text("not needed")
        hub.add("me/tiny", tmp_path / "tiny")
        folder = pull("me/tiny")
        (tmp_path / "tiny" / "notes.txt").unlink()
        assert contents(folder) == contents(tmp_path / "tiny")
        from seq2seq import Translator

        assert Translator.load(str(folder)).translate("Le chat.").text is not None

    def test_shards(self, hub: StandInHub) -> None:
        shards = {f"model-0000{n}-of-00002.safetensors": b"shard" * n for n in (1, 2)}
        index = json.dumps({"weight_map": {str(n): name for n, name in enumerate(shards)}})
        files = {k: v for k, v in MARIAN.items() if k != "model.safetensors"}
        files |= {**shards, "model.safetensors.index.json": index.encode()}
        hub.add(NAME, files)
        folder = pull()
        assert set(shards) <= set(contents(folder))
        assert "pytorch_model.bin" not in contents(folder)
        assert api.cached(NAME) == folder
        (folder / "model-00002-of-00002.safetensors").unlink()
        assert api.cached(NAME) is None

    def test_pytorch_weights_if_there_are_no_others(self, hub: StandInHub) -> None:
        hub.add(NAME, {k: v for k, v in MARIAN.items() if k != "model.safetensors"})
        assert contents(pull())["pytorch_model.bin"] == b"no safetensors"

    def test_the_token_goes_to_the_hub_and_not_to_the_storage(
        self, hub: StandInHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        hub.add(NAME, MARIAN, private=True)
        pull()
        stored = [r for r in hub.requests if r.path.startswith("/storage/")]
        others = [r for r in hub.requests if not r.path.startswith("/storage/")]
        assert stored
        assert all("Authorization" not in r.headers for r in stored)
        assert all(r.headers["Authorization"] == f"Bearer {TOKEN}" for r in others)

    def test_two_at_the_same_time_download_once(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        found: list[Path] = []
        threads = [threading.Thread(target=lambda: found.append(pull())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(found) == 4
        assert len(set(found)) == 1
        storage = [path for path in hub.paths() if "/storage/" in path]
        assert len(storage) == len(set(storage))

    def test_inspect_says_what_it_is_before_anything_is_downloaded(
        self, hub: StandInHub, cache: Path
    ) -> None:
        commit = hub.add(NAME, MARIAN)
        found = api.inspect(NAME)
        assert (found.id, found.revision, found.kind) == (NAME, commit, "marian")
        assert (found.license, found.languages) == ("apache-2.0", ("fr", "en"))
        assert (found.private, found.gated, found.renamed_to) == (False, False, None)
        assert found.total_bytes == sum(len(MARIAN[name]) for name in NEEDED)
        assert not cache.exists()

    def test_a_renamed_repository_names_its_new_id(self, hub: StandInHub) -> None:
        hub.add("new/home", MARIAN)
        hub.renamed[NAME] = "new/home"
        notes: list[str] = []
        folder = pull(note=notes.append)
        assert notes == ["org/opus is called new/home now"]
        assert contents(folder)["model.safetensors"] == WEIGHTS
        assert api.inspect(NAME).renamed_to == "new/home"
