import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from starlette.testclient import TestClient

from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.ui.events import USERS
from seq2seq.ui.panel import panel, static_files
from seq2seq.ui.server import MAX_BODY_BYTES, Options, build, launch_options, serve
from seq2seq.ui.service import Service


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("none")))
        demo = build(Service())
        demo.launch(
            server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options()
        )
        yield TestClient(demo.app)
        demo.close()


def test_page_and_its_scripts_are_served(client: TestClient) -> None:
    assert client.get("/").status_code == 200
    for path in static_files():
        answer = client.get(f"/gradio_api/file={path}")
        assert answer.status_code == 200
        kind = "json" if path.endswith(".json") else "javascript"
        assert kind in answer.headers["content-type"]


def test_other_files_are_not_served(client: TestClient) -> None:
    for path in ("/etc/passwd", str(Path(__file__).resolve())):
        assert client.get(f"/gradio_api/file={path}").status_code == 403


def test_requests_above_the_limit_are_refused(client: TestClient) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)
    assert client.post("/gradio_api/queue/join", content=body).status_code == 413


def test_events_cannot_skip_the_queue(client: TestClient) -> None:
    answer = client.post("/gradio_api/run/translate", json={"data": []})
    assert answer.status_code in (401, 403, 404)


def test_people_do_not_wait_for_each_other_before_their_requests_are_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    demo = build(Service())
    limits = {fn.name: fn.concurrency_limit for fn in demo.fns.values()}
    for name in ("translate", "explain", "what_if"):
        assert limits[name] == USERS
    assert launch_options()["max_threads"] > 2 * USERS


def test_nothing_is_reported_to_anybody() -> None:
    code = (
        "import os, seq2seq.ui, gradio.analytics as a;"
        "print(os.environ['GRADIO_ANALYTICS_ENABLED'], os.environ['HF_HUB_DISABLE_TELEMETRY'],"
        " a.analytics_enabled())"
    )
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIO", "HF_"))}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=bare, check=True
    )
    assert found.stdout.split() == ["False", "1", "False"]


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "²"])
def test_wrong_ports_get_one_line(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Options.read([f"--port={port}"])
    assert caught.value.code == 2
    assert "is not a port" in capsys.readouterr().err


def test_a_port_in_use_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    service = Service()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status = serve(build(service), service, Options("127.0.0.1", port))
    assert status == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert str(port) in lines[0]


def test_nobody_can_watch_the_traffic(client: TestClient) -> None:
    assert client.get("/monitoring").status_code == 403
    assert client.get("/gradio_api/monitoring/summary").status_code in (403, 404)


def test_errors_stay_on_the_server() -> None:
    options = launch_options()
    assert options["show_error"] is False
    assert options["share"] is False


def test_panels_never_put_a_value_into_their_template() -> None:
    with gr.Blocks(analytics_enabled=False):
        shown = panel("plot", elem_id="x", label='"><script>', value={"figure": None})
    assert "$" not in shown.html_template
    assert "{{" not in shown.html_template
    assert "<script" not in shown.html_template
    assert shown.preprocess({"a": 1}) == {"a": 1}
    assert shown.postprocess({"a": 1}) == {"a": 1}
