"""Pulling and pushing against a stand-in Hub: every failure is one clear line within seconds."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from stand_in_hub import Repository, StandInHub, git_id
from support import make_checkpoint

from seq2seq import hub as api
from seq2seq.cli import main
from seq2seq.hub import HubCancelledError, HubError, HubInputError, HubUnreachableError

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz012345"
WEIGHTS = os.urandom(700_000)
CARD = b"---\nlicense: apache-2.0\nlanguage: [fr, en]\n---\n# A model\n"
MARIAN = {
    ".gitattributes": b"*.bin filter=lfs\n",
    "README.md": CARD,
    "config.json": b'{"model_type": "marian", "d_model": 4}',
    "generation_config.json": b"{}",
    "tokenizer_config.json": b"{}",
    "vocab.json": b'{"</s>": 0}',
    "source.spm": b"spm source",
    "target.spm": b"spm target",
    "pytorch_model.bin": b"no safetensors",
    "model.safetensors": WEIGHTS,
    "tf_model.h5": b"not needed",
    "rust_model.ot": b"not needed",
}
NEEDED = sorted(
    set(MARIAN) - {".gitattributes", "pytorch_model.bin", "tf_model.h5", "rust_model.ot"}
)
NAME = "org/opus"


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub() as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def surroundings(hub: StandInHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(cache) + "-token")


def pull(name: str = NAME, **options: Any) -> Path:
    return api.pull(name, **{"timeout": 1.0, "stall": 0.4, **options})


def failure(
    kind: type[HubError] = HubError, name: str = NAME, *, within: float = 5.0, **options: Any
) -> str:
    """The message of a pull that fails soon, in one line."""
    start = time.monotonic()
    with pytest.raises(HubError) as caught:
        pull(name, **options)
    assert time.monotonic() - start < within
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def leftovers(cache: Path) -> list[str]:
    """Files in the cache that are neither whole contents nor bookkeeping."""
    return sorted(path.name for path in cache.rglob("*.incomplete"))


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


class TestOffline:
    def test_what_was_pulled_is_used(
        self, hub: StandInHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add(NAME, MARIAN)
        folder = pull()
        hub.requests.clear()
        assert pull(offline=True) == folder
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert pull() == folder
        assert api.cached(NAME) == folder
        assert hub.requests == []

    def test_what_was_not_pulled_is_named(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        assert failure(HubUnreachableError, offline=True) == (
            f"{NAME} is not in {cache} and no network may be used; pull it once without --offline "
            "and HF_HUB_OFFLINE"
        )
        assert api.cached(NAME) is None
        assert hub.requests == []

    def test_half_a_model_is_no_model(self, hub: StandInHub) -> None:
        commit = hub.add(NAME, MARIAN)
        folder = pull()
        (folder / "model.safetensors").unlink()
        assert api.cached(NAME) is None
        failure(HubUnreachableError, f"{NAME}@{commit}", offline=True)
        assert pull(f"{NAME}@{commit}") == folder
        assert contents(folder)["model.safetensors"] == WEIGHTS

    @pytest.mark.parametrize("kind", ["status", "hang", "portal"])
    def test_without_an_answer_the_copy_is_used_and_that_is_said(
        self, hub: StandInHub, kind: str
    ) -> None:
        hub.add(NAME, MARIAN)
        folder = pull()
        hub.fail(kind, status=503)
        notes: list[str] = []
        start = time.monotonic()
        assert pull(note=notes.append) == folder
        assert time.monotonic() - start < 3
        assert len(notes) == 1
        assert notes[0].startswith(f"the copy of {NAME} that was pulled earlier is used, because: ")

    def test_the_note_goes_to_the_log_if_nobody_takes_it(
        self, hub: StandInHub, caplog: pytest.LogCaptureFixture
    ) -> None:
        hub.add(NAME, MARIAN)
        pull()
        hub.fail("status", status=500)
        with caplog.at_level(logging.WARNING, logger="seq2seq.hub"):
            pull()
        assert "the copy of org/opus that was pulled earlier is used" in caplog.text

    def test_the_endpoint_is_read_anew_each_time(
        self, hub: StandInHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with StandInHub() as other:
            other.add("other/model", MARIAN)
            monkeypatch.setenv("HF_ENDPOINT", other.url + "/")
            pull("other/model")
        assert hub.requests == []


class TestRefused:
    def test_unknown_or_private(self, hub: StandInHub) -> None:
        message = (
            f"{NAME} is not on {hub.url}, or it is private; check the name, or log in with "
            "`hf auth login` or set HF_TOKEN and accept its terms if it has any"
        )
        assert failure(HubInputError) == message
        hub.add(NAME, MARIAN, private=True)
        assert failure(HubInputError) == message

    def test_unknown_to_one_who_is_logged_in(
        self, hub: StandInHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        assert failure(HubInputError).startswith(f"{NAME} is not on {hub.url}, or it is private")

    def test_gated(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN, gated=True)
        assert failure() == (
            f"{NAME} is gated; accept its terms on {hub.url}/{NAME} and log in with "
            "`hf auth login` or set HF_TOKEN"
        )

    def test_forbidden(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("status", status=403)
        assert failure() == (
            f"{NAME}: {hub.url} forbids it; log in with `hf auth login` or set HF_TOKEN with a "
            "token that has the right to do this"
        )

    def test_unknown_revision(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        assert failure(HubInputError, f"{NAME}@v9") == (
            f"{NAME}@v9: there is no such revision; see {hub.url}/{NAME}/tree/main for others"
        )

    def test_unknown_file(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("status", path="vocab.json", status=404, headers={"X-Error-Code": "EntryNotFound"})
        assert failure(HubInputError) == (f"{NAME}: vocab.json: there is no such file on {hub.url}")

    def test_too_many_requests(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        fault = hub.fail("status", status=429, headers={"Retry-After": "17"})
        assert failure(HubUnreachableError) == (
            f"{NAME}: {hub.url} has had too many requests from here; try again in 17 seconds, or "
            "log in with `hf auth login` or set HF_TOKEN"
        )
        fault.headers = {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}
        assert "try again in some minutes" in failure(HubUnreachableError)

    @pytest.mark.parametrize("path", ["", "model.safetensors", "/storage/"])
    def test_a_fault_of_the_server(self, hub: StandInHub, path: str) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("status", path=path, status=500)
        message = failure(HubUnreachableError)
        assert message.endswith(f"{hub.url} has a fault of its own (status 500); try again later")

    def test_another_kind_of_model(self, hub: StandInHub) -> None:
        hub.add(NAME, {**MARIAN, "config.json": b'{"model_type": "bert\\n<b>"}'})
        assert failure(HubInputError) == (
            f"{NAME} is a 'bert\\n<b>' model; only Marian (OPUS-MT) models and checkpoints of this "
            "program can be read"
        )
        hub.add(NAME, {**MARIAN, "config.json": b'{"a": 1}'})
        assert f"{NAME} is a model of unknown type" in failure(HubInputError)
        hub.add(NAME, {**MARIAN, "config.json": b"["})
        assert f"{NAME}: config.json cannot be read" in failure(HubInputError)
        hub.add(NAME, {"model.safetensors": WEIGHTS})
        assert f"{NAME} has no config.json" in failure(HubInputError)
        assert [p for p in hub.paths() if "safetensors" in p or "storage" in p] == []

    def test_an_incomplete_model(self, hub: StandInHub) -> None:
        hub.add(NAME, {k: v for k, v in MARIAN.items() if k != "source.spm"})
        assert failure(HubInputError) == (
            f"{NAME}: the model is not whole, source.spm is not there; choose another"
        )

    def test_too_large(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        assert failure(HubInputError, max_bytes=100_000) == (
            f"{NAME} has 700.1 kB, the limit is 100.0 kB; choose a smaller model"
        )
        assert [p for p in hub.paths() if "storage" in p] == []

    def test_odd_names_in_the_listing_are_left_alone(self, hub: StandInHub, cache: Path) -> None:
        odd = [
            "../../evil.safetensors", "/etc/passwd", ".hidden", "a\\b.json", "x\ny.json",
            "model-00001-of-00001.safetensors/../../x", "", "sub/config.json", "C:evil.json",
        ]  # fmt: skip
        extra: list[dict[str, Any]] = [
            {"rfilename": name, "size": 1, "blobId": git_id(b"x")} for name in odd
        ]
        extra += [
            {"rfilename": "target_vocab.json", "size": 2, "blobId": "../../../evil"},
            {"rfilename": "special_tokens_map.json", "size": -1, "blobId": git_id(b"")},
        ]
        hub.add(NAME, MARIAN, extra=extra)
        assert sorted(contents(pull())) == NEEDED
        assert not list(cache.parent.rglob("*evil*"))

    @pytest.mark.parametrize(
        "shard", ["../../evil.safetensors", "model-00009-of-00009.safetensors"]
    )
    def test_an_index_that_leads_elsewhere(self, hub: StandInHub, shard: str) -> None:
        files = {k: v for k, v in MARIAN.items() if k != "model.safetensors"}
        files["model.safetensors.index.json"] = json.dumps({"weight_map": {"a": shard}}).encode()
        files["model-00001-of-00001.safetensors"] = b"x"
        hub.add(NAME, files)
        assert failure(HubInputError) == (
            f"{NAME}: model.safetensors.index.json names files that are not there; choose another "
            "model"
        )
        assert api.cached(NAME) is None


class TestUnreachable:
    def test_refused(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert failure(HubUnreachableError, endpoint=address, within=2) == (
            f"{NAME}: {address} cannot be reached; check the connection, or use a model that was "
            "pulled before: it needs no network"
        )

    def test_an_unknown_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        address = "http://hub.invalid"
        assert f"{address} cannot be reached" in failure(HubUnreachableError, endpoint=address)

        def slow(*_: object, **__: object) -> None:
            time.sleep(30)

        monkeypatch.setattr(socket, "getaddrinfo", slow)  # as a resolver that is cut off
        message = failure(HubUnreachableError, endpoint="http://slow.invalid", within=3)
        assert "http://slow.invalid gave no answer within 1 s" in message

    def test_no_address_at_all(self) -> None:
        assert failure(HubInputError, endpoint="hub.example.org") == (
            "'hub.example.org' is no address of a Hub: it must begin with https://; correct or "
            "unset HF_ENDPOINT"
        )

    def test_a_server_that_never_answers(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("hang")
        assert failure(HubUnreachableError, within=3) == (
            f"{NAME}: {hub.url} gave no answer within 1 s; try again, or use a model that was "
            "pulled before: it needs no network"
        )

    def test_by_default_it_takes_five_seconds(self, hub: StandInHub) -> None:
        hub.fail("hang")
        start = time.monotonic()
        with pytest.raises(HubUnreachableError, match="no answer within 5 s"):
            api.pull(NAME)
        assert 4 < time.monotonic() - start < 7

    def test_a_server_that_hangs_at_a_file(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("hang", path="/storage/")
        message = failure(HubUnreachableError, within=6)
        assert message == (
            f"{NAME}: source.spm: {hub.url} sent nothing for 0.4 s, twice; pull again later, "
            "it goes on where it ended"
        )

    @pytest.mark.parametrize("path", ["", "model.safetensors"])
    def test_a_login_page_instead(self, hub: StandInHub, path: str) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("portal", path=path)
        if path:
            assert "model.safetensors came with 42 bytes instead of 700,000" in failure()
        else:
            assert failure(HubUnreachableError) == (
                f"{hub.url} does not answer like a Hugging Face Hub; log in to the network if it "
                "has a login page, or check HF_ENDPOINT"
            )

    def test_a_server_that_speaks_json_of_another_kind(self, hub: StandInHub) -> None:
        with StandInHub() as other:
            other.repositories[NAME] = Repository(commits={"abc": MARIAN}, refs={"main": "abc"})
            message = failure(HubUnreachableError, endpoint=other.url)
        assert "does not answer like a Hugging Face Hub" in message


class TestBrokenTransfers:
    def test_a_cut_connection_is_gone_on_with(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("cut", path="/storage/", after=300_000, times=3)  # two small files before it
        assert contents(pull())["model.safetensors"] == WEIGHTS
        ranges = [r.headers["Range"] for r in hub.requests if "Range" in r.headers]
        assert "bytes=300000-" in ranges

    def test_the_next_pull_fetches_only_the_rest(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        small = [f for f in NEEDED if f.endswith(".spm")]
        fault = hub.fail("cut", path="/storage/", after=100_000)
        assert failure(HubUnreachableError) == (
            f"{NAME}: model.safetensors: the connection to {hub.url} broke several times; pull "
            "again later, it goes on where it ended"
        )
        assert len(leftovers(cache)) == 1
        assert small
        assert api.cached(NAME) is None
        hub.faults.remove(fault)
        hub.requests.clear()
        told: list[int] = []
        assert (
            contents(pull(progress=lambda done, *_: told.append(done)))["model.safetensors"]
            == WEIGHTS
        )
        assert [r.headers["Range"] for r in hub.requests if "Range" in r.headers] == [
            "bytes=300000-"  # asked for on the Hub, and again where it leads
        ] * 2
        assert leftovers(cache) == []

    def test_a_server_without_ranges_starts_anew(self, hub: StandInHub) -> None:
        hub.add(NAME, MARIAN)
        fault = hub.fail("cut", path="/storage/", after=100_000)
        failure(HubUnreachableError)
        hub.faults.remove(fault)
        hub.fail("whole")
        assert contents(pull())["model.safetensors"] == WEIGHTS
        assert "bytes=300000-" in [r.headers.get("Range") for r in hub.requests]

    @pytest.mark.parametrize("part", [b"something else" * 10_000, b"x" * 900_000, WEIGHTS])
    def test_a_part_that_does_not_fit_is_no_harm(
        self, hub: StandInHub, cache: Path, part: bytes
    ) -> None:
        hub.add(NAME, MARIAN)
        fault = hub.fail("cut", path="/storage/", after=100_000)
        failure(HubUnreachableError)
        hub.faults.remove(fault)
        next(cache.rglob("*.incomplete")).write_bytes(part)
        assert contents(pull())["model.safetensors"] == WEIGHTS
        assert leftovers(cache) == []

    def test_a_stalled_body_is_given_up(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("stall", path="/storage/", after=50_000)
        assert failure(HubUnreachableError, within=6) == (
            f"{NAME}: model.safetensors: {hub.url} sent nothing for 0.4 s, twice; "
            "pull again later, it goes on where it ended"
        )
        hub.recover()
        assert contents(pull())["model.safetensors"] == WEIGHTS

    def test_stopping_takes_no_second(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("stall", path="/storage/", after=50_000)
        start = time.monotonic()
        stop: Callable[[], bool] = lambda: time.monotonic() - start > 0.5  # noqa: E731
        assert failure(HubCancelledError, within=1.5, stall=30, cancelled=stop) == (
            f"{NAME}: the download was stopped; the next pull goes on where it ended"
        )
        assert api.cached(NAME) is None

    def test_stopping_while_the_hub_is_asked(self, hub: StandInHub) -> None:
        hub.fail("hang")
        start = time.monotonic()
        stop: Callable[[], bool] = lambda: time.monotonic() - start > 0.2  # noqa: E731
        message = failure(HubCancelledError, within=1.2, timeout=30, cancelled=stop)
        assert message.startswith(f"{NAME}: the download was stopped")

    def test_another_size_than_announced(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("size", path="/storage/", after=7)
        assert failure() == (
            f"{NAME}: source.spm came with 17 bytes instead of 10; it was deleted, pull again"
        )
        assert leftovers(cache) == []

    def test_a_wrong_content_length(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("length", path="/storage/", after=5)
        assert "source.spm came with 15 bytes instead of 10" in failure()
        assert leftovers(cache) == []

    @pytest.mark.parametrize(
        ("path", "file"), [("/storage/", "source.spm"), ("vocab", "vocab.json")]
    )
    def test_a_damaged_file_is_thrown_away(
        self, hub: StandInHub, cache: Path, path: str, file: str
    ) -> None:
        hub.add(NAME, MARIAN)
        hub.fail("corrupt", path=path)
        assert failure() == (
            f"{NAME}: {file} came damaged, its content does not match its checksum; it was "
            "deleted, pull again"
        )
        assert leftovers(cache) == []
        assert not list(cache.rglob(file))
        hub.recover()
        assert contents(pull()) == {name: MARIAN[name] for name in NEEDED}


class TestDisk:
    def test_too_little_room_is_seen_before_the_download(
        self, hub: StandInHub, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add(NAME, MARIAN)
        usage = shutil.disk_usage(cache.parent)._replace(free=1_000_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        assert failure() == (
            f"{NAME}: the disk of {cache} is full: 17.5 MB needed, 1.0 MB free; make room, or set "
            "HF_HOME to another disk"
        )
        assert [p for p in hub.paths() if "resolve" in p and "config.json" not in p] == []

    def test_a_disk_that_fills_up_meanwhile(
        self, hub: StandInHub, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add(NAME, MARIAN)
        real = Path.open

        class Full(io.FileIO):
            def write(self, data: Any) -> int:
                if self.tell() > 100_000:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return super().write(data)

        def opening(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if self.name.endswith(".incomplete") and "b" in mode and mode != "rb":
                return Full(self, "w")
            return real(self, mode, *args, **kwargs)

        monkeypatch.setattr(Path, "open", opening)
        assert failure() == (
            f"{NAME}: model.safetensors: the disk of {cache} is full; make room, or set HF_HOME to "
            "another disk"
        )
        assert leftovers(cache) == []
        assert api.cached(NAME) is None
        monkeypatch.setattr(Path, "open", real)
        assert contents(pull())["model.safetensors"] == WEIGHTS

    def test_a_cache_that_is_a_file(self, hub: StandInHub, cache: Path) -> None:
        hub.add(NAME, MARIAN)
        cache.write_text("in the way")
        message = failure()
        assert message.startswith(f"{NAME}: generation_config.json: {cache}")
        assert "cannot be used (" in message


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    make_checkpoint(folder)
    (folder / "README.md").write_text("---\nlicense: cc-by-2.0\n---\n\n# tiny\n\nA test.\n")
    (folder / "notes.txt").write_text("private notes")
    (folder / ".secret").write_text("private")
    return folder


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch, hub: StandInHub) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.token = TOKEN


def refused(folder: Path, name: str = "me/tiny", **options: Any) -> str:
    start = time.monotonic()
    with pytest.raises(HubError) as caught:
        api.push(folder, name, timeout=1.0, **options)
    assert time.monotonic() - start < 5
    message = str(caught.value)
    assert "\n" not in message
    assert TOKEN not in message
    assert caught.value.__cause__ is None or TOKEN not in repr(caught.value.__cause__)
    return message


@pytest.mark.usefixtures("logged_in")
class TestPush:
    def test_what_was_pushed_comes_back(self, hub: StandInHub, checkpoint: Path) -> None:
        told: list[tuple[int, int, str]] = []
        name = api.push(checkpoint, "me/tiny", progress=lambda *now: told.append(now))
        commit = hub.repositories["me/tiny"].refs["main"]
        assert name == f"me/tiny@{commit}"
        assert hub.repositories["me/tiny"].messages[-1] == "Upload tiny"
        assert told[-1][0] == told[-1][1] > 0
        folder = pull(name)
        ours, theirs = contents(checkpoint), contents(folder)
        assert set(theirs) == {"README.md", "config.json", "tokenizer.json", "model.safetensors"}
        for file in set(theirs) - {"README.md"}:
            assert theirs[file] == ours[file]
        card = theirs["README.md"].decode()
        assert card.endswith("\n# tiny\n\nA test.\n")
        for line in ("license: cc-by-2.0", "library_name: seq2seq-explorer", "- fr", "- en"):
            assert line in card
        found = api.inspect("me/tiny")
        assert (found.kind, found.license, found.languages) == (
            "seq2seq",
            "cc-by-2.0",
            ("fr", "en"),
        )

    def test_private_and_the_message(self, hub: StandInHub, checkpoint: Path) -> None:
        api.push(checkpoint, "me/tiny", private=True, message="First")
        assert hub.repositories["me/tiny"].private
        assert hub.repositories["me/tiny"].messages[-1] == "First"

    def test_private_cannot_be_had_where_it_is_public(
        self, hub: StandInHub, checkpoint: Path
    ) -> None:
        api.push(checkpoint, "me/tiny")
        assert refused(checkpoint, private=True) == (
            f"me/tiny exists and is public; make it private on {hub.url}/me/tiny/settings, or "
            "leave out --private"
        )

    def test_again_without_a_change(self, hub: StandInHub, checkpoint: Path) -> None:
        first = api.push(checkpoint, "me/tiny")
        notes: list[str] = []
        assert api.push(checkpoint, "me/tiny", note=notes.append) == first
        assert notes == []

    def test_weights_of_an_earlier_upload_go(self, hub: StandInHub, checkpoint: Path) -> None:
        api.push(checkpoint, "me/tiny")
        files = hub.repositories["me/tiny"].commits[hub.repositories["me/tiny"].refs["main"]]
        old = {"model-00001-of-00001.safetensors": b"old", "model.safetensors.index.json": b"{}"}
        hub.add("me/tiny", {**files, **old, "samples.txt": b"by somebody"})
        api.push(checkpoint, "me/tiny")
        repository = hub.repositories["me/tiny"]
        names = set(repository.commits[repository.refs["main"]])
        assert not names & set(old)
        assert "samples.txt" in names

    def test_a_card_that_people_have_edited_is_kept_and_that_is_said(
        self, hub: StandInHub, checkpoint: Path
    ) -> None:
        api.push(checkpoint, "me/tiny")
        repository = hub.repositories["me/tiny"]
        edited = b"---\nlicense: cc-by-2.0\n---\nBetter words.\n"
        hub.add("me/tiny", {**repository.commits[repository.refs["main"]], "README.md": edited})
        notes: list[str] = []
        api.push(checkpoint, "me/tiny", note=notes.append)
        assert notes == [
            "the card on the Hub says something else and was kept; --replace-card replaces it"
        ]
        assert repository.commits[repository.refs["main"]]["README.md"] == edited
        api.push(checkpoint, "me/tiny", note=notes.append, replace_card=True)
        assert notes[-1] == "the card on the Hub was replaced; its history keeps the old one"
        assert b"A test." in repository.commits[repository.refs["main"]]["README.md"]

    def test_a_card_without_text_is_filled_in(self, hub: StandInHub, checkpoint: Path) -> None:
        hub.add("me/tiny", {"README.md": b"---\nlicense: mit\n---\n"})
        notes: list[str] = []
        api.push(checkpoint, "me/tiny", note=notes.append)
        assert notes == []
        repository = hub.repositories["me/tiny"]
        assert b"A test." in repository.commits[repository.refs["main"]]["README.md"]

    def test_a_marian_folder(self, hub: StandInHub, tmp_path: Path) -> None:
        folder = tmp_path / "opus"
        folder.mkdir()
        for name, content in MARIAN.items():
            (folder / name).write_bytes(content)
        name = api.push(folder, "me/opus")
        assert sorted(contents(pull(name))) == NEEDED
        assert b"library_name: transformers" in contents(pull(name))["README.md"]


@pytest.mark.usefixtures("logged_in")
class TestPushRefused:
    def test_no_checkpoint(self, tmp_path: Path, checkpoint: Path) -> None:
        assert refused(tmp_path / "none") == (
            f"{tmp_path}/none: is not a folder; give the folder of a checkpoint"
        )
        assert refused(tmp_path) == (
            f"{tmp_path}: is not a checkpoint: its config.json is missing or of another kind of "
            "model"
        )
        (checkpoint / "tokenizer.json").unlink()
        assert refused(checkpoint) == (
            f"{checkpoint}/tokenizer.json: is missing; copy the whole checkpoint again"
        )

    def test_no_card_and_no_licence(self, checkpoint: Path) -> None:
        card = checkpoint / "README.md"
        card.write_text("# tiny\n")
        assert refused(checkpoint) == (
            f"{card}: names no licence; add 'license: cc-by-4.0', or whichever it is, between two "
            "lines --- at its top"
        )
        card.write_text("---\nlicense: [\n---\n# tiny\n")
        assert refused(checkpoint) == (
            f"{card}: the metadata between the lines --- cannot be read; correct it as YAML"
        )
        card.unlink()
        assert f"{card}: is missing; a model needs a card" in refused(checkpoint)

    def test_a_name_that_something_else_has(self, hub: StandInHub, checkpoint: Path) -> None:
        hub.add("me/tiny", MARIAN)
        assert refused(checkpoint) == (
            "me/tiny holds a model of type 'marian'; choose another name"
        )
        hub.add("me/tiny", {"train.csv": b"a,b"})
        assert refused(checkpoint) == (
            "me/tiny holds something else, 'train.csv' for one; choose another name"
        )

    def test_a_token_that_may_not(
        self, hub: StandInHub, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.token = "hf_another"
        assert refused(checkpoint) == (
            "me/tiny: the token may not write there; log in with `hf auth login` or set HF_TOKEN "
            "with a token that has the right to write to me"
        )
        assert "me/tiny" not in hub.repositories
        monkeypatch.delenv("HF_TOKEN")
        assert refused(checkpoint) == (
            "me/tiny: uploading needs a token; log in with `hf auth login` or set HF_TOKEN"
        )

    def test_a_token_that_is_none(self, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", TOKEN + "é")
        assert "the token in HF_TOKEN or `hf auth` holds odd characters" in refused(checkpoint)
        assert "holds odd characters" in failure()

    def test_offline_and_revisions(self, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert refused(checkpoint, "me/tiny@main") == (
            "'me/tiny@main': leave out what follows the @; main is written"
        )
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert "nothing can be uploaded while HF_HUB_OFFLINE is set" in refused(checkpoint)

    def test_a_storage_that_fails(self, hub: StandInHub, checkpoint: Path) -> None:
        hub.fail("status", method="PUT", status=403)
        assert refused(checkpoint).startswith("me/tiny: the token may not write there")

    def test_stopping_and_giving_up(self, hub: StandInHub, checkpoint: Path) -> None:
        hub.fail("hang", path="/api/repos/create")
        assert "gave no answer within 0.5 s" in refused(checkpoint, patience=0.5)
        start = time.monotonic()
        stop: Callable[[], bool] = lambda: time.monotonic() - start > 0.3  # noqa: E731
        assert refused(checkpoint, cancelled=stop) == (
            "me/tiny: the upload was stopped; the model is as before"
        )


class TestCommandLine:
    def test_pull_prints_the_folder(
        self, hub: StandInHub, capsys: pytest.CaptureFixture[str]
    ) -> None:
        commit = hub.add(NAME, MARIAN)
        assert main(["pull", NAME]) == 0
        out, err = capsys.readouterr()
        assert Path(out.rstrip("\n")).name == commit
        assert err == ""
        assert main(["pull", f"{NAME}@{commit}", "--offline"]) == 0
        assert capsys.readouterr().out == out

    def test_notes_go_to_stderr(self, hub: StandInHub, capsys: pytest.CaptureFixture[str]) -> None:
        hub.add(NAME, MARIAN)
        main(["pull", NAME])
        hub.fail("status", status=502)
        capsys.readouterr()
        assert main(["pull", NAME]) == 0
        out, err = capsys.readouterr()
        assert out.count("\n") == err.count("\n") == 1
        assert err.startswith(f"seq2seq: the copy of {NAME} that was pulled earlier is used")

    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            (["pull", "nonsense"], 2, "'nonsense' is no model of the Hub: write OWNER/NAME"),
            (["pull", "a/b"], 2, "a/b is not on http://127.0.0.1:"),
            (["pull", NAME, "--offline"], 1, "no network may be used; pull it once without"),
            (["push", "nowhere", "a/b"], 2, "nowhere: is not a folder"),
        ],
    )
    def test_errors_are_one_line(
        self, words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(words) == status
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("seq2seq: error: ")
        assert err.count("\n") == 1
        assert message in err

    def test_a_failure_has_status_1(
        self, hub: StandInHub, capsys: pytest.CaptureFixture[str]
    ) -> None:
        hub.fail("status", status=500)
        assert main(["pull", NAME]) == 1
        assert "has a fault of its own" in capsys.readouterr().err

    @pytest.mark.parametrize("fault", [None, ("status", 401), ("status", 500), ("status", 403)])
    def test_the_token_is_nowhere_in_the_output(
        self, hub: StandInHub, checkpoint: Path, fault: tuple[str, int] | None
    ) -> None:
        if fault is not None:
            hub.fail(fault[0], path="commit", status=fault[1])
        environment = {**os.environ, "HF_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "seq2seq", "push", str(checkpoint), "me/tiny"],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert TOKEN not in done.stdout + done.stderr
        if fault is None:
            commit = hub.repositories["me/tiny"].refs["main"]
            assert (done.returncode, done.stdout, done.stderr) == (0, f"me/tiny@{commit}\n", "")
        else:
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.count("\n") == 1
            assert done.stderr.startswith("seq2seq: error: me/tiny")


def test_the_stand_in_runs_in_a_process_of_its_own(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "served" / "org" / "opus"
    folder.mkdir(parents=True)
    for name, content in MARIAN.items():
        (folder / name).write_bytes(content)
    command = [sys.executable, str(ROOT / "tests" / "stand_in_hub.py"), str(tmp_path / "served")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            fault = json.dumps({"kind": "status", "status": 503}).encode()
            urllib.request.urlopen(f"{url}/stand-in/faults", data=fault, timeout=5).close()
            assert "status 503" in failure(HubUnreachableError, endpoint=url)
            request = urllib.request.Request(f"{url}/stand-in/faults", method="DELETE")
            urllib.request.urlopen(request, timeout=5).close()
            assert sorted(contents(pull(endpoint=url))) == NEEDED
        finally:
            process.terminate()
