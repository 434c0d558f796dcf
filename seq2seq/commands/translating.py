"""What can be loaded, and lines in, lines out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from seq2seq.catalogue import checkpoints_folder, embedded_folders
from seq2seq.checkpoint import CheckpointError, describe, read_checkpoint
from seq2seq.commands.shared import (
    InputError,
    load_translator,
    print_json,
    progress_bar,
    sampling_options,
    search_options,
)
from seq2seq.stored import count_parameters
from seq2seq.translation import Translation
from seq2seq.translator import MAX_CHARACTERS, TextTooLongError

__all__ = ["models", "translate"]

_LONGEST_LINE = 4 * MAX_CHARACTERS + 10  # bytes: UTF-8 needs at most 4 a character


def models(options: argparse.Namespace) -> None:
    """List the embedded checkpoints; a damaged one is named on stderr."""
    listing: list[dict[str, Any]] = []
    for name, folder in embedded_folders().items():
        try:
            info = read_checkpoint(folder)
        except CheckpointError as error:
            print(f"seq2seq: warning: {error}", file=sys.stderr)
            continue
        listing.append(
            {
                "name": name,
                "directions": [f"{source}-{target}" for source, target in info.directions],
                "architecture": describe(info.model),
                "parameters": count_parameters(folder, info.model),
                "folder": str(folder),
            }
        )
    if options.json:
        print_json(listing)
        return
    if not listing:
        print(f"seq2seq: no models in {checkpoints_folder()}", file=sys.stderr)
    width = max((len(model["name"]) for model in listing), default=0)
    for model in listing:
        directions = ", ".join(model["directions"])
        print(
            f"{model['name']:{width}}  {directions}  {model['parameters'] / 1e6:.1f} M parameters  "
            f"{model['architecture']}"
        )


def translate(options: argparse.Namespace) -> None:
    """Lines from stdin to stdout, in order, in bounded memory."""
    if options.trace and not options.json:
        raise InputError("--trace needs --json: a line of text cannot hold it")
    sample = sampling_options(options)
    translator = load_translator(options)
    interactive = sys.stdin.isatty()
    chunk = 1 if interactive else 100 if options.json else 2000
    with progress_bar("line", None) as progress:
        translations = translator.translate_many(
            _lines(sys.stdin.buffer),
            n_best=options.n_best,
            sample=sample,
            trace=options.trace,
            attention=options.json,
            chunk=chunk,
            progress=progress,
            **search_options(options),
        )
        write = sys.stdout.buffer.write
        try:
            for translation in translations:
                write(_line(translation, as_json=options.json).encode("utf-8") + b"\n")
                if interactive:
                    sys.stdout.buffer.flush()
        except TextTooLongError as error:
            raise InputError(f"standard input: line {error.index + 1}: {error}") from error


def _lines(stream: BinaryIO) -> Iterator[str]:
    r"""Lines of UTF-8 text; only ``\n`` and ``\r\n`` end one, whatever else Unicode calls so."""
    for number, raw in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), start=1):
        if len(raw) == _LONGEST_LINE:  # no more of it is read into memory
            raise InputError(
                f"standard input: line {number} has more than {MAX_CHARACTERS} characters; "
                "give it in parts"
            )
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"standard input: line {number} is not UTF-8 text") from error
        yield line.removesuffix("\n").removesuffix("\r")


def _line(translation: Translation, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(translation.to_dict(), ensure_ascii=False, allow_nan=False)
    texts = [alternative.target.text for alternative in translation.n_best]
    return "\t".join(" ".join(text.splitlines()).replace("\t", " ") for text in texts)
