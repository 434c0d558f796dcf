"""The page as a server: what it is built from, and its limits."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Self

import gradio as gr

from seq2seq.hub import HubError
from seq2seq.ui import wording
from seq2seq.ui.api import connect_api
from seq2seq.ui.connect import connect
from seq2seq.ui.layout import build_page
from seq2seq.ui.operator import OperatorError
from seq2seq.ui.panel import ASSETS, static_files
from seq2seq.ui.results import load_results
from seq2seq.ui.service import Service
from seq2seq.ui.zero import ZeroPool, on_zero_gpu

__all__ = ["MAX_BODY_BYTES", "Options", "build", "launch_options", "serve", "start"]

MAX_BODY_BYTES = 8 * 2**20
"""Largest request; the page sends its document back to have a chart drawn anew."""
_QUEUE = 128  # events of the page that wait for their turn
_THREADS = 96  # more than events under way: one that waits for its batch keeps its thread
_SYSTEM_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO_FONT = ("ui-monospace", "Menlo", "Consolas", "Noto Sans Mono", "monospace")


@dataclass(frozen=True)
class Options:
    """Where to listen; None leaves it to gradio, which follows GRADIO_SERVER_NAME and _PORT."""

    host: str | None = None
    port: int | None = None

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Self:
        """Those of a command line; ends the program with one line if they are wrong."""
        parser = argparse.ArgumentParser(prog="app.py", description="Translate and see how.")
        parser.add_argument(
            "--host", default=_host(), help="address to listen on (default: this machine only)"
        )
        parser.add_argument("--port", type=_port, help="port (default: the first free from 7860)")
        found = parser.parse_args(arguments)
        return cls(host=found.host, port=found.port)


def start() -> Service:
    """The models, with those downloaded that the operator wants to be there.

    Raises:
        SystemExit: a variable of the environment cannot be followed; one line says which.
    """
    try:
        service = Service()
        if on_zero_gpu():
            service.pool = ZeroPool(service.operator.memory_bytes)
        service.prepare()
    except (OperatorError, HubError) as error:
        print(f"app.py: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    return service


def build(service: Service) -> gr.Blocks:
    """The whole page with its events, ready to be launched with :func:`launch_options`."""
    gr.set_static_paths(static_files())
    with gr.Blocks(title=wording.TITLE, analytics_enabled=False, fill_width=False) as demo:
        results = load_results()
        connect_api(service)  # before the page's own events, which would take the names
        page = build_page(service.models, results, service.operator)
        connect(demo, page, service, results)
    demo.queue(max_size=_QUEUE, default_concurrency_limit=4, api_open=False)
    return demo


def launch_options() -> dict[str, Any]:
    """Arguments of ``Blocks.launch`` for looks, limits and silence towards other hosts."""
    return {
        "theme": _theme(),
        # As css_paths, gradio would rewrite the rules so that they miss the page's frame.
        "head": f"<style>{(ASSETS / 'style.css').read_text(encoding='utf-8')}</style>",
        "favicon_path": ASSETS / "favicon.svg",
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "show_error": False,
        "ssr_mode": False,
        "share": False,
        "max_threads": _THREADS,
        "pwa": False,  # as everywhere else; gradio would turn it on in a Space
        # Tools for language models, where the package for it is installed.
        "mcp_server": find_spec("mcp") is not None,
        "max_file_size": 1,  # the page takes no uploads
        "app_kwargs": {"max_body_size": MAX_BODY_BYTES},
    }


def serve(demo: gr.Blocks, service: Service, options: Options) -> int:
    """Serve the page until it is interrupted or terminated.

    Args:
        demo: what :func:`build` returned.
        service: its models; the first one is loaded in the background.
        options: where to listen.

    Returns:
        The exit status: 1 if the address cannot be used.
    """
    service.warm()
    try:
        with _termination_as_interrupt():
            demo.launch(server_name=options.host, server_port=options.port, **launch_options())
    except OSError as error:
        print(f"app.py: cannot listen there: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass  # before gradio began to wait for it
    return 0


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM close the page as Ctrl-C does; process 1 of a container would ignore it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears of signals
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _host() -> str | None:
    """Every address on a Space, whose proxy comes from outside; else what gradio chooses.

    Spaces of gradio set GRADIO_SERVER_NAME, those made of a Dockerfile do not.
    """
    on_space = bool(os.environ.get("SPACE_ID"))
    return "0.0.0.0" if on_space and not os.environ.get("GRADIO_SERVER_NAME") else None  # noqa: S104


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number from 1 to 65535")
    return int(text)


def _theme() -> Any:
    """System fonts, one accent colour, text that contrasts at least 4.5 to 1."""
    theme = gr.themes.Default(
        primary_hue="blue", neutral_hue="slate", font=_SYSTEM_FONT, font_mono=_MONO_FONT
    )
    return theme.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700",
    )
