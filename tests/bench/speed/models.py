"""Models of the sizes that are compared: random weights, written once for every engine.

A folder holds ``ours`` (a checkpoint with 8-bit weights, as the embedded ones are stored),
``ours-fp32``, ``marian`` (exported, for transformers), ``marian-raw`` (the same as models of the
Hub are, so that we load it too), ``ct2-float32``, ``ct2-int8`` and ``ids.json`` (our ids in the
order of the exported ones). Recurrent models have no peer and only our checkpoints.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seq2seq.checkpoint import CheckpointInfo, save_checkpoint
from seq2seq.config import ModelConfig, RecurrentConfig, SearchConfig, TransformerConfig
from seq2seq.formats import load_model
from seq2seq.marian.export import export_marian, new_ids
from seq2seq.nn import build_model
from seq2seq.text.moses_bpe import MosesBpe
from seq2seq.text.vocabulary import BYTES, MARK, SPECIALS, Vocabulary

__all__ = ["SIZES", "Size", "build", "export", "sentences"]

_VERSION = 2  # of what is written


@dataclass(frozen=True)
class Size:
    """A model to be compared.

    Attributes:
        name: on the command line and in the report.
        vocabulary: pieces.
        config: the rest of its settings.
        words: in words, for people.
    """

    name: str
    vocabulary: int
    config: dict[str, Any]
    words: str

    @property
    def recurrent(self) -> bool:
        """Whether no other engine has such a model."""
        return self.config.get("architecture") == "recurrent"

    def model_config(self) -> ModelConfig:
        """Its complete settings."""
        sizes = {"source_vocabulary": self.vocabulary, "target_vocabulary": self.vocabulary}
        if self.recurrent:
            return RecurrentConfig(**sizes, **self.config)
        return TransformerConfig(**sizes, **_MARIAN, **self.config)


_MARIAN: dict[str, Any] = {
    "norm": "post", "zero_start": True, "output_bias": True, "positions": "sinusoidal-halves",
    "activation": "swish",
}  # fmt: skip

SIZES = {
    size.name: size
    for size in (
        Size("opus", 59_514, {
            "d_model": 512, "feed_forward_size": 2048, "heads": 8,
            "encoder_layers": 6, "decoder_layers": 6,
        }, "Transformer as of OPUS-MT: d 512, ff 2048, 6+6 layers, 8 heads, vocabulary 59,514"),
        Size("small", 8000, {
            "d_model": 256, "feed_forward_size": 1024, "heads": 4,
            "encoder_layers": 3, "decoder_layers": 2,
        }, "small Transformer: d 256, ff 1024, 3+2 layers, 4 heads, vocabulary 8,000"),
        Size("gru", 8000, {
            "architecture": "recurrent", "cell": "gru", "encoder_size": 256, "decoder_size": 512,
        }, "GRU with additive attention: encoder 2x256, decoder 512, vocabulary 8,000"),
        Size("tiny", 500, {
            "d_model": 32, "feed_forward_size": 48, "heads": 4,
            "encoder_layers": 1, "decoder_layers": 1,
        }, "tiny Transformer that only shows that the bench runs"),
    )
}  # fmt: skip


def build(size: Size, root: Path) -> Path:
    """The folder of a model, written unless it is there already."""
    folder = root / size.name
    stamp = json.dumps([_VERSION, size.vocabulary, size.model_config().to_dict()])
    mark = folder / "complete"
    if mark.is_file() and mark.read_text(encoding="utf-8") == stamp:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(11)
    model = build_model(size.model_config()).eval()
    text = _invented_text(size.vocabulary)
    info = CheckpointInfo(
        name=size.name,
        languages=("fr", "en"),
        directions=(("fr", "en"),),
        search=SearchConfig(beam=4),
    )
    save_checkpoint(folder / "ours", model, text, info, storage="int8")
    save_checkpoint(folder / "ours-fp32", model, text, info, storage="fp32")
    if not size.recurrent:
        export(folder / "ours-fp32", folder)
    mark.write_text(stamp, encoding="utf-8")
    return folder


def export(checkpoint: Path, folder: Path) -> None:
    """Write ``marian``, both CTranslate2 models and ``ids.json`` of one of our checkpoints."""
    import ctranslate2

    loaded = load_model(checkpoint)
    assert isinstance(loaded.text, MosesBpe)
    export_marian(loaded, folder / "marian")
    _as_of_the_hub(folder / "marian", folder / "marian-raw")
    for kind in ("float32", "int8"):
        converter = ctranslate2.converters.TransformersConverter(str(folder / "marian"))
        converter.convert(str(folder / f"ct2-{kind}"), quantization=kind, force=True)
    (folder / "ids.json").write_text(json.dumps(new_ids(loaded.text)), encoding="utf-8")


def sentences(size: Size, *, count: int, length: int) -> list[list[int]]:
    """Random sentences of exactly ``length`` pieces with end-of-sentence; always the same."""
    draw = torch.Generator().manual_seed(length)
    first = len(SPECIALS) + len(BYTES)
    ids = torch.randint(first, size.vocabulary, (count, length - 1), generator=draw)
    return [[*row, size.model_config().eos_id] for row in ids.tolist()]


def _as_of_the_hub(folder: Path, copy: Path) -> None:
    """A copy of an export that says nothing about texts that are cut into words already."""
    shutil.copytree(folder, copy, copy_function=os.link)
    path = copy / "tokenizer_config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values.pop("words")
    path.unlink()
    path.write_text(json.dumps(values), encoding="utf-8")


def _invented_text(size: int) -> MosesBpe:
    """A vocabulary of so many pieces, most of which are words without a meaning."""
    start = [*SPECIALS, *BYTES, MARK, *map(chr, range(0x21, 0x7F))]
    words = [f"{MARK}w{number}" for number in range(size - len(start))]
    return MosesBpe(Vocabulary([*start, *words], []), languages=("fr", "en"))
