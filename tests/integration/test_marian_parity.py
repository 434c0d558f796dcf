"""Marian folders give the same ids, states, attention and translations as transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from marian_support import SHAPES, Shape, marian_folder, sample_lines
from transformers import MarianMTModel, MarianTokenizer

from seq2seq import Translator, kernels
from seq2seq.checkpoint import LoadedCheckpoint
from seq2seq.config import SearchConfig
from seq2seq.formats import load_model
from seq2seq.inference import InferenceModel, compiled

TOLERANCE = 1e-4
TAGS = {"fr": "fra", "de": "deu", "zh-Hans": "cmn_Hans", "he": "heb"}
LANGUAGES = ("en", "fr", "de", "zh")
ODD = (
    "L’homme « aux » 3,14 € …", "    spaced   out\tand\ttabbed  ", "ﬁne ① ²", "x" * 300,
    "mixed العربية 中文 text", "😀👩‍👩‍👧 emoji", "a\u200bb\u00adc", "!!!???...", "\x00\x07",
    "<b>bold</b> & co", "ｆｕｌｌ", "line\nbreak", "İstanbul ẞ ß", "e\u0301 é", "—–-", "' \" ` ´",
    ">", ">>", "<<", "\u202eabc",
)  # fmt: skip
LINES = [line for code in LANGUAGES for line in sample_lines(code)]


class Pair:
    """One Marian folder, read by transformers and by us."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.shape = shape
        self.folder = marian_folder(folder, shape)
        self.tokenizer: Any = MarianTokenizer.from_pretrained(folder, split_special_tokens=True)
        self.theirs: Any = MarianMTModel.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        self.ours: LoadedCheckpoint = load_model(folder)
        self.translator = Translator(self.ours, precision="fp32")
        self.source, self.target = self.ours.info.directions[0]

    def ids(self, line: str) -> list[int]:
        text, language = self.ours.text, self.source
        return list(text.encode(line, language=language, target_language=self.target).ids)

    def theirs_ids(self, line: str) -> list[int]:
        tag = f">>{TAGS[self.target]}<< " if self.ours.info.target_tags else ""
        return list(self.tokenizer(tag + line).input_ids)

    def batch(self, lines: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [self.ids(line) for line in lines]
        width = max(map(len, rows))
        pad = self.ours.model.config.pad_id
        source = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])
        mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
        return source, mask


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: shape.name)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("marian"), request.param)


def test_token_ids_are_equal(pair: Pair) -> None:
    lines = [*LINES, *(line.upper() for line in LINES[:400]), *ODD]
    assert len(lines) >= 1000
    different = [line for line in lines if pair.ids(line) != pair.theirs_ids(line)]
    assert different == []


def test_words_and_pieces_stand_where_the_text_says(pair: Pair) -> None:
    for line in [*LINES[::7], *ODD]:
        encoding = pair.ours.text.encode(line, language=pair.source, target_language=pair.target)
        for word in encoding.words:
            assert word.special or word.text == line[word.start : word.end]
        assert [p.word for p in encoding.pieces] == sorted(p.word for p in encoding.pieces)
        assert {p.word for p in encoding.pieces} == set(range(len(encoding.words)))


def test_target_text_is_equal(pair: Pair) -> None:
    torch.manual_seed(1)
    size = pair.ours.model.config.target_vocabulary
    for _ in range(100):
        ids = torch.randint(3, size - 1, (20,)).tolist()
        encoding = pair.ours.text.decode(ids, language=pair.target)
        expected = pair.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        assert encoding.text == expected
        assert list(encoding.ids) == ids
        for word in encoding.words:
            assert word.special or word.text == encoding.text[word.start : word.end]


def test_states_logits_and_attention_are_equal(pair: Pair) -> None:
    source, mask = pair.batch([LINES[0], LINES[160], LINES[310]])
    model, config = pair.ours.model, pair.ours.model.config
    target = torch.randint(2, min(config.target_vocabulary, 300), (3, 9))
    target[:, 0] = config.bos_id
    with torch.no_grad():
        theirs = pair.theirs(
            input_ids=source, attention_mask=mask.long(), decoder_input_ids=target,
            output_attentions=True,
        )  # fmt: skip
        encoded = model.encoder_states(source, mask)
        memory = model.encode(source, mask)
        state, logits, attention = model.start(memory), [], []
        for tokens in target.T:
            output = model.step(tokens, state)
            state = output.state
            logits.append(output.logits)
            attention.append(output.attention)
        forced = model(source, target)
    states = theirs.encoder_last_hidden_state
    assert (encoded - states)[mask].abs().max() < TOLERANCE
    given = torch.stack(logits, dim=1)
    possible = given.isfinite()  # pieces that generation leaves out have no score of ours
    assert (given - theirs.logits)[possible].abs().max() < TOLERANCE
    assert (forced - theirs.logits)[possible].abs().max() < TOLERANCE
    maps = torch.stack(theirs.cross_attentions, dim=2)  # rows, heads, layers, T, S
    ours = torch.stack(attention, dim=3).transpose(1, 2)
    assert (ours - maps).abs().max() < TOLERANCE


