"""Without a Hub: what was pulled is used, all else is one clear line within seconds."""

from __future__ import annotations

import logging
import socket
import time
from pathlib import Path

import pytest
from hub_support import MARIAN, NAME, WEIGHTS, contents, failure, pull
from stand_in_hub import Repository, StandInHub

from seq2seq import hub as api
from seq2seq.hub import HubInputError, HubUnreachableError


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
