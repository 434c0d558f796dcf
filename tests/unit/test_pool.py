import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import cpu_only, make_checkpoint  # noqa: F401

from seq2seq import Translator
from seq2seq.catalogue import FOLDER_VARIABLE, ModelNotFoundError
from seq2seq.checkpoint import CheckpointError
from seq2seq.pool import TranslatorPool


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a", "b", "c"):
        make_checkpoint(tmp_path / name)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def size() -> int:
    return Translator.load("a").memory_bytes


def test_loads_once_under_any_name(folder: Path) -> None:
    pool = TranslatorPool(10**9)
    first = pool.get("a")
    assert pool.get("a") is first
    assert pool.get(str(folder / "a")) is first
    assert pool.get(str(folder / "b" / ".." / "a")) is first
    assert pool.loaded == ("a",)


def test_the_least_recently_used_leaves(size: int) -> None:
    pool = TranslatorPool(2 * size)
    first = pool.get("a")
    pool.get("b")
    assert pool.get("a") is first
    pool.get("c")
    assert pool.loaded == ("a", "c")
    assert pool.memory_bytes <= 2 * size
    assert pool.get("a") is first


def test_who_has_left_keeps_working_while_in_use_and_is_freed_after(size: int) -> None:
    pool = TranslatorPool(size)
    held = pool.get("a")
    wanted = held.translate("Le chat.").text
    pool.get("b")
    assert pool.loaded == ("b",)
    assert held.translate("Le chat.").text == wanted
    gone = weakref.ref(held)
    del held
    gc.collect()
    assert gone() is None


def test_one_model_above_the_budget_is_still_served() -> None:
    pool = TranslatorPool(1)
    assert pool.get("a").translate("Le chat.").complete
    assert pool.loaded == ("a",)
    pool.get("b")
    assert pool.loaded == ("b",)


def test_many_threads_get_the_same_one() -> None:
    pool = TranslatorPool(10**9)
    barrier = threading.Barrier(8)

    def ask(name: str) -> Translator:
        barrier.wait()
        return pool.get(name)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, ["a", "b"] * 4))
    assert len({id(translator) for translator in found}) == 2
    assert sorted(pool.loaded) == ["a", "b"]


def test_threads_fighting_over_a_small_budget_all_get_what_they_asked_for(size: int) -> None:
    pool = TranslatorPool(size)

    def ask(name: str) -> str:
        translator = pool.get(name)
        assert translator.translate("Le chat.").complete
        return translator.info.name

    with ThreadPoolExecutor(6) as threads:
        names = ["a", "b", "c"] * 6
        assert list(threads.map(ask, names)) == names
    assert len(pool.loaded) == 1


def test_a_model_that_cannot_be_loaded_can_be_asked_for_again(folder: Path) -> None:
    pool = TranslatorPool(10**9)
    weights = folder / "a" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    with pytest.raises(CheckpointError):
        pool.get("a")
    assert pool.loaded == ()
    weights.write_bytes(whole)
    assert pool.get("a").translate("Le chat.").complete
    with pytest.raises(ModelNotFoundError):
        pool.get("d")


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="memory_budget_bytes is 0"):
        TranslatorPool(0)
