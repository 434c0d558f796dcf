"""A folder of a Marian model, as the Hub keeps it, as one of our own checkpoints."""

from __future__ import annotations

import reprlib
from pathlib import Path

from seq2seq.checkpoint import (
    Checkpoint,
    CheckpointError,
    LoadedCheckpoint,
    folder_revision,
)
from seq2seq.config import ConfigError, read_json
from seq2seq.marian.languages import MarianLanguages, read_languages
from seq2seq.marian.settings import MarianSettings, read_settings
from seq2seq.marian.weights import open_weights
from seq2seq.text.encoding import TextError
from seq2seq.text.sentence_pieces import MarianText, Side, TextIds, read_vocabulary

__all__ = ["load_marian", "read_marian"]

_VOCABULARY, _TARGET_VOCABULARY = "vocab.json", "target_vocab.json"
_SOURCE_MODEL, _TARGET_MODEL = "source.spm", "target.spm"
_SPECIALS = ("</s>", "<unk>")


def read_marian(folder: Path, *, name: str) -> Checkpoint:
    """What a Marian folder says of itself, without loading any weights.

    Args:
        folder: with ``config.json``, ``vocab.json`` and so on.
        name: of the model, for people; may say its languages.

    Raises:
        CheckpointError: it cannot be read, or needs something that is not supported.
    """
    return _read(folder, name)[0]


def load_marian(folder: Path, *, name: str, whole: bool = True) -> LoadedCheckpoint:
    """Read a Marian folder.

    Args:
        folder: of the model.
        name: of it, for people.
        whole: read the weights at once; else they stay on disk until they are needed.

    Raises:
        CheckpointError: anything is missing, damaged, unsafe, not supported or does not fit.
    """
    info, settings, languages = _read(folder, name)
    try:
        text = _load_text(folder, settings, languages)
    except TextError as error:
        message = str(error)
        shown = message if str(folder) in message else f"{folder}: {message}"
        raise CheckpointError(shown) from error
    weights = open_weights(folder, settings)
    loaded = LoadedCheckpoint(info, text, folder_revision(folder), folder, weights)
    if whole:
        loaded.model  # noqa: B018  (is read by being looked at)
    return loaded


def _read(folder: Path, name: str) -> tuple[Checkpoint, MarianSettings, MarianLanguages]:
    settings = read_settings(folder)
    vocabulary = folder / _VOCABULARY
    try:
        pieces = read_vocabulary(vocabulary)
    except TextError as error:
        raise CheckpointError(str(error)) from error
    languages = read_languages(folder, name=name, pieces=pieces)
    try:
        info = Checkpoint(
            name=name,
            text="marian",
            languages=languages.all,
            target_tags=bool(languages.tags),
            directions=languages.directions,
            search=settings.search,
            model=settings.model,
            storage="fp32",
        )
    except ConfigError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    return info, settings, languages


def _load_text(folder: Path, settings: MarianSettings, languages: MarianLanguages) -> MarianText:
    model = settings.model
    separate = _separate_vocabularies(folder)
    target_vocabulary = folder / (_TARGET_VOCABULARY if separate else _VOCABULARY)
    ids = read_vocabulary(folder / _VOCABULARY)
    source = Side.load(folder / _SOURCE_MODEL, ids, size=model.source_vocabulary)
    if separate:
        ids = read_vocabulary(target_vocabulary)
    target = Side.load(folder / _TARGET_MODEL, ids, size=model.target_vocabulary)
    expected = (model.eos_id, model.unk_id)
    for side, path in ((source, folder / _VOCABULARY), (target, target_vocabulary)):
        found = tuple(side.ids.get(piece) for piece in _SPECIALS)
        if found != expected:
            raise TextError(
                f"{path}: {' and '.join(_SPECIALS)} have the ids {found}, the model needs "
                f"{expected}"
            )
        if (pad := side.names[model.pad_id]) not in (None, "<pad>"):
            raise TextError(f"{path}: {pad[:40]!r} has the id {model.pad_id} of padding")
    special = TextIds(pad=model.pad_id, bos=model.bos_id, eos=model.eos_id, unk=model.unk_id)
    return MarianText(source, target, ids=special, languages=languages.all, tags=languages.tags)


def _separate_vocabularies(folder: Path) -> bool:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return False
    try:
        values = read_json(path)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    if values.get("words") == "moses":
        raise CheckpointError(
            f"{folder}: was exported for other programs; load the checkpoint it was made from"
        )
    if options := values.get("sp_model_kwargs"):
        raise CheckpointError(
            f"{path}: sp_model_kwargs is {reprlib.repr(options)}, which is not supported"
        )
    return bool(values.get("separate_vocabs", False))
