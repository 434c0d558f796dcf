"""The page starts as in a container or a Space: nothing can be written but temporary files."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from gradio_client import Client

ROOT = Path(__file__).parents[2]
SECONDS = 60
# Without its capabilities the administrator cannot write to read-only folders either.
_PLAIN = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


@dataclass(frozen=True)
class Place:
    """A copy of what the image holds, and an environment for it."""

    app: Path
    temporary: Path
    environment: dict[str, str]

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        drop = _PLAIN if os.getuid() == 0 and shutil.which(_PLAIN[0]) else []
        return subprocess.Popen(
            [*drop, sys.executable, "app.py", *arguments],
            cwd=self.app,
            env=self.environment | variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    app, home, temporary = (tmp_path / name for name in ("app", "home", "tmp"))
    for folder in (app, home, temporary):
        folder.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, app / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, app)
    locked = [path for top in (app, home) for path in (top, *top.rglob("*")) if path.is_dir()]
    for folder in locked:
        folder.chmod(0o555)
    yield Place(
        app,
        temporary,
        {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody answers there
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(free_port()),
        },
    )
    for folder in locked:
        folder.chmod(0o755)


def copied() -> list[str]:
    """What the Dockerfile puts into the image."""
    lines = re.findall(r"^COPY (.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M)
    return [name for line in lines for name in line.split()[:-1]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            assert urllib.request.urlopen(url, timeout=5).status == 200
        except OSError:
            time.sleep(0.1)
        else:
            return
    process.kill()
    pytest.fail(f"the page did not start:\n{process.communicate()[1]}")


def test_read_only_without_a_network(place: Place) -> None:
    """It starts, translates, writes nowhere but to the temporary folder, and ends when told."""
    url = f"http://127.0.0.1:{place.environment['GRADIO_SERVER_PORT']}"
    process = place.start(SEQ2SEQ_MODELS="somebody/model-that-cannot-be-had")
    try:
        wait_for(url, process)
        found = Client(url, verbose=False).predict("Le chat dort.", api_name="/translate")
        assert "cat" in found["text"]
        before = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert time.monotonic() - before < 15
    assert "Traceback" not in told
    assert len(told.splitlines()) == 1, told
    assert "somebody/model-that-cannot-be-had" in told


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SEQ2SEQ_HUB", "sometimes"),
        ("SEQ2SEQ_MODELS", "no-owner"),
        ("SEQ2SEQ_MEMORY_MB", "much"),
        ("SEQ2SEQ_HUB_LIST", "/nowhere.json"),
    ],
)
def test_a_wrong_variable_ends_with_one_line(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from seq2seq.ui.server import start

    monkeypatch.delenv("SEQ2SEQ_HUB", raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as caught:
        start()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("app.py: ")
    assert value in line


def test_the_program_itself_ends_so(place: Place) -> None:
    process = place.start(SEQ2SEQ_DOWNLOAD_MB="-1")
    _, told = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert told.splitlines() == ["app.py: SEQ2SEQ_DOWNLOAD_MB is '-1'; it must be a number of MiB"]
