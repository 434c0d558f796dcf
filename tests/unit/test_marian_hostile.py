"""Marian folders that lie, bomb or are broken: one clear line each, in no time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from marian_support import marian_folder
from safetensors.torch import load_file, save_file

from seq2seq import Translator
from seq2seq.checkpoint import CheckpointError, CheckpointInfo
from seq2seq.formats import load_model, read_model
from seq2seq.marian.languages import read_languages

Change = Callable[[Path], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return marian_folder(tmp_path / "model")


def said(name: str, **values: Any) -> Change:
    """More in a JSON file."""

    def change(folder: Path) -> None:
        path = folder / name
        found = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**found, **values}), encoding="utf-8")

    return change


def everywhere(**values: Any) -> Change:
    def change(folder: Path) -> None:
        for name in ("config.json", "generation_config.json"):
            said(name, **values)(folder)

    return change


def weights(**values: Callable[[torch.Tensor], Any]) -> Change:
    """Other tensors, in a pickle."""

    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        tensors: dict[str, Any] = load_file(path)
        for name, make in values.items():
            full = next(key for key in tensors if key.endswith(name.replace("__", ".")))
            tensors[full] = make(tensors[full])
        path.unlink()
        torch.save(tensors, folder / "pytorch_model.bin")

    return change


def content(name: str, data: bytes) -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def fifo(folder: Path) -> None:
    (folder / "source.spm").unlink()
    os.mkfifo(folder / "source.spm")


def pickled(value: object) -> Change:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        torch.save(value, folder / "pytorch_model.bin")

    return change


KEY = "encoder__layers__0__self_attn__k_proj__weight"


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("length_penalty", said("generation_config.json", length_penalty=int("1" * 400))),
        ("vocab_size is 2147483647", said("config.json", vocab_size=2**31 - 1)),
        ("encoder_layers", said("config.json", encoder_layers=10**6, decoder_layers=10**6)),
        ("has the shape", said("config.json", vocab_size=900)),
        ("no SentencePiece model", content("source.spm", b"")),
        ("no SentencePiece model", content("target.spm", b"garbage")),
        ("missing or no file", fifo),
        ("is not a JSON file", content("vocab.json", b"[" * 10**5)),
        ("id 5 of padding", everywhere(pad_token_id=5, decoder_start_token_id=5,
                                       bad_words_ids=[[5]])),
        ("more or longer pieces", content("vocab.json", json.dumps({"x" * 2000: 1}).encode())),
        ("has the shape", weights(**{KEY: lambda t: t[:16]})),
        ("has the shape", weights(**{KEY: lambda t: t.reshape(-1)})),
        ("no plain tensor", weights(**{KEY: lambda t: t.to(torch.int8)})),
        ("no plain tensor", weights(**{KEY: lambda t: t.to(torch.complex64)})),
        ("no plain tensor", weights(**{KEY: lambda t: t.to_sparse()})),
        ("no plain tensor", weights(**{KEY: lambda t: torch.ones(1, 1).expand(32, 32)})),
        ("holds NaN", weights(**{KEY: lambda t: t / 0})),
        ("damaged, or holds more", pickled([torch.ones(3)])),
        ("damaged, or holds more", pickled(Path("/"))),
        ("no plain tensor", pickled({"a": 1})),
        ("not the name of a file", content("model.safetensors.index.json",
                                           b'{"weight_map": {"a": ["x"]}}')),
        ("sp_model_kwargs", said("tokenizer_config.json", sp_model_kwargs={"a": "x" * 10**6})),
    ],
)  # fmt: skip
def test_one_clear_line(folder: Path, message: str, change: Change) -> None:
    change(folder)
    started = time.monotonic()
    with pytest.raises(CheckpointError, match=message) as raised:
        load_model(folder)
    assert time.monotonic() - started < 5
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400 + len(str(folder))


def test_positions_of_other_shapes_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    for table in (torch.ones(()), torch.ones(0, 32), torch.ones(4, 5), torch.ones(512, 32)):
        tensors = load_file(path)
        tensors["model.encoder.embed_positions.weight"] = table
        save_file(tensors, path)
        with pytest.raises(CheckpointError, match=r"positions|wrong shape"):
            load_model(folder)


@pytest.mark.parametrize("name", ["merge keys", "aliases", "no YAML", "not UTF-8"])
def test_cards_that_bomb_cost_nothing(tmp_path: Path, name: str) -> None:
    merge = "m0: &m0 {a: 1}\n" + "".join(
        f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 4)}]}}\n" for i in range(1, 20)
    )
    alias = "a0: &a0 [de]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
    )
    front = {
        "merge keys": merge.encode(), "aliases": f"{alias}language: [*a11]\n".encode(),
        "no YAML": b"language: [", "not UTF-8": b"\xff\xfe",
    }[name]  # fmt: skip
    (tmp_path / "README.md").write_bytes(b"---\n" + front + b"\n---\ntext\n")
    started = time.monotonic()
    found = read_languages(tmp_path, name="opus-mt-mul-en", pieces=[])
    assert time.monotonic() - started < 1
    assert found.sources == ("mul",)


def test_a_card_is_not_read_where_the_languages_are_known(folder: Path) -> None:
    (folder / "README.md").write_bytes(b"---\nlanguage: [&a x, *a]\n---\n")
    assert read_model(folder).directions == (("fr", "en"),)


def test_many_languages_stay_few_directions_and_quick(tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    codes = [f"q{a}{b}" for a in letters[:20] for b in letters]
    (tmp_path / "README.md").write_text("---\nlanguage: [de, fr, it, es, nl]\n---\n")
    found = read_languages(
        tmp_path, name="opus-mt-mul-mul", pieces=[f">>{code}<<" for code in codes]
    )
    assert len(found.directions) <= 2000
    started = time.monotonic()
    CheckpointInfo(name="x", languages=found.all, directions=found.directions)
    assert time.monotonic() - started < 1


def test_tags_are_language_codes_or_text(tmp_path: Path) -> None:
    odd = [">>\ud800<<", ">><img src=x onerror=alert(1)><<", ">> <<", ">>" + "a" * 10**6 + "<<"]
    found = read_languages(tmp_path, name="opus-mt-en-ROMANCE", pieces=[*odd, ">>fra<<"])
    assert found.targets == ("fr",)


def test_halves_of_characters_in_pieces_can_be_written(folder: Path) -> None:
    path = folder / "vocab.json"
    pieces = json.loads(path.read_text(encoding="utf-8"))
    old = next(piece for piece, number in pieces.items() if number == 50)
    pieces[old + "\ud800"] = pieces.pop(old)
    path.write_text(json.dumps(pieces), encoding="utf-8")
    translator = Translator.load(str(folder))
    document = translator.translate("Le chat dort.", prefix=[50], trace=True).to_dict()
    json.dumps(document, ensure_ascii=False).encode()
