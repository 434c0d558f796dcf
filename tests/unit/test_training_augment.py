"""Text in one language, and what a machine may make of it."""

import gzip
from pathlib import Path

import pytest

from seq2seq.cli import main
from seq2seq.config import ConfigError
from seq2seq.training.augment import all_sentences, joined_pairs, plausible, sentences, write_pairs


def test_each_sentence_comes_once_and_none_that_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("One.\tUn.\nTwo.\n \nOne.\tEins.\r\n", encoding="utf-8")
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(b"Three.\tTrois.\nTwo.\tDeux.\n"))
    files = [tmp_path / "a.tsv", tmp_path / "b.tsv.gz"]
    assert list(sentences(files)) == ["One.", "Two.", "Three."]
    assert list(sentences(files, without=["Two."])) == ["One.", "Three."]
    assert all_sentences(files[1:]) == {"Two.", "Three.", "Deux.", "Trois."}
    assert list(sentences(files, column=1)) == ["Un.", "Eins.", "Trois.", "Deux."]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"One.\n" * 100)[:20])
    (tmp_path / "latin.txt").write_bytes(b"\xe9t\xe9\n")
    for name, reason in (("cut.txt.gz", "cannot"), ("latin.txt", "UTF-8"), ("no.txt", "cannot")):
        with pytest.raises(ConfigError, match=f"{name}: .*{reason}"):
            list(sentences([tmp_path / name]))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("Il ne sait pas où elle habite.", True),
        ("", False),
        ("He does not know where she lives.", False),
        ("Il.", False),
        ("Il ne sait pas " + "où elle habite " * 9, False),
        ("la vie la vie la vie la vie la vie", False),
    ],
)
def test_what_a_translation_can_be(made: str, expected: bool) -> None:
    assert plausible("He does not know where she lives.", made) is expected


def test_pairs_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    pairs = [("One.", "Un."), ("Two.", "Deux.")]
    for name in ("a.tsv", "b.tsv.gz", "c.tsv.gz"):
        assert write_pairs(tmp_path / "new" / name, pairs) == 2
    assert (tmp_path / "new" / "a.tsv").read_text() == "One.\tUn.\nTwo.\tDeux.\n"
    packed = (tmp_path / "new" / "b.tsv.gz").read_bytes()
    assert gzip.decompress(packed).decode() == "One.\tUn.\nTwo.\tDeux.\n"
    assert packed == (tmp_path / "new" / "c.tsv.gz").read_bytes()

    def broken() -> object:
        yield pairs[0]
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        write_pairs(tmp_path / "new" / "a.tsv", broken())  # type: ignore[arg-type]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "a.tsv", "b.tsv.gz", "c.tsv.gz"
    ]  # fmt: skip
    assert (tmp_path / "new" / "a.tsv").read_text().count("\n") == 2


def test_pairs_with_a_sentence_in_common_are_joined() -> None:
    first = [("Hi.", "Salut."), ("Hi.", "Bonjour."), ("Cat.", "Chat."), ("", "Rien.")]
    second = [("Cat.", "Katze."), ("Hi.", "Hallo."), ("Hi.", "Hallo."), ("", "Nichts.")]
    assert list(joined_pairs(first, second)) == [
        ("Salut.", "Hallo."), ("Bonjour.", "Hallo."), ("Chat.", "Katze.")
    ]  # fmt: skip


def test_the_command_joins_by_the_language_in_common(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.tsv").write_text("Hi.\tSalut.\nCat.\tChat.\n", encoding="utf-8")
    (tmp_path / "b.tsv").write_text("Katze.\tCat.\nHallo.\tHi.\n", encoding="utf-8")
    (tmp_path / "test.tsv").write_text("x\tSalut.\n", encoding="utf-8")
    files = [str(tmp_path / name) for name in ("a.tsv", "b.tsv")]
    out = tmp_path / "joined.tsv"
    words = ["join", *files, "--out", str(out), "--columns", "en,fr"]
    assert main([*words, "de,en", "--without", str(tmp_path / "test.tsv")]) == 0
    assert out.read_text(encoding="utf-8") == "Chat.\tKatze.\n"
    assert "1 pairs (fr, de)" in capsys.readouterr().err
    assert main([*words, "de,zh"]) == 2
    assert "exactly one language in common, not 0" in capsys.readouterr().err


def test_a_join_without_a_pair_is_an_error_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.tsv").write_text("Hi.\tSalut.\n", encoding="utf-8")
    (tmp_path / "b.tsv").write_text("Cat.\tKatze.\n", encoding="utf-8")
    files = [str(tmp_path / name) for name in ("a.tsv", "b.tsv")]
    words = ["join", *files, "--out", str(tmp_path / "new" / "x.tsv"), "--columns", "en,fr"]
    assert main([*words, "en,de"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "b.tsv have no sentence in 'en' in common; give files" in error
    (tmp_path / "b.tsv").write_text("Hi.\tHallo.\n", encoding="utf-8")
    assert main([*words, "en,de", "--without", files[0]]) == 1
    assert "in common outside the files of --without; give" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tsv", "b.tsv"]
