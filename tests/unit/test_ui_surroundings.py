import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from seq2seq.ui import surroundings
from seq2seq.ui.surroundings import settle

CACHE = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")
Lock = Callable[[Path], None]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, a home, and no variables."""
    for name in (*CACHE, "GRADIO_TEMP_DIR"):
        monkeypatch.setenv(name, "")  # so that what is set in between is undone
        monkeypatch.delenv(name)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Lock:
    """Makes folders read-only, for the administrator too."""
    locked: list[Path] = []
    access = os.access

    def answer(path: Path, mode: int) -> bool:
        closed = any(Path(path).is_relative_to(folder) for folder in locked)
        return not closed and access(path, mode)

    monkeypatch.setattr(surroundings.os, "access", answer)
    return locked.append


def test_nothing_changes_where_all_can_be_written(temporary: Path) -> None:
    settle()
    assert not any(name in os.environ for name in (*CACHE, "GRADIO_TEMP_DIR"))
    assert list(temporary.iterdir()) == []


def test_a_read_only_home(temporary: Path, lock: Lock) -> None:
    lock(temporary.parent / "home")
    settle()
    cache = Path(os.environ["HF_HUB_CACHE"])
    assert cache.parent.parent == temporary
    assert cache.parent.stat().st_mode & 0o777 == 0o700
    settle()
    assert Path(os.environ["HF_HUB_CACHE"]) == cache  # the next start finds its models again


def test_no_home_at_all(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nowhere)
    settle()
    assert Path(os.environ["HF_HUB_CACHE"]).is_relative_to(temporary)


@pytest.mark.parametrize("variable", CACHE)
def test_what_the_operator_chose_stays_if_it_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: Lock, variable: str
) -> None:
    lock(tmp_path / "home")
    monkeypatch.setenv(variable, str(tmp_path / "chosen" / "later"))
    settle()
    assert os.environ[variable] == str(tmp_path / "chosen" / "later")
    assert variable == "HF_HUB_CACHE" or "HF_HUB_CACHE" not in os.environ


def test_a_read_only_cache_with_models_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: Lock
) -> None:
    (tmp_path / "data" / "hub" / "models--a--b").mkdir(parents=True)
    lock(tmp_path / "data")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "data"))
    settle()
    assert "HF_HUB_CACHE" not in os.environ


def test_folders_of_other_people_are_left_alone(temporary: Path, lock: Lock) -> None:
    """Whoever may write there could put models there."""
    lock(temporary.parent / "home")
    user = os.getuid() if hasattr(os, "getuid") else 0
    theirs = temporary / f"seq2seq-explorer-{user}"
    theirs.mkdir()
    theirs.chmod(0o777)
    settle()
    cache = Path(os.environ["HF_HUB_CACHE"])
    assert cache.is_relative_to(temporary)
    assert not cache.is_relative_to(theirs)


def test_gradios_folder_may_belong_to_somebody_else(temporary: Path, lock: Lock) -> None:
    (temporary / "gradio").mkdir()
    lock(temporary / "gradio")
    settle()
    assert Path(os.environ["GRADIO_TEMP_DIR"]).is_relative_to(temporary)


def test_no_place_at_all_is_no_error(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, lock: Lock
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    lock(Path("/"))
    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    settle()
    assert "HF_HUB_CACHE" not in os.environ
