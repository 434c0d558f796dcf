"""Tiny real checkpoints for tests: a real vocabulary, random weights, saved to a folder."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from seq2seq.checkpoint import Checkpoint, CheckpointInfo, save_checkpoint
from seq2seq.config import ModelConfig, RecurrentConfig, SearchConfig, TransformerConfig
from seq2seq.nn import AnyModel, build_model
from seq2seq.stored import Storage
from seq2seq.text.moses_bpe import MosesBpe
from seq2seq.translator import Translator


@pytest.fixture(autouse=True, scope="module")
def cpu_only() -> Iterator[None]:
    """The same figures on every machine, GPU or not, in modules that import this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seq2seq.device._available", lambda **_: ["cpu"])
        yield


_SUBJECTS = [
    ("the cat", "le chat"),
    ("the dog", "le chien"),
    ("my sister", "ma sœur"),
    ("the teacher", "le professeur"),
    ("our neighbour", "notre voisin"),
    ("the old man", "le vieil homme"),
    ("the child", "l'enfant"),
    ("the doctor", "le médecin"),
]
_VERBS = [
    ("sees", "voit"),
    ("likes", "aime"),
    ("buys", "achète"),
    ("draws", "dessine"),
    ("loses", "perd"),
    ("finds", "trouve"),
    ("sells", "vend"),
]
_OBJECTS = [
    ("the house", "la maison"),
    ("a book", "un livre"),
    ("the car", "la voiture"),
    ("an apple", "une pomme"),
    ("the garden", "le jardin"),
    ("a letter", "une lettre"),
    ("the table", "la table"),
    ("a bird", "un oiseau"),
]
_ENDS = [(".", "."), (" today.", " aujourd'hui."), ("?", " ?")]


def replace_step(translator: Translator, make: Callable[[Any], Any]) -> None:
    """Have a translator make its steps with ``make(its own step)``."""
    model = translator._runner.model
    form = model._form
    model._form = SimpleNamespace(
        config=form.config,
        attention_layout=form.attention_layout,
        encode=form.encode,
        start=form.start,
        step=make(form.step),
        choose=make(form.choose),
    )


def sentence_pairs() -> list[tuple[str, str]]:
    """English and French sentences of a small grammar, 1,344 of them."""
    pairs = []
    for parts in itertools.product(_SUBJECTS, _VERBS, _OBJECTS, _ENDS):
        english, french = (
            f"{parts[0][side]} {parts[1][side]} {parts[2][side]}{parts[3][side]}" for side in (0, 1)
        )
        pairs.append((english[0].upper() + english[1:], french[0].upper() + french[1:]))
    return pairs


FRENCH = [french for _, french in sentence_pairs()]


@cache
def tiny_text(*, languages: tuple[str, ...] = ("fr", "en"), target_tags: bool = False) -> MosesBpe:
    """A vocabulary learnt from the small grammar."""
    sentences = [
        pair for english, french in sentence_pairs() for pair in (("en", english), ("fr", french))
    ]
    return MosesBpe.train(
        sentences, languages=languages, vocabulary_size=400, target_tags=target_tags
    )


def tiny_config(architecture: str = "transformer", *, vocabulary: int) -> ModelConfig:
    """One of: transformer, transformer-learned, gru-additive, lstm-general, lstm."""
    sizes = {"source_vocabulary": vocabulary, "target_vocabulary": vocabulary}
    recurrent = RecurrentConfig(
        **sizes, embedding_size=16, encoder_size=12, decoder_size=24, attention_size=16
    )
    transformer = TransformerConfig(
        **sizes, d_model=16, heads=2, encoder_layers=1, decoder_layers=2, feed_forward_size=32
    )
    configs: dict[str, ModelConfig] = {
        "transformer": transformer,
        "transformer-learned": dataclasses.replace(
            transformer, positions="learned", max_positions=40
        ),
        "gru-additive": recurrent,
        "lstm-general": dataclasses.replace(
            recurrent, cell="lstm", attention="general", input_feeding=True
        ),
        "lstm": dataclasses.replace(recurrent, cell="lstm", attention="none"),
    }
    return configs[architecture]


ARCHITECTURES = ("transformer", "transformer-learned", "gru-additive", "lstm-general", "lstm")

SHORT_SEARCH = SearchConfig(beam=3, length_factor=1.0, length_margin=3)


def tiny_model(architecture: str = "transformer", *, vocabulary: int, seed: int = 1) -> AnyModel:
    """A model with random weights, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(tiny_config(architecture, vocabulary=vocabulary)).eval()


def make_checkpoint(
    folder: Path,
    *,
    architecture: str = "transformer",
    storage: Storage = "fp32",
    languages: tuple[str, ...] = ("fr", "en"),
    directions: tuple[tuple[str, str], ...] = (("fr", "en"),),
    target_tags: bool = False,
    search: SearchConfig = SHORT_SEARCH,
    seed: int = 1,
) -> Checkpoint:
    """Write a tiny checkpoint folder."""
    text = tiny_text(languages=languages, target_tags=target_tags)
    info = CheckpointInfo(
        name=folder.name,
        languages=languages,
        target_tags=target_tags,
        directions=directions,
        search=search,
    )
    model = tiny_model(architecture, vocabulary=text.vocabulary_size, seed=seed)
    return save_checkpoint(folder, model, text, info, storage=storage)
