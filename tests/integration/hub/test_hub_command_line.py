"""`seq2seq pull` and `seq2seq push`: one line each, and never the token."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_support import MARIAN, NAME, ROOT, TOKEN
from stand_in_hub import StandInHub

from seq2seq.cli import main


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
