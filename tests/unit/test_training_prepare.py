"""Reading, cleaning and encoding of training text."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from seq2seq.config import ConfigError, DataFile, Experiment
from seq2seq.text.moses_bpe import MosesBpe
from seq2seq.training.data import ParallelIds
from seq2seq.training.prepare import clean, copy_pairs, prepare, read_pairs
from seq2seq.training.validate import Vocabulary

WORDS = {"chat": "cat", "chien": "dog", "homme": "man", "fleur": "flower", "livre": "book"}
VERBS = {"dort": "sleeps", "tombe": "falls", "reste": "stays", "arrive": "arrives"}
PAIRS = [
    (f"The {w2} {v2} {n} times.", f"Le {w1} {v1} {n} fois.")
    for w1, w2 in WORDS.items()
    for v1, v2 in VERBS.items()
    for n in range(2, 9)
]


def experiment(**data: object) -> Experiment:
    return Experiment.from_dict(
        {
            "name": "toy",
            "data": {
                "source": "fr",
                "target": "en",
                "train": [{"path": "train.tsv.gz"}],
                "dev": [{"path": "dev.tsv"}],
                "vocabulary": 450,
                **data,
            },
            "model": {"architecture": "transformer", "d_model": 16, "heads": 2},
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = "".join(f"{en}\t{fr}\n" for en, fr in PAIRS[:-10])
    (tmp_path / "train.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    lines = "".join(f"{en}\t{fr}\n" for en, fr in PAIRS[-10:])
    (tmp_path / "dev.tsv").write_text(lines, encoding="utf-8")
    return tmp_path


def test_ids_on_disk_are_those_of_the_text(folder: Path) -> None:
    prepare(experiment(copy_rate=0.1), data=folder, out=folder / "run")
    dataset = folder / "run" / "dataset"
    report = json.loads((dataset / "dataset.json").read_text())
    train, dev = ParallelIds.open(dataset, "train"), ParallelIds.open(dataset, "dev")
    assert report["train"] == len(train) == 130 + 13
    assert report["dev"] == len(dev) == 10
    text = MosesBpe.load(dataset, languages=("fr", "en"))
    assert report["vocabulary"] == text.vocabulary_size
    pieces = json.loads((dataset / "vocabulary.json").read_text(encoding="utf-8"))
    words = Vocabulary(pieces, frozenset(range(4)))
    for row, (en, fr) in enumerate(PAIRS[:130]):
        source, target = (side.tolist() for side in train.pair(row))
        assert source == text.ids(fr, language="fr")
        assert target == text.ids(en, language="en")
        assert words.text(target) == en.replace(".", " .")
    copied = text.decode(train.pair(140)[0].tolist(), language="fr").text
    assert not copied.isascii()


def test_preparing_twice_gives_the_same(folder: Path) -> None:
    for name in ("one", "two"):
        prepare(experiment(), data=folder, out=folder / name)
    for path in (folder / "one" / "dataset").iterdir():
        assert path.read_bytes() == (folder / "two" / "dataset" / path.name).read_bytes()


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
    kept, counts = clean(pairs, [("Dev source.", "Dev target.")], max_ratio=4.0)
    assert kept == [("Bonjour.", "Hello."), ("Bonsoir.", "Hello.")]
    assert counts == {
        "kept": 2, "repeated": 1, "empty side": 1, "stands in the dev set": 2, "lengths differ": 1
    }  # fmt: skip


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


def test_nothing_is_left_behind_by_a_failure(folder: Path) -> None:
    (folder / "dev.tsv").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no sentence pair"):
        prepare(experiment(), data=folder, out=folder / "run")
    assert not (folder / "run").exists()


def test_long_pairs_are_counted(folder: Path) -> None:
    prepare(experiment(max_pieces=4), data=folder, out=folder / "run")
    report = json.loads((folder / "run" / "dataset" / "dataset.json").read_text())
    assert report["cleaning"]["too long"] > 0
    lengths = ParallelIds.open(folder / "run" / "dataset", "train").target_lengths
    assert lengths.max(initial=0) <= 4
    assert np.all(lengths > 0)
