"""The page as a server: what it is built from, and its limits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import gradio as gr

from seq2seq.ui import wording
from seq2seq.ui.api import connect_api
from seq2seq.ui.connect import connect
from seq2seq.ui.layout import build_page
from seq2seq.ui.panel import ASSETS, static_files
from seq2seq.ui.results import load_results
from seq2seq.ui.service import Service

__all__ = ["MAX_BODY_BYTES", "build", "launch_options", "serve"]

MAX_BODY_BYTES = 8 * 2**20
"""Largest request; the page sends its document back to have a chart drawn anew."""
_QUEUE = 32
_SYSTEM_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO_FONT = ("ui-monospace", "Menlo", "Consolas", "Noto Sans Mono", "monospace")


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
        # Tools for language models, where the package for it is installed.
        "mcp_server": find_spec("mcp") is not None,
        "max_file_size": 1,  # the page takes no uploads
        "app_kwargs": {"max_body_size": MAX_BODY_BYTES},
    }


def serve(demo: gr.Blocks, service: Service, arguments: Sequence[str]) -> int:
    """Serve the page until it is interrupted.

    Args:
        demo: what :func:`build` returned.
        service: its models; the first one is loaded in the background.
        arguments: of the command line. Without options, GRADIO_SERVER_NAME and
            GRADIO_SERVER_PORT are followed.

    Returns:
        The exit status: 1 if the address cannot be used.
    """
    parser = argparse.ArgumentParser(prog="app.py", description="Translate and see how.")
    parser.add_argument("--host", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=_port, help="port (default: the first free from 7860)")
    options = parser.parse_args(arguments)
    service.warm()
    try:
        demo.launch(server_name=options.host, server_port=options.port, **launch_options())
    except OSError as error:
        print(f"app.py: cannot listen there: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


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
