"""The stand-in Hub by itself."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from hub_support import MARIAN, NEEDED, ROOT, contents, failure, pull

from seq2seq.hub import HubUnreachableError


def test_the_stand_in_runs_in_a_process_of_its_own(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "served" / "org" / "opus"
    folder.mkdir(parents=True)
    for name, content in MARIAN.items():
        (folder / name).write_bytes(content)
    command = [sys.executable, str(ROOT / "tests" / "stand_in_hub.py"), str(tmp_path / "served")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            fault = json.dumps({"kind": "status", "status": 503}).encode()
            urllib.request.urlopen(f"{url}/stand-in/faults", data=fault, timeout=5).close()
            assert "status 503" in failure(HubUnreachableError, endpoint=url)
            request = urllib.request.Request(f"{url}/stand-in/faults", method="DELETE")
            urllib.request.urlopen(request, timeout=5).close()
            assert sorted(contents(pull(endpoint=url))) == NEEDED
        finally:
            process.terminate()
