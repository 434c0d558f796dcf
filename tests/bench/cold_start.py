"""How long the page takes from its start to the first translation, and where the time goes.

    python tests/bench/cold_start.py [--runs 3] [--cores 2] [--evict] [--json FILE]

Starts ``python app.py`` in fresh processes and asks it over HTTP, as a visitor who is waiting
for it would: until the port answers, and until the first translation is complete. One more run,
with its parts timed, says where the time goes; the model is loaded beside the page's own start,
so the parts add up to more than the whole. ``--evict`` asks the system to forget the files of
Python's packages and of the models before each run, as after a Space has slept; pages that other
processes use stay. Prints a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "Le chat dort sur la table."
LIMIT = 120.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time from start to first translation.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2, help="processor cores the page may use")
    parser.add_argument("--evict", action="store_true", help="read files from the disk again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    parser.add_argument("--parts", type=Path, help=argparse.SUPPRESS)  # the process that is timed
    parser.add_argument("--port", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.parts:
        return timed_app(options.parts, options.port)

    runs = [measure(options, parts=None) for _ in range(options.runs)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "parts.json"
        measure(options, parts=file)
        parts = json.loads(file.read_text(encoding="utf-8"))
    found = {
        "cores": options.cores,
        "evicted": options.evict,
        "load_average": os.getloadavg()[0],
        "port_answers": [run[0] for run in runs],
        "first_translation": [run[1] for run in runs],
        "parts": parts,
    }
    for name in ("port_answers", "first_translation"):
        values = found[name]
        label = name.replace("_", " ")
        print(f"{label:28}{statistics.median(values):7.2f} s  (most {max(values):.2f} s)")
    print("of that, in one more run:")
    for name, seconds in parts.items():
        print(f"  {name:26}{seconds:7.2f} s")
    print(f"{options.runs} runs on {options.cores} cores, load {found['load_average']:.1f}")
    line = json.dumps({k: rounded(v) for k, v in found.items()})
    print(line)
    if options.json:
        options.json.write_text(line + "\n", encoding="utf-8")
    return 0


def measure(options: argparse.Namespace, *, parts: Path | None) -> tuple[float, float]:
    """Start the page once; seconds until its port answers and until it has translated."""
    if options.evict:
        evict()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "app.py"]
    if parts:
        command = [sys.executable, str(Path(__file__).resolve()), "--parts", str(parts)]
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(mine)[: options.cores])  # the process inherits it
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--port", port],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "SEQ2SEQ_HUB": "off", "GRADIO_SERVER_NAME": "127.0.0.1"},
    )
    os.sched_setaffinity(0, mine)
    try:
        url = f"http://127.0.0.1:{port}"
        while not answers(url):
            if process.poll() is not None or time.perf_counter() - started > LIMIT:
                raise SystemExit("the page did not start")
            time.sleep(0.02)
        up = time.perf_counter() - started
        translate(url)
        done = time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()
    return up, done


def answers(url: str) -> bool:
    """Whether the page is there."""
    try:
        urllib.request.urlopen(url, timeout=10).read()
    except OSError:
        return False
    return True


def translate(url: str) -> None:
    """One call of the endpoint, as its HTTP interface is described."""
    call = f"{url}/gradio_api/call/translate"
    body = json.dumps({"data": [SENTENCE, "", "", 5, 1.0, ""]}).encode()
    request = urllib.request.Request(call, body, {"Content-Type": "application/json"})
    event = json.load(urllib.request.urlopen(request, timeout=LIMIT))["event_id"]
    answer = urllib.request.urlopen(f"{call}/{event}", timeout=LIMIT).read().decode()
    if "event: complete" not in answer:
        raise SystemExit(f"no translation: {answer[:200]}")


def evict() -> None:
    """Ask the system to drop what it keeps in memory of the files that a start reads."""
    for folder in (sysconfig.get_paths()["purelib"], ROOT / "checkpoints", ROOT / "seq2seq"):
        for path in Path(folder).rglob("*"):
            if path.is_file():
                handle = os.open(path, os.O_RDONLY)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(handle)


def timed_app(file: Path, port: str) -> int:
    """Run ``app.py`` in this process with its parts timed; writes them when it ends."""
    sys.path.insert(0, str(ROOT))
    parts: dict[str, float] = {}

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def caller(*arguments: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                parts.setdefault(name, time.perf_counter() - begun)

        return caller

    def load(*names: str) -> None:
        for name in names:
            __import__(name)

    timed("import gradio", load)("seq2seq.ui", "gradio")  # the first sets variables, it is light
    timed("import the project's own", load)("seq2seq.ui.server")

    import gradio as gr

    from seq2seq.pool import TranslatorPool
    from seq2seq.text import language
    from seq2seq.ui import server

    server.start = timed("look for models", server.start)
    server.build = timed("build the page", server.build)
    TranslatorPool.get = timed("load the model (beside)", TranslatorPool.get)  # type: ignore[method-assign]
    language._everything = timed("unpack the language model", language._everything)
    launch, block = gr.Blocks.launch, gr.Blocks.block_thread

    def launched(*arguments: Any, **options: Any) -> Any:
        begun = time.perf_counter()

        def blocked(demo: gr.Blocks) -> None:
            parts["launch"] = time.perf_counter() - begun
            block(demo)

        gr.Blocks.block_thread = blocked
        return launch(*arguments, **options)

    gr.Blocks.launch = launched
    server.Service.translate = first_of("translate", server.Service.translate, parts)  # type: ignore[method-assign]
    sys.argv = ["app.py", "--port", port]
    try:
        runpy.run_path("app.py", run_name="__main__")
    except SystemExit:
        pass
    finally:
        file.write_text(json.dumps(parts), encoding="utf-8")
    return 0


def first_of(name: str, call: Callable[..., Any], parts: dict[str, float]) -> Callable[..., Any]:
    """A function that yields, with the time that its first run takes."""

    def caller(*arguments: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        yield from call(*arguments, **options)
        parts.setdefault(name, time.perf_counter() - begun)

    return caller


def rounded(value: Any) -> Any:
    """The same with three digits behind the point."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
