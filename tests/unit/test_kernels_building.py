"""The operators are built safely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from seq2seq import kernels
from seq2seq.kernels import library


class TestBuilding:
    @pytest.fixture(autouse=True)
    def fresh(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """As in a new process of somebody whose cache is empty."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(library, "_opened", [])
        self.loads: list[str] = []

        def open_(path: Path) -> SimpleNamespace:
            self.loads.append(str(path))
            return SimpleNamespace(seq2seq_set_threads=lambda _: None)

        monkeypatch.setattr(library, "_open", open_)
        library._path.cache_clear()
        yield
        library._path.cache_clear()

    def compiler(self, path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
        path.mkdir()
        tool = path / "c++"
        tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        tool.chmod(0o755)
        monkeypatch.setenv("CXX", str(tool))

    def test_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.compiler(
            tmp_path / "bin",
            monkeypatch,
            'for last; do :; done; echo built >> "$0.log"; : > "$last"',
        )
        assert not kernels.load()
        assert kernels.build()
        (built,) = (tmp_path / "seq2seq-explorer").iterdir()
        assert self.loads == [str(built)]
        monkeypatch.setattr(library, "_opened", [])
        assert kernels.load()
        assert kernels.build()
        assert (tmp_path / "bin" / "c++.log").read_text().count("built") == 1

    def test_not_when_unwanted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SEQ2SEQ_KERNELS", "off")
        assert not kernels.build()
        assert self.loads == []

    def test_a_compiler_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.compiler(tmp_path / "bin", monkeypatch, "echo no such processor >&2; exit 1")
        assert not kernels.build()
        assert list((tmp_path / "seq2seq-explorer").iterdir()) == []

    def test_no_compiler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.which", lambda _: None)
        assert not kernels.build()

    def test_a_library_that_cannot_be_loaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.compiler(tmp_path / "bin", monkeypatch, 'for last; do :; done; : > "$last"')

        def fail(_: Path) -> None:
            raise OSError("wrong ELF class")

        monkeypatch.setattr(library, "_open", fail)
        assert not kernels.build()
        assert not kernels.loaded()

    def test_a_folder_that_others_can_write_to_is_not_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        open_to_all = tmp_path / "seq2seq-explorer"
        open_to_all.mkdir()
        open_to_all.chmod(0o777)
        other = tmp_path / "tmp"
        other.mkdir()
        monkeypatch.setattr("tempfile.gettempdir", lambda: str(other))
        assert library._path().parent == other / f"seq2seq-explorer-{os.getuid()}"

    def test_a_library_that_others_can_change_is_not_loaded(self) -> None:
        path = library._path()
        path.touch()
        path.chmod(0o666)
        assert not kernels.load()
        assert self.loads == []
