"""What is pushed comes back, and what must not be pushed is refused in one line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_support import MARIAN, NEEDED, TOKEN, contents, failure, pull
from stand_in_hub import StandInHub

from seq2seq import hub as api
from seq2seq.hub import HubError


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
