"""The command line, ``python -m seq2seq COMMAND`` or ``seq2seq COMMAND``.

Arguments are read here, the work is in :mod:`seq2seq.commands`, which is imported only when a
command runs: ``--help`` answers without waiting for torch. Every error is one line on stderr and
an exit status: 2 for arguments or input that cannot be used, 1 for a failure, 130 for Ctrl-C.
``SEQ2SEQ_DEBUG=1`` shows where an error came from instead.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

if TYPE_CHECKING:
    _Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"

__all__ = ["main"]

_COMMANDS = {
    "models": "translating",
    "translate": "translating",
    "evaluate": "measuring",
    "measure": "measuring",
    "backtranslate": "preparing",
    "join": "preparing",
    "overlap": "preparing",
    "prepare": "preparing",
    "train": "training",
    "package": "packaging",
    "export": "packaging",
    "pull": "hub",
    "push": "hub",
}
"""Commands and the modules of :mod:`seq2seq.commands` that hold their functions."""

_BAD_INPUT = 2
_FAILURE = 1
_INTERRUPTED = 130  # as shells report a process that Ctrl-C or a closed pipe has ended
_BROKEN_PIPE = 141
_UNREADABLE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status and never raises.

    Args:
        arguments: the words after ``seq2seq``; None takes the process's own.
    """
    debug = os.environ.get("SEQ2SEQ_DEBUG") == "1"
    _open_closed_streams()
    try:
        options = _parser().parse_args(arguments)
        _run(options)
        sys.stdout.flush()
    except SystemExit as done:  # argparse has printed its help or error
        return done.code if isinstance(done.code, int) else _FAILURE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return _BROKEN_PIPE
    except Exception as error:
        if debug:
            raise
        return _report(error)
    return 0


def _run(options: argparse.Namespace) -> None:
    module = importlib.import_module(f"seq2seq.commands.{_COMMANDS[options.command]}")
    getattr(module, options.command)(options)


def _report(error: Exception) -> int:
    """Print one line about ``error``; the exit status says whose fault it is."""
    ours = type(error).__module__.split(".")[0] == "seq2seq"
    if ours and isinstance(error, ValueError):
        message, status = str(error), getattr(error, "exit_status", _BAD_INPUT)
    elif isinstance(error, _UNREADABLE) and error.filename is not None:
        message, status = f"{error.filename}: {error.strerror}", _BAD_INPUT
    elif ours or isinstance(error, OSError):
        message, status = str(error), _FAILURE
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        message, status = "out of memory; a smaller --batch-tokens needs less", _FAILURE
    else:
        message = f"unexpected {type(error).__name__}: {error} (SEQ2SEQ_DEBUG=1 shows where)"
        status = _FAILURE
    print(f"seq2seq: error: {' '.join(message.split())}", file=sys.stderr)
    return status