@pytest.mark.skipif(not kernels.loaded(), reason="no operators on this machine")
def test_weights_can_be_packed_from_the_disk_one_by_one(pair: Pair) -> None:
    stored = load_model(pair.folder, whole=False)
    source, mask = pair.batch([LINES[0], LINES[160]])
    sources = [ids[kept].tolist() for ids, kept in zip(source, mask, strict=True)]
    found = []
    for model in (
        InferenceModel(compiled(stored.info.model, stored.weights)),
        InferenceModel(pair.ours.model, precision="int8"),
    ):
        assert model.is_unit
        session = model.session()
        state = session.start(session.encode(sources))
        found.append(session.step([5, 6], state).logits)
    assert "model" not in vars(stored)  # nothing on PyTorch was built
    assert np.array_equal(found[0], found[1])


SEARCHES: list[dict[str, Any]] = [
    {},
    {"num_beams": 1},
    {"num_beams": 4, "num_return_sequences": 4},
    {"num_beams": 4, "num_return_sequences": 4, "early_stopping": True},
    {"num_beams": 4, "num_return_sequences": 4, "early_stopping": "never", "length_penalty": 0.6},
    {"num_beams": 5, "num_return_sequences": 2, "length_penalty": 2.0},
    {"num_beams": 3, "num_return_sequences": 3, "length_penalty": 0.0},
    {"num_beams": 4, "num_return_sequences": 4, "max_length": 6},
    {"num_beams": 3, "no_repeat_ngram_size": 2, "min_length": 8},
]


@pytest.mark.parametrize("options", SEARCHES, ids=str)
def test_translations_are_equal(pair: Pair, options: dict[str, Any]) -> None:
    lines = [*LINES[150:158], *LINES[300:304]]
    source, mask = pair.batch(lines)
    with torch.no_grad():
        theirs = pair.theirs.generate(
            input_ids=source, attention_mask=mask.long(), return_dict_in_generate=True,
            output_scores=True, **options,
        )  # fmt: skip
    if pair.shape.generation and "no_repeat_ngram_size" in options:
        pytest.skip("refused: probabilities would be shared out anew at every step")
    search = _search(pair.ours.info.search, options)
    ours = pair.translator.translate(
        lines, source=pair.source, target=pair.target, search=search, n_best=search.n_best
    )
    sequences = [_content(row, pair.theirs.config) for row in theirs.sequences.tolist()]
    found = [[i for i in one.target.ids if i != 0] for document in ours for one in document.n_best]
    assert found == sequences
    if search.beam > 1:
        scores = torch.tensor([one.score for document in ours for one in document.n_best])
        assert (scores - theirs.sequences_scores).abs().max() < TOLERANCE


def test_some_outputs_end_and_some_are_cut_off(pair: Pair) -> None:
    """Otherwise the equal translations above would prove little."""
    kwargs = {"source": pair.source, "target": pair.target}
    documents = [
        one
        for beam in (1, 4)
        for document in pair.translator.translate(
            [*LINES[150:158], *LINES[300:304]], beam=beam, n_best=beam, max_length=22, **kwargs
        )
        for one in document.n_best
    ]
    assert {0 in one.target.ids for one in documents} == {False, True}
    assert len({one.target.ids for one in documents}) > 10


def _search(default: SearchConfig, options: dict[str, Any]) -> SearchConfig:
    """The same settings in our words."""
    early = {False: "heuristic", True: "first", "never": "exact"}
    values = {
        "beam": options.get("num_beams", default.beam),
        "n_best": options.get("num_return_sequences", 1),
        "length_penalty": options.get("length_penalty", 1.0),
        "stopping": early[options.get("early_stopping", False)],
        "no_repeat_ngram": options.get("no_repeat_ngram_size", 0),
        "min_length": max(options.get("min_length", 1) - 1, 0),
        "max_length": options.get("max_length", 24) - 2,
    }
    return SearchConfig.from_dict({**default.to_dict(), **values})


def _content(row: list[int], config: Any) -> list[int]:
    """A generated row without the start, the end and padding."""
    row = row[1:]
    end = row.index(0) if 0 in row else len(row)
    return [number for number in row[:end] if number != config.pad_token_id]


@given(text=st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_has_the_same_ids(shared_pair: Pair, text: str) -> None:
    # Two things are ours: text that looks like a language code stays text, and so do the names
    # of special pieces; transformers strips the text around those.
    if not text.startswith(">>") and not any(0xD800 <= ord(c) < 0xE000 for c in text):
        assert shared_pair.ids(text) == shared_pair.theirs_ids(text)


@pytest.fixture(scope="module")
def shared_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("marian"), SHAPES[0])
