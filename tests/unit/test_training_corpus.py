"""Reading, cleaning and mixing of sentence pairs."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigError, DataConfig, DataFile, Share
from seq2seq.training.corpus import clean, copy_pairs, gather, join_pairs, mix, read_pairs

FR_EN, EN_FR, DE_EN = ("fr", "en"), ("en", "fr"), ("de", "en")


def test_files_serve_the_directions_of_their_columns(tmp_path: Path) -> None:
    (tmp_path / "fr.tsv").write_text("Hello.\tBonjour.\n", encoding="utf-8")
    (tmp_path / "de.tsv").write_text("Hello.\tHallo.\n", encoding="utf-8")
    (tmp_path / "made.tsv").write_text("Cat.\tChat.\n", encoding="utf-8")
    files = (
        DataFile(path="fr.tsv"),
        DataFile(path="de.tsv", columns=("en", "de")),
        DataFile(path="made.tsv", toward="en"),
    )
    config = DataConfig(directions=(FR_EN, EN_FR, DE_EN), train=files, dev=files)
    assert gather(config, files, [tmp_path]) == {
        FR_EN: [("Bonjour.", "Hello."), ("Chat.", "Cat.")],
        EN_FR: [("Hello.", "Bonjour.")],
        DE_EN: [("Hallo.", "Hello.")],
    }


def test_cleaning_says_what_it_left_out() -> None:
    pairs = [
        ("Bonjour.", "Hello."),
        ("Bonjour.", "Hello."),
        ("", "Hello."),
        ("Salut.", "Dev target."),
        ("Dev source.", "Hi."),
        ("Oui.", "Yes, " + "of course, " * 20),
        ("Bonsoir.", "Hello."),
    ]
    kept, counts = clean({FR_EN: pairs}, {FR_EN: [("Dev source.", "Dev target.")]}, max_ratio=4.0)
    assert kept == {FR_EN: [("Bonjour.", "Hello."), ("Bonsoir.", "Hello.")]}
    assert counts == {
        "kept": 2, "repeated": 1, "empty side": 1, "stands in the dev set": 2, "lengths differ": 1
    }  # fmt: skip


def test_a_dev_sentence_stands_in_no_direction_but_may_in_another_language() -> None:
    corpus = {DE_EN: [("Hallo.", "Hello."), ("Bonjour.", "Hi.")], EN_FR: [("Hello.", "Salut.")]}
    kept, counts = clean(corpus, {FR_EN: [("Bonjour.", "Hello.")]}, max_ratio=4.0)
    assert kept == {DE_EN: [("Bonjour.", "Hi.")], EN_FR: []}
    assert counts["stands in the dev set"] == 2


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    temperature=st.floats(1, 20),
    factor=st.floats(1, 5),
)
def test_small_directions_are_repeated_evenly(
    sizes: list[int], temperature: float, factor: float
) -> None:
    directions = [FR_EN, EN_FR, DE_EN, ("en", "de")]
    corpus = {
        direction: [(f"{n}", f"{n}") for n in range(size)]
        for direction, size in zip(directions, sizes, strict=False)
    }
    largest = max(sizes)
    shares = [Share(direction=FR_EN, factor=factor), Share(direction=EN_FR, factor=0.001)]
    for direction, pairs in mix(corpus, temperature=temperature, shares=shares, seed=1).items():
        size = len(corpus[direction])
        wanted = largest * (size / largest) ** (1 / temperature)
        if direction == EN_FR:
            assert len(pairs) == 1  # never none
            continue
        wanted *= factor if direction == FR_EN else 1
        assert len(pairs) == pytest.approx(wanted, abs=0.51)
        times = Counter(pairs).values()
        assert max(times) - min(times) <= 1
        assert set(pairs) == set(corpus[direction])


def test_joined_pairs_keep_their_order_on_both_sides() -> None:
    pairs = [(f"Satz {n}.", f"{n}。") for n in range(9)]
    joined = join_pairs(pairs, ("de", "zh"), rate=5.0, seed=2)
    assert len(joined) == 45
    counts = set()
    for source, target in joined:
        numbers = [part.strip(" .") for part in source.split("Satz")[1:]]
        assert target == "".join(f"{number}。" for number in numbers)
        assert source == " ".join(f"Satz {number}." for number in numbers)
        counts.add(len(numbers))
    assert counts == {2, 3, 4, 5}


def test_copied_characters_stand_on_both_sides() -> None:
    pairs = copy_pairs([("Un chat.", "A cat.")], rate=40.0, seed=3)
    assert len(pairs) == 40
    for source, target in pairs:
        rare = source.replace("Un chat.", "").strip()
        assert rare
        assert target in (f"A cat. {rare}", f"{rare} A cat.")
    assert copy_pairs([("a", "b")] * 10, rate=0.0, seed=1) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one column only\n", "line 1 has 1 columns, 2 are needed"),
        (b"Hello.\tBonjour.\nno tab\n", "line 2 has 1 columns"),
        (b"Hello.\tBonjour.\n\xff\xfe\tx\n", "line 2 is not UTF-8"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.tsv").write_bytes(content)
    file = DataFile(path="x.tsv", columns=("en", "fr"))
    with pytest.raises(ConfigError, match=message):
        list(read_pairs(file, tmp_path, "fr", "en"))


def test_bad_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.tsv.gz").write_bytes(b"\x1f\x8b not gzip")
    for name in ("x.tsv.gz", "missing.tsv"):
        with pytest.raises(ConfigError, match=f"{name}: cannot be read"):
            list(read_pairs(DataFile(path=name), tmp_path, "fr", "en"))


def test_columns_byte_order_mark_and_line_ends(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_bytes("\ufeffBonjour.\tHallo.\tHello.\r\n".encode())
    file = DataFile(path="x.tsv", columns=("fr", "de", "en"))
    assert list(read_pairs(file, tmp_path, "fr", "en")) == [("Bonjour.", "Hello.")]
    assert list(read_pairs(file, tmp_path, "de", "fr")) == [("Hallo.", "Bonjour.")]
