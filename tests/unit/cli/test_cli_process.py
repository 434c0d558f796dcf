"""The command line as a shell sees it."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_support import ROOT, Run, environment, refused
from support import FRENCH


class TestProcess:
    """The same, as a shell sees it."""

    def start(self, models: Path, *words: str, **options: Any) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "seq2seq", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            env=environment(models),
            cwd=models,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            **options,
        )

    def test_a_pipe(self, models: Path) -> None:
        process = self.start(models, "translate", "--model", "tiny", "--max-length", "3")
        out, err = process.communicate(b"Le chat.\n\nLe chien.\n")
        assert (process.returncode, err) == (0, b"")
        assert out.count(b"\n") == 3

    def test_a_progress_bar_on_a_terminal_only(self, models: Path) -> None:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 100))
        command = [sys.executable, "-m", "seq2seq", "translate", "--model", "tiny"]
        done = subprocess.run(
            [*command, "--max-length", "2"],
            env=environment(models),
            input="\n".join(FRENCH[:9]).encode(),
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=True,
        )
        os.close(theirs)
        assert done.stdout.count(b"\n") == 9
        assert b"9line" in os.read(ours, 100_000)
        os.close(ours)

    def test_output_is_utf8_in_any_locale(self, models: Path) -> None:
        script = "import sys; from seq2seq.cli import main; sys.exit(main())"
        environ = {**environment(models), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
        done = subprocess.run(
            [sys.executable, "-c", script, "translate", "--model", "tiny", "--json"],
            input="Le cœur 🐈".encode(),
            env=environ,
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout)["source"]["text"] == "Le cœur 🐈"

    def test_a_closed_pipe_is_quiet(self, models: Path) -> None:
        process = self.start(models, "translate", "--model", "tiny", "--max-length", "2", "--json")
        assert process.stdout is not None
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.write("\n".join(FRENCH[:20]).encode())
        process.stdin.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 141
        process.stderr.close()

    @pytest.mark.parametrize(("closed", "out"), [("<&-", ""), (">&-", ""), ("2>&-", "lines")])
    def test_a_closed_stream_is_an_empty_one(self, models: Path, closed: str, out: str) -> None:
        command = [sys.executable, "-m", "seq2seq", "translate", "--model", "tiny"]
        done = subprocess.run(
            ["/bin/sh", "-c", f'"$@" {closed}', "sh", *command, "--max-length", "3"],
            input=b"Le chat.\n",
            env=environment(models),
            cwd=models,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b"\n") == (1 if out else 0)

    @pytest.fixture
    def heard_interrupts(self) -> Iterator[None]:
        """A shell starts background jobs deaf to Ctrl-C, and their children inherit that."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    @pytest.mark.usefixtures("heard_interrupts")
    def test_ctrl_c_is_quiet_and_ends_with_130(self, models: Path) -> None:
        process = self.start(models, "translate", "--model", "tiny", "--max-length", "2", "--json")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(FRENCH[:150]).encode())
        process.stdin.flush()
        assert process.stdout.read(1) == b"{"  # a first chunk is done, now it waits for more
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert (process.returncode, err) == (130, b"")

    def test_help_does_not_load_torch(self) -> None:
        script = (
            "import sys; from seq2seq.cli import main; status = main(['translate', '--help']);"
            "assert status == 0; import seq2seq;"
            "print(sorted({'torch', 'numpy', 'sacrebleu', 'tqdm'} & set(sys.modules)))"
        )
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environ, capture_output=True, check=True
        )
        assert done.stdout.splitlines()[-1] == b"[]"

    def test_no_command_is_one_line(self, run: Run) -> None:
        assert "required: COMMAND" in refused(run())
        assert "invalid choice: 'fly'" in refused(run("fly"))
