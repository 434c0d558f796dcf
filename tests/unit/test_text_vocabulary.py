import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_support import LANGUAGES, pipeline, sample

from seq2seq.text.encoding import TextError
from seq2seq.text.moses_bpe import MosesBpe
from seq2seq.text.vocabulary import BYTES, MARK, SPECIALS, Vocabulary

WORDS = Counter({f"{MARK}chat": 30, f"{MARK}chien": 25, f"{MARK}ж": 3, f"{MARK}<unk>": 500})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Vocabulary.train(WORDS, size=380).save(tmp_path)
    return tmp_path


def change(folder: Path, how: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    how(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_ids_stand_in_their_order() -> None:
    vocabulary = Vocabulary.train(WORDS, size=380, tags=("<2fr>", "<2en>"))
    assert vocabulary.pieces[:6] == (*SPECIALS, "<2fr>", "<2en>")
    assert vocabulary.pieces[6:262] == BYTES
    assert vocabulary.is_special(5)
    assert not vocabulary.is_special(6)
    assert vocabulary.byte_of(6 + 65) == 65
    assert vocabulary.byte_of(5) is None
    assert vocabulary.byte_of(262) is None
    assert f"{MARK}chat" in vocabulary.pieces


def test_rare_characters_are_bytes_and_ascii_never_is() -> None:
    vocabulary = Vocabulary.train(WORDS, size=380)
    assert "ж" not in vocabulary.pieces
    assert set(map(chr, range(0x21, 0x7F))) <= set(vocabulary.pieces)
    names = [vocabulary.pieces[piece] for piece in vocabulary.cut(f"{MARK}жQ")]
    assert names == [MARK, "<0xD0>", "<0xB6>", "Q"]


def test_alphabet_has_a_limit() -> None:
    words = Counter({MARK + chr(0x4E00 + i): 100 - i for i in range(60)})
    vocabulary = Vocabulary.train(words, size=700, alphabet=20)
    chinese = {c for piece in vocabulary.pieces for c in piece if c >= "\u4e00"}
    assert chinese == {chr(0x4E00 + i) for i in range(19)}  # the word mark is the twentieth


def test_no_merge_spells_a_reserved_name() -> None:
    vocabulary = Vocabulary.train(WORDS, size=380)
    reserved = {vocabulary.pieces.index("<unk>")}
    assert reserved.isdisjoint(vocabulary.cut(f"{MARK}<unk>"))
    assert reserved.isdisjoint(vocabulary.cut("<unk>"))


def test_size_is_kept_and_too_small_a_one_is_refused() -> None:
    text = pipeline()
    assert text.vocabulary_size == 2000
    with pytest.raises(TextError, match="vocabulary size 300 is too small"):
        Vocabulary.train(WORDS, size=300)
    with pytest.raises(TextError, match="no text to learn"):
        Vocabulary.train(Counter(), size=500)


def test_training_twice_gives_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        sentences = [("fr", s) for s in sample("fr")]
        MosesBpe.train(sentences, languages=["fr"], vocabulary_size=900).save(tmp_path / name)
    first, second = ((tmp_path / name / "tokenizer.json").read_bytes() for name in ("a", "b"))
    assert first == second


@pytest.mark.parametrize("tags", [False, True])
def test_saved_and_loaded_pipelines_agree(tmp_path: Path, tags: bool) -> None:
    text = pipeline(target_tags=tags)
    text.save(tmp_path)
    again = MosesBpe.load(tmp_path, languages=LANGUAGES, target_tags=tags)
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]
    assert again.vocabulary_size == text.vocabulary_size
    for language in LANGUAGES:
        for sentence in sample(language):
            expected = text.ids(sentence, language=language, target_language="en")
            assert again.ids(sentence, language=language, target_language="en") == expected


def test_saving_over_an_old_file_replaces_it(folder: Path) -> None:
    Vocabulary.train(Counter({f"{MARK}autre": 30}), size=380).save(folder)
    assert f"{MARK}autre" in Vocabulary.load(folder).pieces


def rename(content: dict[str, Any], old: str, new: str) -> None:
    vocab = content["model"]["vocab"]
    vocab[new] = vocab.pop(old)


def spell_end_of_sentence(content: dict[str, Any]) -> None:
    vocab = content["model"]["vocab"]
    last = next(piece for piece, index in vocab.items() if index == len(vocab) - 1)
    content["model"]["merges"] = [["<", "/s"], ["</s", ">"], ["<", "unk>"]]
    rename(content, last, "unk>")


DAMAGE: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("it has no 'model'", lambda c: c.pop("model")),
    ("not a BPE vocabulary", lambda c: c["model"].update(type="Unigram")),
    ("not a BPE vocabulary", lambda c: c["model"].update(byte_fallback=False)),
    ("added tokens are not allowed", lambda c: c.update(added_tokens=[{"id": 2}])),
    ("vocabulary or merges are missing", lambda c: c["model"].pop("merges")),
    ("an id is not a whole number", lambda c: c["model"]["vocab"].update({"<s>": True})),
    ("ids have gaps or occur twice", lambda c: c["model"]["vocab"].update({"<s>": 9})),
    ("id 1 should be <s>, found '<bos>'", lambda c: rename(c, "<s>", "<bos>")),
    ("is no stretch of a word", lambda c: rename(c, "Q", "a b")),
    ("is no stretch of a word", lambda c: rename(c, "Q", f"a{MARK}")),
    ("the word mark", lambda c: rename(c, MARK, "ж")),
    ("a merge is not a pair", lambda c: c["model"].update(merges=[["a"]])),
    ("a merge spells the name", spell_end_of_sentence),
    ("do not fit together", lambda c: c["model"].update(merges=[["nothing", "here"]])),
    ("do not fit together", lambda c: rename(c, "Q", "\ud800")),
]


