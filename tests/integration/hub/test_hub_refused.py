"""What the Hub refuses, and models that are not taken from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hub_support import MARIAN, NAME, NEEDED, TOKEN, WEIGHTS, contents, failure, pull
from stand_in_hub import StandInHub, git_id

from seq2seq import hub as api
from seq2seq.hub import HubInputError, HubUnreachableError


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