def _open_closed_streams() -> None:
    """Python has no stream where a shell closed it, as with ``2>&-``: nothing is read or shown."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _drop_output() -> None:
    """The reader has gone: nothing may be written to it any more, not even at exit."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # stdout is no real file, as in tests


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        print(f"seq2seq: error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(_BAD_INPUT)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="seq2seq", description="Translate a sentence and see how.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_models(commands)
    _add_translate(commands)
    _add_evaluate(commands)
    _add_measure(commands)
    _add_backtranslate(commands)
    _add_join(commands)
    _add_training(commands)
    _add_export(commands)
    _add_hub(commands)
    return parser


def _add_models(commands: _Commands) -> None:
    parser = commands.add_parser("models", help="list what can be loaded")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of a table")


def _add_translate(commands: _Commands) -> None:
    parser = commands.add_parser(
        "translate",
        help="translate lines from stdin to stdout",
        description="One line in, one line out, in order; an empty line for an empty line. "
        "Up to 2,000 lines are read before the first is written. "
        "With --n-best, the alternatives of a line are separated by tabs.",
    )
    _add_model(parser)
    parser.add_argument("--n-best", type=int, metavar="N", help="alternatives per line")
    _add_sampling(parser)
    parser.add_argument("--json", action="store_true", help="a Translation document per line")
    parser.add_argument("--trace", action="store_true", help="with the whole search (--json)")


def _add_evaluate(commands: _Commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score a model on a test set",
        description="Prints one JSON object: BLEU, chrF and TER by sacrebleu, with signatures.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.tsv[.gz]", help="sentence pairs")
    parser.add_argument(
        "--columns", required=True, metavar="en,fr", help="languages of the file's columns"
    )
    _add_model(parser)
    parser.add_argument(
        "--bootstrap",
        metavar="NAME|FOLDER",
        help="a second model: does it differ? (paired bootstrap by sacrebleu)",
    )
    _add_scoring(parser)


def _add_measure(commands: _Commands) -> None:
    parser = commands.add_parser(
        "measure",
        help="all figures about models, as JSON files",
        description="Scores, failures, BLEU by length and alignment error rates of models on the "
        "files that the settings name; writes MODEL.json per model.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.json", help="the test files")
    parser.add_argument(
        "--models", nargs="+", metavar="NAME|FOLDER", help="which (default: all that are embedded)"
    )
    _add_data(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("assets/results"),
        metavar="DIR",
        help="default %(default)s",
    )
    parser.add_argument(
        "--only",
        choices=["alignments"],
        help="measure these again, keep the rest of MODEL.json as it is",
    )
    _add_scoring(parser)
    _add_search(parser)


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N pairs")
    parser.add_argument(
        "--tokenize",
        metavar="NAME",
        help="of BLEU: 13a, zh, char, intl, none; lc.norm.tok lower-cases and tokenises both "
        "sides as papers on Multi30k do",
    )
    parser.add_argument(
        "--bootstrap-samples",
        type=int,
        default=1000,
        metavar="N",
        help="for the 95%% intervals; 0 for none (default 1000)",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="NAME|FOLDER", help="which model")
    parser.add_argument("--source", metavar="LANG", help="language of the input, for instance fr")
    parser.add_argument("--target", metavar="LANG", help="language of the output")
    _add_search(parser)


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--beam", type=int, metavar="N", help="hypotheses per step; 1 is greedy")
    parser.add_argument("--length-penalty", type=float, metavar="A", help="exponent, 0 for none")
    parser.add_argument("--max-length", type=int, metavar="N", help="pieces of a translation")
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N, mps")
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="per operation on the CPU (default 1)"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="batches at the same time (default one per CPU)"
    )
    parser.add_argument(
        "--batch-tokens", type=int, metavar="N", help="source pieces times beam of a batch"
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sample", action="store_true", help="draw at random, no search")
    parser.add_argument("--temperature", type=float, metavar="T", help="of --sample")
    parser.add_argument("--top-k", type=int, metavar="K", help="of --sample")
    parser.add_argument("--top-p", type=float, metavar="P", help="of --sample")
    parser.add_argument("--seed", type=int, metavar="N", help="of --sample")


def _add_backtranslate(commands: _Commands) -> None:
    parser = commands.add_parser(
        "backtranslate",
        help="training pairs out of text in one language",
        description="Translates every sentence once and writes tab-separated pairs (sentence, "
        "translation); implausible translations are left out. Train the other direction on them: "
        'in the settings, name the file with "toward" set to the language of the sentences.',
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="sentences, or TSV")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.tsv[.gz]", help="pairs")
    parser.add_argument(
        "--column", type=int, default=1, metavar="N", help="of tab-separated files (default 1)"
    )
    _add_without(parser)
    _add_model(parser)
    _add_sampling(parser)


def _add_join(commands: _Commands) -> None:
    parser = commands.add_parser(
        "join",
        help="pairs of two languages by way of a third",
        description="English-French and English-German pairs with the same English sentence give "
        "French-German pairs: for training, or to test a direction without a test set.",
    )
    for name in ("first", "second"):
        parser.add_argument(name, type=Path, metavar=f"{name.upper()}.tsv[.gz]", help="pairs")
    parser.add_argument(
        "--columns",
        nargs=2,
        required=True,
        metavar="en,fr",
        help="languages of the columns, for each of the two files",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.tsv[.gz]", help="pairs")
    _add_without(parser)


def _add_without(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--without",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="files whose sentences are left out: dev and test sets",
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[Path("data")],
        metavar="DIR",
        help="where its files are looked for (default data)",
    )


def _add_training(commands: _Commands) -> None:
    prepare = commands.add_parser("prepare", help="text to ids on disk")
    overlap = commands.add_parser(
        "overlap",
        help="whether test sentences stand in training files",
        description="Prints training file, test file, language and number of sentences in "
        "common; the exit status is 1 if there are any.",
    )
    for parser in (prepare, overlap):
        parser.add_argument("config", type=Path, metavar="CONFIG.json", help="the experiment")
        _add_data(parser)
    overlap.add_argument(
        "--tests",
        type=Path,
        default=Path("assets/measure.json"),
        metavar="CONFIG.json",
        help="settings of measure, which name the test files (default %(default)s)",
    )
    train = commands.add_parser("train", help="train a model on prepared data")
    train.add_argument("config", type=Path, metavar="CONFIG.json", help="the experiment")
    train.add_argument("--minutes", type=float, metavar="N", help="stop after so long")
    train.add_argument("--resume", action="store_true", help="go on with a stopped training")
    train.add_argument("--threads", type=int, metavar="N", help="per process on the CPU")
    train.add_argument("--device", metavar="NAME", help="cpu, cuda or mps")
    for parser in (prepare, train):
        parser.add_argument("--out", type=Path, metavar="DIR", help="the run (default runs/NAME)")
    package = commands.add_parser(
        "package", help="a trained run to a checkpoint folder, or one again"
    )
    package.add_argument(
        "run", type=Path, metavar="RUN", help="folder of the run, or of a checkpoint"
    )
    package.add_argument("folder", type=Path, metavar="CHECKPOINT", help="folder to write")
    package.add_argument(
        "--storage",
        choices=("fp32", "fp16", "int8"),
        help="default fp16, for a checkpoint what it has",
    )
    package.add_argument(
        "--results",
        type=Path,
        metavar="FILE.json",
        help="what measure wrote about this model: for its card and the attention shown first",
    )


def _add_export(commands: _Commands) -> None:
    export = commands.add_parser(
        "export",
        help="write a model for other programs",
        description="Writes a folder that transformers and CTranslate2 load and that translates "
        "identically there; its README says how. Prints the folder.",
    )
    export.add_argument("--model", required=True, metavar="NAME|FOLDER", help="which model")
    export.add_argument("--format", choices=("marian",), default="marian", help="default marian")
    export.add_argument("folder", type=Path, metavar="FOLDER", help="to write")


def _add_hub(commands: _Commands) -> None:
    pull = commands.add_parser(
        "pull",
        help="download a model of the Hugging Face Hub",
        description="Prints the folder, which lies in the cache that all programs of Hugging Face "
        "share (HF_HOME). A broken download is resumed by the next one.",
    )
    pull.add_argument("repository", metavar="OWNER/NAME[@REVISION]", help="which model")
    pull.add_argument("--offline", action="store_true", help="use what was pulled before")
    push = commands.add_parser(
        "push",
        help="upload a model to the Hugging Face Hub",
        description="Prints OWNER/NAME@COMMIT. The token is that of `hf auth login` or HF_TOKEN.",
    )
    push.add_argument("folder", type=Path, metavar="FOLDER", help="of a checkpoint")
    push.add_argument("repository", metavar="OWNER/NAME", help="made if there is none")
    push.add_argument("--private", action="store_true", help="a new one that only you see")
    push.add_argument("--message", metavar="TEXT", help="of the commit")
    push.add_argument(
        "--replace-card", action="store_true", help="replace a model card that says something else"
    )