@pytest.mark.parametrize(("message", "damage"), DAMAGE)
def test_damaged_files_are_refused(
    folder: Path, message: str, damage: Callable[[dict[str, Any]], None]
) -> None:
    change(folder, damage)
    with pytest.raises(TextError, match=message) as raised:
        Vocabulary.load(folder)
    assert str(folder / "tokenizer.json") in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not JSON"), (b"{", "not JSON"), (b"\xff\xfe", "not JSON"), (b"[1]", "no 'model'")],
)
def test_files_that_are_no_vocabulary(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(TextError, match=message):
        Vocabulary.load(tmp_path)


def test_missing_deep_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="No such file"):
        Vocabulary.load(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text("[" * 100_000)
    with pytest.raises(TextError, match="not JSON"):
        Vocabulary.load(tmp_path)
    with path.open("wb") as file:
        file.truncate(51 * 1024 * 1024)
    with pytest.raises(TextError, match="more than"):
        Vocabulary.load(tmp_path)


def test_tags_must_agree_with_the_file(tmp_path: Path) -> None:
    pipeline(target_tags=True).save(tmp_path)
    with pytest.raises(TextError, match="id 4 should be <0x00>, found '<2en>'"):
        MosesBpe.load(tmp_path, languages=LANGUAGES)
    with pytest.raises(TextError, match="id 5 should be <2de>"):
        MosesBpe.load(tmp_path, languages=("en", "de"), target_tags=True)


@given(
    word=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    seed=st.integers(0, 99),
)
def test_sampled_pieces_spell_the_word_and_no_dropout_cuts_as_usual(word: str, seed: int) -> None:
    text = pipeline()
    vocabulary = text._vocabulary
    whole = MARK + "".join(word.split())
    plain = vocabulary.sample(whole, dropout=0, random=Random(seed))
    assert tuple(plain) == vocabulary.cut(whole)
    for dropout in (0.3, 0.9):
        ids = vocabulary.sample(whole, dropout=dropout, random=Random(seed))
        assert len(ids) >= len(plain) or dropout < 0.9
        spelt = b"".join(
            vocabulary.pieces[i].encode("utf-8", "surrogatepass")
            if vocabulary.byte_of(i) is None
            else bytes([vocabulary.byte_of(i) or 0])
            for i in ids
        )
        assert spelt == whole.encode("utf-8")
        assert ids == vocabulary.sample(whole, dropout=dropout, random=Random(seed))


def test_dropout_near_one_leaves_single_characters() -> None:
    vocabulary = pipeline()._vocabulary
    ids = vocabulary.sample(f"{MARK}the", dropout=0.999999, random=Random(1))
    assert [vocabulary.pieces[i] for i in ids] == [MARK, "t", "h", "e"]
