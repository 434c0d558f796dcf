"""A checkpoint folder: ``config.json``, sharded safetensors, the text pipeline's files.

Writing makes the folder beside its place and renames it, so that a killed process never leaves
half a checkpoint there. Reading believes nothing: every claim is checked, and what does not hold
is one clear line.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.config import (
    ModelConfig,
    RecurrentConfig,
    TransformerConfig,
)
from seq2seq.files import new_folder, write_json, write_text
from seq2seq.manifest import (
    CONFIG,
    FORMAT_VERSION,
    AttentionChoice,
    Checkpoint,
    CheckpointInfo,
    is_checkpoint,
    read_checkpoint,
)
from seq2seq.parameters import Weights
from seq2seq.stored import CheckpointError, Storage, open_weights
from seq2seq.text.encoding import TextError, TextPipeline

if TYPE_CHECKING:  # models of nn need PyTorch, which takes longer to load than all of this
    from seq2seq.nn import AnyModel

__all__ = [
    "FORMAT_VERSION",
    "AttentionChoice",
    "Checkpoint",
    "CheckpointError",
    "CheckpointInfo",
    "LoadedCheckpoint",
    "describe",
    "folder_revision",
    "is_checkpoint",
    "load_checkpoint",
    "read_checkpoint",
    "save_checkpoint",
]

_COMMIT = re.compile("[0-9a-f]{40}")
_CARD = "README.md"


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A checkpoint, of which the weights are read when they are needed.

    Attributes:
        info: what its ``config.json`` says.
        text: its text pipeline.
        revision: 12 hexadecimal digits of a SHA-256 over settings, weights and text files.
        folder: where it was read.
        weights: on disk.
    """

    info: Checkpoint
    text: TextPipeline
    revision: str
    folder: Path
    weights: Weights

    @cached_property
    def model(self) -> AnyModel:
        """On PyTorch, ready to run: fp32 on the CPU, in evaluation mode.

        Raises:
            CheckpointError: a weight cannot be read, or is not finite.
        """
        from seq2seq.weights import build_from  # noqa: PLC0415

        return build_from(self.weights, self.info.model, where=str(self.folder / CONFIG))


def save_checkpoint(
    folder: Path,
    model: AnyModel,
    text: TextPipeline,
    info: CheckpointInfo,
    *,
    storage: Storage,
    card: str | None = None,
) -> Checkpoint:
    """Write a checkpoint folder, all of it or nothing.

    Args:
        folder: its place; an older checkpoint there is replaced whole.
        model: its weights are stored, whatever device they are on.
        text: its files are stored.
        info: what the model does not know of itself.
        storage: number format of the weights.
        card: text of ``README.md``, the model card; without it there is none.

    Returns:
        What ``config.json`` says.

    Raises:
        CheckpointError: ``folder`` holds something else, the parts do not belong together, or
            the disk refuses.
    """
    from seq2seq.weights import save_weights  # noqa: PLC0415

    said = {f.name: getattr(info, f.name) for f in fields(CheckpointInfo)}
    checkpoint = Checkpoint(**said, model=model.config, storage=storage)
    _check_vocabulary(text, model.config, where=str(folder))
    _check_attention_default(checkpoint, where=str(folder))
    if folder.is_symlink() or (folder.exists() and not _replaceable(folder)):
        raise CheckpointError(
            f"{folder}: exists and is not a checkpoint; choose another place or remove it"
        )
    try:
        with new_folder(folder) as fresh:
            save_weights(fresh, model, storage=storage)
            text.save(fresh)
            if card is not None:
                write_text(fresh / _CARD, card)
            version = {"format_version": checkpoint.format_version}  # first, where it is seen
            write_json(fresh / CONFIG, {**version, **checkpoint.to_dict()})
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written ({error.strerror})") from error
    return checkpoint


def load_checkpoint(folder: Path, *, whole: bool = True) -> LoadedCheckpoint:
    """Read a checkpoint.

    Args:
        folder: of the checkpoint.
        whole: read the weights at once; else they stay on disk until they are needed.

    Raises:
        CheckpointError: anything is missing, damaged, unsafe or does not fit together.
    """
    info = read_checkpoint(folder)
    text = _load_text(folder, info)
    _check_vocabulary(text, info.model, where=str(folder))
    _check_attention_default(info, where=str(folder))
    weights = open_weights(folder, info.model, storage=info.storage)
    loaded = LoadedCheckpoint(info, text, folder_revision(folder), folder, weights)
    if whole:
        loaded.model  # noqa: B018  (is read by being looked at)
    return loaded


def describe(config: ModelConfig) -> str:
    """One line for people: ``"Transformer, 3+3 layers, 256 wide, 4 heads"``."""
    if isinstance(config, TransformerConfig):
        return (
            f"Transformer, {config.encoder_layers}+{config.decoder_layers} layers, "
            f"{config.d_model} wide, {config.heads} heads"
        )
    if isinstance(config, RecurrentConfig):
        both = "bidirectional " if config.bidirectional else ""
        looks = "no attention" if config.attention == "none" else f"{config.attention} attention"
        return (
            f"{both}{config.cell.upper()}, {config.encoder_layers}+{config.decoder_layers} layers, "
            f"{config.decoder_size} wide, {looks}"
        )
    return config.architecture


def folder_revision(folder: Path) -> str:
    """What tells versions of a model folder apart.

    The commit for a folder in the Hub's cache, else 12 digits of a SHA-256 over everything that
    decides the output: settings, weights, text files.
    """
    if folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name):
        return folder.name[:12]
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != _CARD and not path.name.startswith("."):
            total.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:12]


# --- Writing ----------------------------------------------------------------------------------


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and (is_checkpoint(folder) or not any(folder.iterdir()))


# --- Reading ----------------------------------------------------------------------------------


def _load_text(folder: Path, info: Checkpoint) -> TextPipeline:
    from seq2seq.text.moses_bpe import MosesBpe  # noqa: PLC0415  (other models do without Moses)

    if info.text != "moses-bpe":
        raise CheckpointError(f"{folder / CONFIG}: text is {info.text!r}, which it cannot be here")
    try:
        return MosesBpe.load(folder, languages=info.languages, target_tags=info.target_tags)
    except TextError as error:
        text = str(error)
        raise CheckpointError(text if str(folder) in text else f"{folder}: {text}") from error


def _check_vocabulary(text: TextPipeline, config: ModelConfig, *, where: str) -> None:
    sizes = {
        "source_vocabulary": text.source_vocabulary_size,
        "target_vocabulary": text.vocabulary_size,
    }
    for key, size in sizes.items():
        if getattr(config, key) != size:
            raise CheckpointError(
                f"{where}: the tokenizer has {size} pieces, model.{key} is "
                f"{getattr(config, key)}; they belong to different models"
            )
    for key in ("pad_id", "bos_id", "eos_id", "unk_id"):
        if getattr(config, key) != getattr(text, key):
            raise CheckpointError(
                f"{where}: {key} is {getattr(text, key)} in the tokenizer, model.{key} is "
                f"{getattr(config, key)}; they belong to different models"
            )


def _check_attention_default(info: Checkpoint, *, where: str) -> None:
    if (choice := info.attention_default) is None:
        return
    layout = info.model.attention_layout
    sizes: dict[str, int] = {
        "layer": len(layout.layers) if layout else 0,
        "head": len(layout.heads) if layout else 0,
    }
    chosen: dict[str, Any] = choice.to_dict()
    for key, size in sizes.items():
        if chosen[key] is not None and chosen[key] >= size:
            raise CheckpointError(
                f"{where}: attention_default.{key} is {chosen[key]}, but the model has {size}"
            )
