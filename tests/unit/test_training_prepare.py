"""Reading, cleaning and encoding of training text."""

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigError, Experiment
from seq2seq.text.moses_bpe import MosesBpe
from seq2seq.training.corpus import mask_spans
from seq2seq.training.data import ParallelIds
from seq2seq.training.prepare import prepare
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
                "directions": [["fr", "en"]],
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
    prepare(experiment(copy_rate=0.1), data=[folder], out=folder / "run")
    dataset = folder / "run" / "dataset"
    report = json.loads((dataset / "dataset.json").read_text())
    train, dev = ParallelIds.open(dataset, "train.0"), ParallelIds.open(dataset, "dev.fr-en")
    assert report["train"] == len(train) == 130 + 13
    assert report["dev"] == {"fr-en": len(dev)} == {"fr-en": 10}
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
        prepare(experiment(), data=[folder], out=folder / name)
    for path in (folder / "one" / "dataset").iterdir():
        assert path.read_bytes() == (folder / "two" / "dataset" / path.name).read_bytes()


def test_nothing_is_left_behind_by_a_failure(folder: Path) -> None:
    (folder / "dev.tsv").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="no dev pair from fr to en is left"):
        prepare(experiment(), data=[folder], out=folder / "run")
    assert not (folder / "run").exists()


def test_long_pairs_are_counted(folder: Path) -> None:
    prepare(experiment(max_pieces=4), data=[folder], out=folder / "run")
    report = json.loads((folder / "run" / "dataset" / "dataset.json").read_text())
    assert report["cleaning"]["too long"] > 0
    lengths = ParallelIds.open(folder / "run" / "dataset", "train.0").target_lengths
    assert lengths.max(initial=0) <= 4
    assert np.all(lengths > 0)


def test_every_direction_says_which_language_it_wants(folder: Path) -> None:
    prepare(experiment(directions=[["fr", "en"], ["en", "fr"]]), data=[folder], out=folder / "run")
    dataset = folder / "run" / "dataset"
    text = MosesBpe.load(dataset, languages=("fr", "en"), target_tags=True)
    en, fr = PAIRS[-10]
    for source, target in (((fr, "fr"), (en, "en")), ((en, "en"), (fr, "fr"))):
        pairs = ParallelIds.open(dataset, f"dev.{source[1]}-{target[1]}")
        ids = text.ids(source[0], language=source[1], target_language=target[1])
        assert pairs.pair(0)[0].tolist() == ids
        assert text.piece_text(ids[0]) == f"<2{target[1]}>"
        assert text.decode(pairs.pair(0)[1].tolist(), language=target[1]).text == target[0]


