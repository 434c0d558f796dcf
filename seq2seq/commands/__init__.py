"""What the commands of the command line do. Errors are raised; :mod:`seq2seq.cli` reports them."""

from seq2seq.commands.measuring import evaluate, measure
from seq2seq.commands.shared import InputError
from seq2seq.commands.training import backtranslate, join, overlap, package, prepare, train
from seq2seq.commands.translating import models, translate

__all__ = [
    "InputError",
    "backtranslate",
    "evaluate",
    "join",
    "measure",
    "models",
    "overlap",
    "package",
    "prepare",
    "train",
    "translate",
]
