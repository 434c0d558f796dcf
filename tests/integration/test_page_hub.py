"""The page's models from a Hub: listed, named by somebody, the operator's own."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from marian_support import SHAPES, marian_folder, sample_lines
from stand_in_hub import StandInHub

from seq2seq.hub import HubError
from seq2seq.ui.operator import Listed, Operator
from seq2seq.ui.service import Request, RequestError, Service

MODEL = "org/opus-mt-fr-en"
LISTED = (Listed(MODEL, (("fr", "en"),)),)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("models")
    tags = next(shape for shape in SHAPES if shape.tags)
    return marian_folder(root / "one"), marian_folder(root / "many", tags)


@pytest.fixture
def hub(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StandInHub]:
    with StandInHub() as stand_in:
        stand_in.add(MODEL, folders[0])
        stand_in.add("org/opus-mt-en-mul", folders[1])
        stand_in.add("org/bert", {"config.json": b'{"model_type": "bert"}'})
        monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        yield stand_in


def request(model: str = MODEL, direction: str = "fr-en") -> Request:
    return Request(text=sample_lines("fr")[0], model=model, direction=direction, beam=2)


def test_a_listed_model_is_downloaded_when_it_is_first_used(hub: StandInHub) -> None:
    service = Service(operator=Operator(hub="listed", listed=LISTED))
    assert service.models[MODEL].remote
    assert not hub.requests  # nobody has asked for it
    *_, translation = service.translate(request())
    assert translation.complete
    assert translation.model.name == MODEL
    assert not service.models[MODEL].remote
    assert "2+2 layers, 32 wide" in service.models[MODEL].line
    before = len(hub.requests)
    *_, again = service.translate(request())
    assert again.text == translation.text
    assert len(hub.requests) == before
    assert service.occlusion(translation).words


def test_what_was_downloaded_is_there_after_a_restart_without_a_hub(hub: StandInHub) -> None:
    for _ in Service(operator=Operator()).add(MODEL):
        pass
    hub.fail("status", status=500)
    service = Service(operator=Operator())
    assert not service.models[MODEL].remote
    *_, translation = service.translate(request())
    assert translation.complete
    assert MODEL not in Service(operator=Operator(hub="off")).models
    assert MODEL not in Service(operator=Operator(hub="listed")).models


def test_a_model_of_several_targets_speaks_them_all(hub: StandInHub) -> None:
    service = Service(operator=Operator())
    list(service.add(" org/opus-mt-en-mul "))
    model = service.models["org/opus-mt-en-mul"]
    assert model.directions == (("en", "fr"), ("en", "de"), ("en", "zh-Hans"), ("en", "he"))
    assert "English → Chinese (Simplified)" in model.line
    for direction in ("en-zh-Hans", "en-he"):
        *_, translation = service.translate(request(model.name, direction))
        assert translation.target_language == direction.partition("-")[2]
        assert translation.source.words[0].special


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bert", "is no model of the Hub: write OWNER/NAME"),
        ("org/bert", "org/bert is a 'bert' model; only Marian"),
        ("org/none", "org/none is not on"),
        ("../etc", "is no model of the Hub"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(
    hub: StandInHub, name: str, message: str
) -> None:
    service = Service(operator=Operator())
    with pytest.raises(ValueError, match=message) as raised:
        list(service.add(name))
    assert "\n" not in str(raised.value)
    assert name not in service.models


def test_only_listed_models_where_the_operator_says_so(hub: StandInHub) -> None:
    service = Service(operator=Operator(hub="listed", listed=LISTED))
    with pytest.raises(RequestError, match="only the listed models"):
        list(service.add("org/opus-mt-en-mul"))
    list(service.add(MODEL))
    assert not service.models[MODEL].remote


def test_too_large_a_model_is_refused_before_it_comes(hub: StandInHub) -> None:
    service = Service(operator=Operator(download_bytes=1000))
    with pytest.raises(HubError, match="the limit is"):
        list(service.add(MODEL))
    assert not [path for path in hub.requests if "safetensors" in str(path)]


def test_two_who_wait_share_one_download(hub: StandInHub) -> None:
    service = Service(operator=Operator(listed=LISTED))
    threads = [threading.Thread(target=lambda: list(service.fetch(MODEL))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    weights = [r for r in hub.requests if "GET" in str(r) and "model.safetensors" in str(r)]
    assert len(weights) <= 2  # with the redirect
    assert not service.models[MODEL].remote


def test_when_nobody_waits_any_more_the_download_ends(hub: StandInHub) -> None:
    hub.fail("stall", path="/storage/", after=1000)
    service = Service(operator=Operator(listed=LISTED))
    waiting = service.fetch(MODEL)
    next(waiting)
    name = f"pull {MODEL}"
    assert name in {thread.name for thread in threading.enumerate()}
    waiting.close()  # type: ignore[attr-defined]
    end = time.monotonic() + 10
    while name in {thread.name for thread in threading.enumerate()} and time.monotonic() < end:
        time.sleep(0.05)
    assert name not in {thread.name for thread in threading.enumerate()}
    hub.recover()
    list(service.fetch(MODEL))  # goes on where it ended
    assert not service.models[MODEL].remote


def test_the_operators_own_models_take_the_place_of_the_embedded_ones(hub: StandInHub) -> None:
    service = Service(operator=Operator(models=(MODEL,), hub="off"))
    assert "fr-en-transformer" in service.models  # as long as they are not here
    service.prepare()
    assert list(service.models) == [MODEL]


def test_without_a_hub_the_embedded_models_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    service = Service(operator=Operator(models=("no/where",), hub="listed", listed=LISTED))
    service.prepare()
    assert next(iter(service.models)) == "fr-en-transformer"
    with pytest.raises(HubError, match="cannot be reached"):
        list(service.translate(request()))


@pytest.mark.parametrize("revision", ["main", "the commit"])
def test_a_revision_can_be_named_and_used_like_any_model(hub: StandInHub, revision: str) -> None:
    commit = hub.repositories[MODEL].refs["main"]
    name = f"{MODEL}@{commit if revision == 'the commit' else revision}"
    service = Service(operator=Operator())
    list(service.add(name))
    assert not service.models[name].remote
    *_, translation = service.translate(request(name))
    assert translation.model.name == name
    assert service.occlusion(translation).words


def test_a_model_in_memory_needs_its_files_no_more(
    hub: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(operator=Operator())
    list(service.add(MODEL))
    shutil.rmtree(tmp_path / "cache")
    hub.fail("status", status=500)
    *_, translation = service.translate(request())
    assert translation.complete


def test_one_broken_model_takes_no_other_away(hub: StandInHub, folders: tuple[Path, Path]) -> None:
    files = {path.name: path.read_bytes() for path in folders[0].iterdir()}
    hub.add("evil/opus-mt-fr-en", files | {"generation_config.json": b'{"max_length": "x"}'})
    service = Service(operator=Operator())
    with pytest.raises(ValueError, match="max_length"):
        list(service.add("evil/opus-mt-fr-en"))
    list(service.add(MODEL))
    assert MODEL in service.models
    assert MODEL in Service(operator=Operator()).models  # after a restart


def test_a_folder_of_the_same_name_does_not_hide_a_model(
    hub: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / MODEL).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    service = Service(operator=Operator())
    list(service.add(MODEL))
    assert not service.models[MODEL].remote
