"""Our Transformer checkpoints as Marian folders, for ``transformers`` and CTranslate2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from seq2seq.checkpoint import CheckpointError, LoadedCheckpoint
from seq2seq.config import ConfigError, TransformerConfig, read_json
from seq2seq.files import new_folder, write_json, write_text
from seq2seq.marian.pieces import SPACED, sentence_piece_model
from seq2seq.marian.weights import marian_names
from seq2seq.nn.transformer import TransformerModel
from seq2seq.text.moses_bpe import MosesBpe

__all__ = ["export_marian", "new_ids"]

_TOKENIZER = "tokenizer_config.json"
_FILES = frozenset({
    "config.json", "generation_config.json", "model.safetensors", "source.spm", "target.spm",
    "vocab.json", _TOKENIZER, "README.md",
})  # fmt: skip
_NEVER = -1e4
"""Added to the logit of padding, which Marian's own vocabularies do not have."""


def export_marian(checkpoint: LoadedCheckpoint, folder: Path) -> None:
    """Write a folder that ``transformers`` loads as a ``MarianMTModel``, all of it or nothing.

    Logits, attention and searches are the same. Texts have to be cut into words by Moses first
    and joined afterwards; the folder's README shows how.

    Raises:
        CheckpointError: Marian has no such architecture, names the setting; or ``folder`` holds
            something else.
    """
    text, model = checkpoint.text, checkpoint.model
    if not isinstance(model, TransformerModel) or not isinstance(text, MosesBpe):
        raise CheckpointError(
            f"{checkpoint.info.name}: is {checkpoint.info.model.architecture!r} with text "
            f"{checkpoint.info.text!r}; only Transformers that we trained can be exported"
        )
    _refuse_others(checkpoint.info.name, model.config, checkpoint.info.search.length_formula)
    folder = folder.absolute()  # has a name, whatever was given
    if folder.is_symlink() or (folder.exists() and not _replaceable(folder)):
        raise CheckpointError(
            f"{folder}: exists and is no earlier export; choose another place or remove it"
        )
    try:
        with new_folder(folder) as fresh:
            _write(fresh, checkpoint, model, text)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written ({error.strerror})") from error


def new_ids(text: MosesBpe) -> list[int]:
    """Our ids in the order of the exported ones.

    End-of-sentence and unknown come first, bos last, as padding with which the decoder starts;
    our own padding is left out.
    """
    apart = {text.pad_id, text.bos_id, text.eos_id, text.unk_id}
    others = [number for number in range(text.vocabulary_size) if number not in apart]
    return [text.eos_id, text.unk_id, *others, text.bos_id]


def _refuse_others(name: str, config: TransformerConfig, formula: str) -> None:
    checks = {
        "norm": (config.norm, "post", "Marian's layers normalise after each block"),
        "zero_start": (config.zero_start, True, "Marian's decoder starts from a zero vector"),
        "share_embeddings": (config.share_embeddings, True, "one vocabulary serves both sides"),
        "tie_output": (config.tie_output, True, "the output shares the embedding's table"),
        "length_formula": (formula, "power", "transformers divides by a power of the length"),
    }
    for key, (value, needed, why) in checks.items():
        if value != needed:
            raise CheckpointError(
                f"{name}: {key} is {value!r} and cannot be exported to Marian: {why}"
            )
    if config.positions == "learned":
        raise CheckpointError(
            f"{name}: positions is 'learned' and cannot be exported to Marian: it computes them"
        )


def _replaceable(folder: Path) -> bool:
    """Whether there is nothing in a folder, or nothing but what an export has written."""
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    if not names:
        return True
    try:
        said = read_json(folder / _TOKENIZER)
    except ConfigError:
        return False
    return said.get("words") == "moses" and names <= _FILES


def _write(
    folder: Path, checkpoint: LoadedCheckpoint, model: TransformerModel, text: MosesBpe
) -> None:
    order = new_ids(text)
    tensors = _tensors(model, order)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    ids = {"pad": len(order) - 1, "eos": 0}
    write_json(folder / "config.json", _config(model.config, len(order), ids))
    write_json(folder / "generation_config.json", _generation(checkpoint, ids))
    tokenizer, vocabulary, pieces = _tokenizer(checkpoint, text, order)
    write_json(folder / _TOKENIZER, tokenizer)
    write_text(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False, indent=0))
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(pieces)
    write_text(folder / "README.md", _readme(checkpoint))


def _tensors(model: TransformerModel, order: list[int]) -> dict[str, Tensor]:
    tensors = _to_marian(model)
    tensors.pop("source")
    tensors.pop("output")
    rows = torch.tensor(order)
    bias = tensors.pop("bias")[rows]
    bias[-1] = _NEVER
    tensors["model.shared.weight"] = tensors.pop("target")[rows].contiguous()
    tensors["final_logits_bias"] = bias[None]
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _config(config: TransformerConfig, size: int, ids: dict[str, int]) -> dict[str, Any]:
    sides: dict[str, Any] = {}
    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        sides |= {
            f"{side}_layers": layers,
            f"{side}_attention_heads": config.heads,
            f"{side}_ffn_dim": config.feed_forward_size,
        }
    return {
        "model_type": "marian",
        "architectures": ["MarianMTModel"],
        "vocab_size": size,
        "decoder_vocab_size": size,
        "d_model": config.d_model,
        **sides,
        "activation_function": config.activation,
        "scale_embedding": config.scale_embeddings,
        "max_position_embeddings": config.max_positions,
        "dropout": config.dropout,
        "is_encoder_decoder": True,
        "share_encoder_decoder_embeddings": True,
        "static_position_embeddings": True,
        "normalize_before": False,
        "normalize_embedding": False,
        "tie_word_embeddings": True,
        "pad_token_id": ids["pad"],
        "decoder_start_token_id": ids["pad"],
        "eos_token_id": ids["eos"],
        "forced_eos_token_id": ids["eos"],
    }