def test_files_are_looked_for_in_all_folders(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    (folder / "dev.tsv").rename(other / "dev.tsv")
    prepare(experiment(), data=[folder, other], out=folder / "run")
    assert len(ParallelIds.open(folder / "run" / "dataset", "dev.fr-en")) == 10


def test_joined_pairs_are_added_and_counted(folder: Path) -> None:
    prepare(experiment(join_rate=0.5, copy_rate=0.0), data=[folder], out=folder / "run")
    dataset = folder / "run" / "dataset"
    report = json.loads((dataset / "dataset.json").read_text())
    assert report["cleaning"]["joined"] == 65
    assert report["train"] == 195


def test_bpe_dropout_cuts_every_variant_anew_and_the_dev_pairs_never(folder: Path) -> None:
    settings = experiment(bpe_dropout=0.3, variants=2, copy_rate=0.0)
    for name in ("one", "two"):
        prepare(settings, data=[folder], out=folder / name)
    dataset = folder / "one" / "dataset"
    for path in dataset.iterdir():
        assert path.read_bytes() == (folder / "two" / "dataset" / path.name).read_bytes()
    text = MosesBpe.load(dataset, languages=("fr", "en"))
    first, second = (ParallelIds.open(dataset, f"train.{n}") for n in range(2))
    assert len(first) == len(second) == 130
    assert first.target.tolist() != second.target.tolist()
    for data in (first, second):
        for row, (en, fr) in enumerate(PAIRS[:130]):
            source, target = (side.tolist() for side in data.pair(row))
            assert text.decode(source, language="fr").text == fr
            assert text.decode(target, language="en").text == en
        assert len(data.target) > sum(len(text.ids(en, language="en")) for en, _ in PAIRS[:130])
    dev = ParallelIds.open(dataset, "dev.fr-en")
    assert dev.pair(0)[1].tolist() == text.ids(PAIRS[-10][0], language="en")


def test_the_vocabulary_of_another_run_is_taken_over(folder: Path) -> None:
    prepare(experiment(), data=[folder], out=folder / "first")
    values = {**experiment(vocabulary=300).to_dict(), "name": "second", "begin": "first"}
    second = Experiment.from_dict(values)
    prepare(second, data=[folder], out=folder / "second")
    first, taken = (
        (folder / run / "dataset" / "vocabulary.json").read_text() for run in ("first", "second")
    )
    assert first == taken
    with pytest.raises(ConfigError, match=r"begin: .*tokenizer.json"):
        prepare(second, data=[folder], out=folder / "elsewhere" / "second")


def test_a_direction_without_dev_pairs_is_trained_all_the_same(folder: Path) -> None:
    directions = [["fr", "en"], ["en", "fr"]]
    dev = [{"path": "dev.tsv", "toward": "en"}]
    shares = [{"direction": ["en", "fr"], "factor": 0.5}]
    settings = experiment(directions=directions, dev=dev, shares=shares, copy_rate=0.0)
    assert settings.data.validated == (("fr", "en"),)
    prepare(settings, data=[folder], out=folder / "run")
    dataset = folder / "run" / "dataset"
    report = json.loads((dataset / "dataset.json").read_text())
    assert report["dev"] == {"fr-en": 10}
    assert report["train"] == 130 + 65
    held_out = {side for pair in PAIRS[-10:] for side in pair}
    text = MosesBpe.load(dataset, languages=("fr", "en"), target_tags=True)
    train = ParallelIds.open(dataset, "train.0")
    for row in range(130, 195):
        source, target = (side.tolist() for side in train.pair(row))
        assert text.piece_text(source[0]) == "<2fr>"
        assert text.decode(target, language="fr").text not in held_out


def test_text_of_one_language_is_masked_to_be_repaired(folder: Path) -> None:
    lines = [
        f"A {word} without a name {verb}." for word in WORDS.values() for verb in VERBS.values()
    ]
    (folder / "mono.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    repair = [
        {"path": "mono.txt.gz", "language": "en", "most": 15},
        {"path": "dev.tsv", "language": "fr", "columns": ["en", "fr"]},
        {"path": "train.tsv.gz", "language": "fr", "columns": ["en", "fr"], "most": 7},
    ]
    directions = [["fr", "en"], ["en", "fr"]]
    settings = experiment(directions=directions, repair=repair, masked=0.4, copy_rate=0.0)
    prepare(settings, data=[folder], out=folder / "run")
    dataset = folder / "run" / "dataset"
    report = json.loads((dataset / "dataset.json").read_text())
    assert report["cleaning"]["to repair"] == 15 + 7  # nothing that stands in the dev set
    assert report["train"] == 2 * 130 + 15 + 7
    text = MosesBpe.load(dataset, languages=("fr", "en"), target_tags=True)
    train = ParallelIds.open(dataset, "train.0")
    broken = [[side.tolist() for side in train.pair(row)] for row in range(260, 282)]
    assert [text.piece_text(source[0]) for source, _ in broken] == ["<2en>"] * 15 + ["<2fr>"] * 7
    whole = {text.decode(target, language="en").text for _, target in broken[:15]}
    assert whole < set(lines)
    for source, target in broken:
        masks = source.count(text.unk_id)
        assert masks
        assert len(source) - 1 - masks == pytest.approx(0.6 * len(target), abs=2)
        rest = iter(target)
        assert all(piece in rest for piece in source[1:] if piece != text.unk_id)


def test_what_cannot_be_repaired_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"x\.txt is to be repaired in 'fr', which no direction"):
        experiment(repair=[{"path": "x.txt", "language": "fr"}])
    with pytest.raises(ConfigError, match=r"TextFile\.columns"):
        experiment(repair=[{"path": "x.tsv", "language": "en", "columns": ["de", "fr"]}])
    with pytest.raises(ConfigError, match="masked"):
        experiment(masked=1.0)


@given(
    st.lists(st.integers(4, 50), min_size=1, max_size=40), st.floats(0.05, 0.95), st.integers(0, 9)
)
def test_masks_stand_for_pieces(ids: list[int], rate: float, seed: int) -> None:
    masked = mask_spans(ids, mask=3, rate=rate, chance=random.Random(seed))
    rest = iter(ids)
    assert all(piece in rest for piece in masked if piece != 3)
    assert any(piece != 3 for piece in masked)
    gone = len(ids) - sum(piece != 3 for piece in masked)
    assert masked.count(3) <= gone <= round(rate * len(ids))
