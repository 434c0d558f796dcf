"""With a stand-in for ``spaces`` that forks and pickles as ZeroGPU does; there is no GPU here."""

import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from seq2seq.catalogue import embedded_folders
from seq2seq.translator import TranslatorError
from seq2seq.ui.operator import NO_HUB
from seq2seq.ui.service import Request, RequestError, Service
from seq2seq.ui.zero import ZeroPool, on_zero_gpu

NAME = next(iter(embedded_folders()))
REQUEST = Request(text="Le chat dort sur la table.", model=NAME, direction="fr-en")


class Lender:
    """Lends a process for each call, or refuses to."""

    def __init__(self) -> None:
        self.processes: list[int | None] = []
        self.refuses = False
        self.duration = 0

    def gpu(self, task: Callable[..., Iterator[Any]], *, duration: int) -> Callable[..., Any]:
        self.duration = duration

        def lent(*arguments: Any) -> Iterator[Any]:
            if self.refuses:
                raise RuntimeError("no GPU is free")
            queue: Any = fork.SimpleQueue()
            process = fork.Process(target=work, args=(queue, task, pickle.dumps(arguments)))
            process.start()
            self.processes.append(process.pid)
            try:
                while (found := queue.get())[0] == "result":
                    yield pickle.loads(found[1])
            finally:
                process.terminate()
                process.join()
            if found[0] == "error":
                raise RuntimeError(found[1])

        return lent


fork = multiprocessing.get_context("fork")


def work(queue: Any, task: Callable[..., Iterator[Any]], arguments: bytes) -> None:
    try:
        for result in task(*pickle.loads(arguments)):
            queue.put(("result", pickle.dumps(result)))
    except Exception as error:
        queue.put(("error", type(error).__name__))  # what it says does not come through
    else:
        queue.put(("end",))


@pytest.fixture
def lender(monkeypatch: pytest.MonkeyPatch) -> Lender:
    lender = Lender()
    module: Any = ModuleType("spaces")
    module.GPU = lender.gpu
    monkeypatch.setitem(sys.modules, "spaces", module)
    return lender


@pytest.fixture
def service(lender: Lender) -> Service:
    service = Service(operator=NO_HUB)
    service.pool = ZeroPool(service.operator.memory_bytes)
    return service


def plain(found: Any) -> Any:
    """A Translation without the times it took."""
    return found.to_dict() | {"timing": None}


@pytest.mark.parametrize("refuses", [False, True])
def test_same_translations_with_and_without_a_gpu(
    service: Service, lender: Lender, refuses: bool
) -> None:
    lender.refuses = refuses
    wanted = list(Service(operator=NO_HUB).translate(REQUEST))
    found = list(service.translate(REQUEST))
    assert list(map(plain, found)) == list(map(plain, wanted))
    assert len(lender.processes) == (0 if refuses else 1)
    assert os.getpid() not in lender.processes
    assert 0 < lender.duration < 60


def test_lists_and_what_words_change_go_there_too(service: Service, lender: Lender) -> None:
    here = Service(operator=NO_HUB)
    *_, translation = here.translate(REQUEST)
    assert repr(service.occlusion(translation)) == repr(here.occlusion(translation))
    texts = ["Le chat dort.", "", "Bonjour."]
    found, wanted = (s.translate_all(REQUEST, texts) for s in (service, here))
    assert [f.text for f in found] == [w.text for w in wanted]
    assert len(lender.processes) == 2


def test_a_wrong_request_says_what_is_wrong(service: Service, lender: Lender) -> None:
    with pytest.raises(RequestError, match="cannot translate"):
        list(service.translate(Request(text="Oui", model=NAME, direction="xx-en")))
    with pytest.raises(TranslatorError, match="pieces"):
        list(
            service.translate(
                Request(text="Oui", model=NAME, direction="fr-en", prefix=("a " * 400,))
            )
        )
    assert lender.processes == []
    with pytest.raises(ValueError, match="pieces"):
        service.translate_all(REQUEST, ["a " * 400])


def test_who_stops_reading_ends_the_work(service: Service, lender: Lender) -> None:
    stream = service.translate(REQUEST)
    next(iter(stream))
    stream.close()  # type: ignore[attr-defined]
    assert fork.active_children() == []
    assert len(lender.processes) == 1


@pytest.mark.parametrize(
    ("value", "wanted"), [("true", True), ("1", True), ("", False), ("false", False)]
)
def test_zero_gpu_is_known_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, value: str, wanted: bool
) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", value)
    monkeypatch.setattr("seq2seq.ui.zero.find_spec", lambda name: object())
    assert on_zero_gpu() is wanted
    monkeypatch.setattr("seq2seq.ui.zero.find_spec", lambda name: None)
    assert not on_zero_gpu()
