"""What a Marian folder's JSON files may say, and what is refused by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seq2seq.checkpoint import CheckpointError
from seq2seq.marian.languages import read_languages
from seq2seq.marian.settings import is_marian, read_settings

# As in the config.json and generation_config.json of Helsinki-NLP/opus-mt-en-de.
CONFIG: dict[str, Any] = {
    "_num_labels": 3, "activation_dropout": 0.0, "activation_function": "swish",
    "add_bias_logits": False, "add_final_layer_norm": False, "architectures": ["MarianMTModel"],
    "attention_dropout": 0.0, "bad_words_ids": [[58100]], "bos_token_id": 0, "classif_dropout": 0.0,
    "d_model": 512, "decoder_attention_heads": 8, "decoder_ffn_dim": 2048, "decoder_layerdrop": 0.0,
    "decoder_layers": 6, "decoder_start_token_id": 58100, "decoder_vocab_size": 58101,
    "dropout": 0.1, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048, "encoder_layers": 6,
    "eos_token_id": 0, "extra_pos_embeddings": 58101, "forced_eos_token_id": 0, "init_std": 0.02,
    "is_encoder_decoder": True, "max_length": 512, "max_position_embeddings": 512,
    "model_type": "marian", "normalize_before": False, "normalize_embedding": False,
    "num_beams": 6, "num_hidden_layers": 6, "pad_token_id": 58100, "scale_embedding": True,
    "share_encoder_decoder_embeddings": True, "static_position_embeddings": True,
    "use_cache": True, "vocab_size": 58101,
}  # fmt: skip
GENERATION: dict[str, Any] = {
    "bad_words_ids": [[58100]], "bos_token_id": 0, "decoder_start_token_id": 58100,
    "eos_token_id": 0, "forced_eos_token_id": 0, "max_length": 512, "num_beams": 6,
    "pad_token_id": 58100, "renormalize_logits": True, "transformers_version": "4.32.0.dev0",
}  # fmt: skip


def write(folder: Path, config: dict[str, Any], generation: dict[str, Any] | None) -> Path:
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}), encoding="utf-8")
    if generation is not None:
        path = folder / "generation_config.json"
        path.write_text(json.dumps({**GENERATION, **generation}), encoding="utf-8")
    return folder


def test_an_opus_model_of_the_hub(tmp_path: Path) -> None:
    found = read_settings(write(tmp_path, {}, {}))
    assert is_marian(tmp_path)
    model, search = found.model, found.search
    assert (model.d_model, model.heads, model.encoder_layers, model.decoder_layers) == (
        512,
        8,
        6,
        6,
    )
    assert (model.norm, model.positions, model.activation) == ("post", "sinusoidal-halves", "swish")
    assert (model.pad_id, model.bos_id, model.eos_id, model.unk_id) == (58100, 58100, 0, 1)
    assert (model.share_embeddings, model.tie_output, model.scale_embeddings) == (True,) * 3
    assert (search.beam, search.max_length, search.forced_end) == (6, 510, True)
    assert search.stopping == "heuristic"
    assert found.excluded == (58100,)


def test_without_its_own_file_the_search_stands_in_the_configuration(tmp_path: Path) -> None:
    found = read_settings(write(tmp_path, {"num_beams": 4, "length_penalty": 0.5}, None))
    assert (found.search.beam, found.search.length_penalty) == (4, 0.5)
    assert found.excluded == ()  # padding is left out by the search


@pytest.mark.parametrize(
    ("config", "generation", "message"),
    [
        ({"model_type": "bart"}, {}, r"model_type is 'bart', only 'marian' can be read"),
        ({"normalize_before": True}, {}, "normalize_before is True, which is not supported"),
        ({"normalize_embedding": True}, {}, "normalize_embedding is True"),
        ({"static_position_embeddings": False}, {}, "static_position_embeddings is False"),
        ({"quantization_config": {"bits": 8}}, {}, "quantization_config is"),
        ({"is_decoder": True}, {}, "is_decoder is True"),
        ({"activation_function": "gelu_new"}, {}, "only relu, gelu, swish, silu can be read"),
        ({"decoder_attention_heads": 4}, {}, "decoder_attention_heads is 4, the encoder has 8"),
        ({"decoder_ffn_dim": 1}, {}, "decoder_ffn_dim is 1, the encoder has 2048"),
        ({"d_model": "512"}, {}, "d_model is '512', it must be a whole number"),
        ({"d_model": 510}, {}, "TransformerConfig.heads"),
        ({"pad_token_id": 5}, {}, "pad_token_id is 58100, config.json says 5"),
        ({"eos_token_id": [0, 2]}, {}, "eos_token_id"),
        ({}, {"do_sample": True}, "do_sample is True"),
        ({}, {"repetition_penalty": 1.3}, "repetition_penalty is 1.3"),
        ({}, {"num_beam_groups": 2}, "num_beam_groups is 2"),
        ({}, {"forced_bos_token_id": 7}, "forced_bos_token_id is 7"),
        ({}, {"forced_eos_token_id": 7}, "only the end-of-sentence can be forced"),
        ({}, {"early_stopping": "sometimes"}, "early_stopping is 'sometimes'"),
        ({}, {"bad_words_ids": [[3, 4]]}, "only single pieces can be left out"),
        ({}, {"bad_words_ids": [[70000]]}, "ids beyond the vocabulary"),
        ({}, {"bad_words_ids": [[3]], "renormalize_logits": False}, "without renormalize_logits"),
        ({}, {"no_repeat_ngram_size": 3}, "not supported together with renormalize_logits"),
        ({}, {"num_beams": 100}, "SearchConfig.beam"),
        ({}, {"length_penalty": -1.0}, "SearchConfig.length_penalty"),
        ({}, {"decoder_start_token_id": 5}, "decoder_start_token_id is 5, config.json says 58100"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(
    tmp_path: Path, config: dict[str, Any], generation: dict[str, Any], message: str
) -> None:
    write(tmp_path, config, generation)
    with pytest.raises(CheckpointError, match=message) as raised:
        read_settings(tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "tokenizer", "pieces", "card", "sources", "targets"),
    [
        ("opus-mt-en-de", {}, [], "", ("en",), ("de",)),
        ("Helsinki-NLP/opus-mt-tc-big-en-pt", {"source_lang": "eng", "target_lang": "por"}, [], "",
         ("en",), ("pt",)),
        ("my-model", {"source_lang": "fr", "target_lang": "en"}, [], "", ("fr",), ("en",)),
        ("opus-mt-en-ROMANCE", {}, [">>fra<<", ">>pt_br<<", ">>x<"], "",
         ("en",), ("fr", "pt-BR")),
        ("opus-mt-gem-en", {}, [], "language: [de, nl, en, gem]", ("de", "nl"), ("en",)),
        ("opus-mt-mul-en", {}, [], "", ("mul",), ("en",)),
        ("opus-mt-zh-ar", {"source_lang": "zho"}, [], "", ("zh",), ("ar",)),
        ("opus-mt-de-de", {}, [], "", None, None),
        ("something", {}, [], "", None, None),
    ],
)  # fmt: skip
def test_languages(
    tmp_path: Path, name: str, tokenizer: dict[str, str], pieces: list[str], card: str,
    sources: tuple[str, ...] | None, targets: tuple[str, ...] | None,
) -> None:  # fmt: skip
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (tmp_path / "README.md").write_text(f"---\n{card}\n---\nA card.\n", encoding="utf-8")
    if sources is None:
        with pytest.raises(CheckpointError, match="source_lang and target_lang"):
            read_languages(tmp_path, name=name, pieces=pieces)
        return
    found = read_languages(tmp_path, name=name, pieces=pieces)
    assert (found.sources, found.targets) == (sources, targets)
    assert bool(found.tags) == bool(pieces)