def _generation(checkpoint: LoadedCheckpoint, ids: dict[str, int]) -> dict[str, Any]:
    search = checkpoint.info.search
    return {
        "num_beams": search.beam,
        "length_penalty": search.length_penalty,
        # Where ours is sure that nothing better can come, transformers with "never" would go on to
        # the longest length; its own rule finds the same but for one sentence in a thousand.
        "early_stopping": search.stopping == "first",
        "no_repeat_ngram_size": search.no_repeat_ngram,
        "max_length": (search.max_length or checkpoint.model.config.to_dict()["max_positions"] - 2)
        + 2,
        "bad_words_ids": [[ids["pad"]]],
        "pad_token_id": ids["pad"],
        "decoder_start_token_id": ids["pad"],
        "eos_token_id": ids["eos"],
        "forced_eos_token_id": ids["eos"],
    }


def _tokenizer(
    checkpoint: LoadedCheckpoint, text: MosesBpe, order: list[int]
) -> tuple[dict[str, Any], dict[str, int], bytes]:
    """``tokenizer_config.json``, ``vocab.json`` and the SentencePiece model."""
    info = checkpoint.info
    tags = {text.tag(code)[0]: f">>{code}<<" for code in text.languages if text.tag(code)}
    names = {text.eos_id: "</s>", text.unk_id: "<unk>", text.bos_id: "<pad>", **tags}
    vocabulary = {names.get(old, text.pieces[old]): new for new, old in enumerate(order)}
    specials = [names[n] for n in (text.eos_id, text.bos_id)]
    ordinary = [text.pieces[old] for old in order if old not in names]
    settings: dict[str, Any] = {
        "tokenizer_class": "MarianTokenizer",
        "source_lang": info.directions[0][0],
        "target_lang": info.directions[0][1],
        "separate_vocabs": False,
        "words": "moses",
        "model_max_length": 512,
    }
    pieces = sentence_piece_model(ordinary, first_byte=0, specials=specials, unknown="<unk>")
    return settings, vocabulary, pieces


def _readme(checkpoint: LoadedCheckpoint) -> str:
    info = checkpoint.info
    source, target = info.directions[0]
    tag = f'">>{target}<<" + ' if info.target_tags else ""
    return f"""\
# {info.name} for transformers and CTranslate2

Exported from the checkpoint `{info.name}` (revision {checkpoint.revision}) of Seq2Seq Explorer,
whose model card says what it was trained on and under which licence it stands.

The text that the SentencePiece model takes is not raw. {SPACED}

```python
from sacremoses import MosesDetokenizer, MosesTokenizer
from transformers import MarianMTModel, MarianTokenizer

tokenizer = MarianTokenizer.from_pretrained(".")
model = MarianMTModel.from_pretrained(".")
words = MosesTokenizer("{source}").tokenize("…", escape=False)
batch = tokenizer({tag}"".join(" " + word for word in words), return_tensors="pt")
found = tokenizer.decode(model.generate(**batch)[0], skip_special_tokens=True)
print(MosesDetokenizer("{target}").detokenize(found.split(), unescape=False))
```

For CTranslate2: `ct2-transformers-converter --model . --output_dir ct2`, and `patience=2` when
translating, which lets its beam search go on as long as ours does.
"""


def _to_marian(model: TransformerModel) -> dict[str, Tensor]:
    """Marian's tensors of a post-norm model, those that are tied once.

    Sines and cosines of the positions alternate in some of our models and never in Marian's: the
    features of the whole model are reordered then, which changes no result.
    """
    config = model.config
    order = torch.arange(config.d_model)
    if config.positions == "sinusoidal":
        order = torch.cat([order[0::2], order[1::2]])
    state = model.state_dict()
    tensors: dict[str, Tensor] = {}
    for ours, theirs in marian_names(config):
        value = state[ours].detach().float()
        inner, outer = _sides(ours)
        value = value[order] if outer else value
        value = value[:, order] if inner else value
        parts = value.chunk(len(theirs))
        tensors.update({name: part.clone() for name, part in zip(theirs, parts, strict=True)})
    tables = {"source": "source_embedding.weight", "target": "target_embedding.weight"}
    for side, name in tables.items():
        tensors[side] = state[name].detach().float()[:, order].clone()
    if config.zero_start:
        tensors["target"][config.bos_id] = 0
    tensors["output"] = state["output.weight"].detach().float()[:, order].clone()
    bias = state.get("output.bias")
    size = config.target_vocabulary
    tensors["bias"] = torch.zeros(size) if bias is None else bias.detach().float().clone()
    return tensors


def _sides(name: str) -> tuple[bool, bool]:
    """Whether a weight reads the model's features (columns), and whether it writes them (rows)."""
    module, _, kind = name.rpartition(".")
    part = module.rpartition(".")[2]
    if part.endswith("norm"):
        return False, True
    reads = part in ("project_in", "project_query", "project_memory", "inner")
    writes = part in ("project_out", "outer")
    return reads and kind == "weight", writes
