import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import make_checkpoint

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.translator import BusyError
from seq2seq.ui import wording
from seq2seq.ui.service import (
    MAX_CHARACTERS,
    MAX_SENT,
    Request,
    RequestError,
    Service,
    TooSlowError,
)

SENTENCE = "Le chat voit la maison."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    make_checkpoint(root / "a-gru", architecture="gru-additive")
    make_checkpoint(root / "fr-en-transformer", search=SearchConfig(beam=2, length_penalty=0.6))
    make_checkpoint(
        root / "many",
        architecture="lstm",
        languages=("fr", "en", "de"),
        directions=(("fr", "en"), ("en", "fr")),
        target_tags=True,
    )
    return root


@pytest.fixture
def service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return Service()


def request(**changes: object) -> Request:
    values = {"text": SENTENCE, "model": "fr-en-transformer", "direction": "fr-en", "beam": 3}
    return Request(**(values | changes))  # type: ignore[arg-type]


def test_models_come_from_the_folder_the_best_one_first(service: Service) -> None:
    assert list(service.models) == ["fr-en-transformer", "a-gru", "many"]
    first = service.models["fr-en-transformer"]
    assert first.line.startswith("Transformer, 1+2 layers")
    assert first.line.endswith("French → English")
    assert (first.search.beam, first.search.length_penalty) == (2, 0.6)
    assert service.models["many"].directions == (("fr", "en"), ("en", "fr"))


def test_no_models_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert Service().models == {}
    with pytest.raises(RequestError, match="no model"):
        next(Service().translate(request()))


def test_partial_translations_first_then_the_complete_one(service: Service) -> None:
    found = list(service.translate(request()))
    assert [t.complete for t in found] == [False] * (len(found) - 1) + [True]
    assert len(found) > 2
    last = found[-1]
    assert last.trace is not None
    assert last.source.text == SENTENCE
    assert last.search.beam == 3


def test_the_document_is_what_the_translator_gives(service: Service) -> None:
    *_, last = service.translate(request(beam=2, length_penalty=0.5, n_best=2, max_length=7))
    direct = service.pool.get("fr-en-transformer").translate(
        SENTENCE, source="fr", target="en", beam=2, length_penalty=0.5, n_best=2, max_length=7
    )
    assert last.text == direct.text
    assert last.score == pytest.approx(direct.score)
    assert len(last.n_best) == 2


def test_more_results_than_the_beam_are_cut_down_to_it(service: Service) -> None:
    *_, last = service.translate(request(beam=2, n_best=9))
    assert len(last.n_best) <= 2


def test_sampling_draws_as_many_as_asked(service: Service) -> None:
    *_, last = service.translate(
        request(sampling=SamplingConfig(seed=3, top_k=5), n_best=4, beam=5)
    )
    assert last.search.sampling == SamplingConfig(seed=3, top_k=5)
    assert len(last.n_best) == 4


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u00a0", "\x00\x07", "\u200b\u200d"])
def test_nothing_to_translate(service: Service, text: str) -> None:
    with pytest.raises(RequestError, match=wording.EMPTY):
        next(service.translate(request(text=text)))


def test_too_long_states_count_and_limit(service: Service) -> None:
    with pytest.raises(RequestError, match=r"10,000 characters; the limit is 500"):
        next(service.translate(request(text="x" * 10_000)))
    with pytest.raises(RequestError, match="100,000 or more characters"):
        next(service.translate(request(text="x" * MAX_SENT)))
    with pytest.raises(RequestError, match="501"):
        next(service.translate(request(text="x" * (MAX_CHARACTERS + 1))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "nobody"}, "no model “nobody”"),
        ({"model": "../../etc"}, "no model"),
        ({"direction": "en-fr"}, "cannot translate en-fr"),
        ({"direction": ""}, "cannot translate"),
        ({"beam": 0}, "beam"),
        ({"length_penalty": -1.0}, "length_penalty"),
        ({"max_length": 5000}, "max_length"),
        ({"text": "😀" * 400}, "pieces"),
    ],
)
def test_requests_that_cannot_be_served_get_one_line(
    service: Service, changes: dict, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        list(service.translate(request(**changes)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["😀", "قطة تجلس", "<b>x</b> <img src=x onerror=alert(1)>", "a\x00b", "\u202egnp", "${1+1}",
     "{{value}}", "猫", "." * 200],
)  # fmt: skip
def test_odd_input_is_translated(service: Service, text: str) -> None:
    *_, last = service.translate(request(text=text, beam=1))
    assert last.complete
    assert last.source.text == text


def test_a_crowd_is_told_in_plain_words(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = service.pool.get("fr-en-transformer")

    def busy(*_: object) -> None:
        raise BusyError("256 requests are waiting")

    monkeypatch.setattr(translator._engine._singles, "run", busy)
    monkeypatch.setattr(translator._engine._lists, "run", busy)
    with pytest.raises(RequestError, match=re.escape(wording.CROWDED)):
        list(service.translate(request()))
    with pytest.raises(RequestError, match=re.escape(wording.CROWDED)):
        service.translate_all(request(), ["Le chat.", "Le chien."])


def test_a_model_has_as_many_workers_as_the_machine_has_cores(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    line = Service().pool.get("fr-en-transformer")._engine._singles
    assert len(line._free) == 3


def test_deadline_stops_a_slow_translation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    stream = Service(seconds=0.0).translate(request())
    assert not next(stream).complete
    with pytest.raises(TooSlowError, match="Stopped after 0 seconds"):
        list(stream)


def test_warming_loads_the_first_model(service: Service) -> None:
    service.warm().join()
    assert service.pool.loaded == ("fr-en-transformer",)


def test_warming_without_a_model_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    service = Service()
    service.warm().join()
    assert service.pool.loaded == ()
