"""Tiny Marian folders with random weights and real SentencePiece models, as the Hub keeps them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import sentencepiece
import torch
from transformers import MarianConfig, MarianMTModel

DATA = Path(__file__).parent / "data"


def sample_lines(language: str) -> list[str]:
    """Sentences of a language from the sample of Tatoeba."""
    pair = {"en": "en-fr"}.get(language, f"en-{language}")
    rows = (DATA / f"sample.{pair}.tsv").read_text(encoding="utf-8").splitlines()
    return [row.split("\t")[language != "en"] for row in rows]


@dataclass(frozen=True)
class Shape:
    """One kind of Marian checkpoint."""

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    separate: bool = False
    tags: tuple[str, ...] = ()
    pickled: bool = False
    old: bool = False  # in the layout that torch wrote before version 1.6
    half: bool = False
    generation: dict[str, Any] | None = None
    ending: float = 6  # added to the logit of end-of-sentence, so that outputs end now and then


SHAPES = (
    Shape("shared"),
    Shape("separate vocabularies of two sizes", separate=True),
    Shape("separate, tied to nothing", {"tie_word_embeddings": False}, separate=True),
    Shape("shared vocabulary, untied tables", {"tie_word_embeddings": False}),
    Shape("uneven layers, relu", {"encoder_layers": 3, "decoder_layers": 1,
                                  "activation_function": "relu"}, ending=7),
    Shape("gelu, unscaled embeddings", {"activation_function": "gelu", "scale_embedding": False},
          ending=8.5),
    Shape("several targets", tags=(">>fra<<", ">>deu<<", ">>cmn_Hans<<", ">>heb<<")),
    Shape("pickled in half precision", pickled=True, half=True),
    Shape("pickled by an old torch", pickled=True, old=True),
    Shape("renormalised", generation={"renormalize_logits": True}),
    Shape("no generation file", generation={}),
)  # fmt: skip


def marian_folder(
    folder: Path, shape: Shape = SHAPES[0], *, source: str = "fr", target: str = "en"
) -> Path:
    """Write a Marian folder of a shape into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    source = "en" if shape.tags else source
    source_pieces = _sentence_pieces(folder / "source.spm", sample_lines(source), 420)
    lines = [line for code in (("fr", "de", "zh") if shape.tags else (target,))
             for line in sample_lines(code)]  # fmt: skip
    target_pieces = _sentence_pieces(folder / "target.spm", lines, 700 if shape.tags else 380)
    if shape.separate:
        vocabularies = {"vocab.json": source_pieces, "target_vocab.json": target_pieces}
    else:
        vocabularies = {"vocab.json": [*source_pieces, *target_pieces]}
    sizes = []
    for name, pieces in vocabularies.items():
        # Where the sides differ in size, padding has to have one id all the same.
        first, last = (["<pad>"], []) if shape.separate else ([], ["<pad>"])
        known = dict.fromkeys(["</s>", "<unk>", *first, *shape.tags, *pieces, *last])
        ids = {piece: number for number, piece in enumerate(known)}
        sizes.append(len(ids))
        (folder / name).write_text(json.dumps(ids), encoding="utf-8")
    pad = 2 if shape.separate else sizes[0] - 1
    config = MarianConfig(
        **{
            "vocab_size": sizes[0],
            "decoder_vocab_size": sizes[-1],
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "activation_function": "swish",
            "scale_embedding": True,
            "max_position_embeddings": 512,
            "pad_token_id": pad,
            "decoder_start_token_id": pad,
            "eos_token_id": 0,
            "forced_eos_token_id": 0,
            "share_encoder_decoder_embeddings": not shape.separate,
            **shape.config,
        }
    )
    model = _random_model(config, ending=shape.ending)
    _write_model(folder, model, shape)
    settings = {"source_lang": source, "separate_vocabs": shape.separate}
    if not shape.tags:
        settings["target_lang"] = target
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**settings, "tokenizer_class": "MarianTokenizer"}), encoding="utf-8"
    )
    return folder


def _random_model(config: MarianConfig, *, ending: float) -> MarianMTModel:
    torch.manual_seed(7)
    model = MarianMTModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_positions" not in name:
                scale = 0.35 if "embed" in name or "shared" in name or "lm_head" in name else 0.25
                weight.copy_(torch.randn_like(weight) * scale + ("norm.weight" in name))
        model.final_logits_bias.normal_()
        model.final_logits_bias[0, 0] += ending
    return model


def _write_model(folder: Path, model: MarianMTModel, shape: Shape) -> None:
    defaults = {"num_beams": 3, "max_length": 24, "bad_words_ids": [[model.config.pad_token_id]]}
    if shape.half:
        model = model.half()
    if shape.pickled:
        torch.save(
            model.state_dict(),
            folder / "pytorch_model.bin",
            _use_new_zipfile_serialization=not shape.old,
        )
        model.config.save_pretrained(folder)
    else:
        model.save_pretrained(folder)
    generation = folder / "generation_config.json"
    if shape.generation == {}:
        generation.unlink(missing_ok=True)
        path = folder / "config.json"
        values = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**values, **defaults}), encoding="utf-8")
        return
    names = ("pad_token_id", "eos_token_id", "decoder_start_token_id", "forced_eos_token_id")
    ids = {name: getattr(model.config, name) for name in names}
    generation.write_text(
        json.dumps({**ids, **defaults, **(shape.generation or {})}), encoding="utf-8"
    )


def _sentence_pieces(path: Path, lines: list[str], size: int) -> list[str]:
    """Train a SentencePiece model; gives its pieces without the special ones."""
    prefix = path.with_suffix("")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_prefix=str(prefix),
        vocab_size=size,
        hard_vocab_limit=False,
        character_coverage=0.995,
        minloglevel=2,
    )
    prefix.with_suffix(".model").rename(path)
    prefix.with_suffix(".vocab").unlink()
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return [model.id_to_piece(n) for n in range(3, model.get_piece_size())]
