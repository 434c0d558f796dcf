"""`seq2seq translate`: a line for a line, and one line for every error."""

import json
from pathlib import Path

import pytest
from cli_support import Run, refused
from support import FRENCH, make_checkpoint

from seq2seq import Translation, Translator


class TestTranslate:
    def test_lines_in_order_and_empty_for_empty(self, run: Run) -> None:
        texts = [FRENCH[3], "", FRENCH[800] + " " + FRENCH[7], "   ", FRENCH[40]]
        result = run("translate", "--model", "tiny", stdin="\n".join(texts) + "\n")
        assert (result.status, result.err) == (0, "")
        translator = Translator.load("tiny")
        wanted = [translator.translate(text).text for text in texts]
        assert result.out == "\n".join(wanted) + "\n"
        assert wanted[1] == wanted[3] == ""

    def test_no_input_no_output(self, run: Run) -> None:
        assert run("translate", "--model", "tiny") == (0, "", "")

    @pytest.mark.parametrize(
        ("data", "lines"),
        [
            ("Le chat.", 1),
            ("Le chat.\n", 1),
            ("Le chat.\n\n", 2),
            ("Le chat.\r\nLe chien.\r\n", 2),
            ("a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n", 1),
            ("a\rb\n", 1),
            ("\ufeffLe chat.\n", 1),
        ],
    )
    def test_only_line_feeds_split(self, run: Run, data: str, lines: int) -> None:
        result = run("translate", "--model", "tiny", stdin=data.encode())
        assert result.status == 0
        assert result.out.count("\n") == lines
        assert len(result.out.splitlines()) == lines  # and none of Unicode's others comes out

    def test_a_byte_order_mark_and_carriage_returns_are_no_text(self, run: Run) -> None:
        plain = run("translate", "--model", "tiny", stdin="Le chat.\nLe chien.\n").out
        data = "\ufeffLe chat.\r\nLe chien.\r\n"
        assert run("translate", "--model", "tiny", stdin=data).out == plain

    def test_options_reach_the_search(self, run: Run) -> None:
        words = ("--beam", "2", "--length-penalty", "0.5", "--max-length", "4", "--device", "cpu")
        more = ("--source", "fr", "--target", "en", "--threads", "1", "--batch-tokens", "50")
        result = run("translate", "--model", "tiny", "--json", *words, *more, stdin=FRENCH[0])
        found = Translation.from_dict(json.loads(result.out))
        assert found.search.beam == 2
        assert found.search.length_penalty == 0.5
        assert found.search.max_length == 4

    def test_json_is_one_document_a_line(self, run: Run) -> None:
        texts = [FRENCH[3], "", "a\u2028b"]
        result = run("translate", "--model", "tiny", "--json", stdin="\n".join(texts))
        documents = [json.loads(line) for line in result.out.split("\n")[:-1]]
        found = [Translation.from_dict(document) for document in documents]
        assert [translation.source.text for translation in found] == texts
        assert found[0].attention is not None
        assert found[0].trace is None
        traced = run("translate", "--model", "tiny", "--json", "--trace", stdin=FRENCH[3])
        assert Translation.from_dict(json.loads(traced.out)).trace is not None

    def test_n_best_are_separated_by_tabs(self, run: Run) -> None:
        result = run("translate", "--model", "tiny", "--n-best", "3", stdin=FRENCH[3] + "\n\n")
        lines = result.out.split("\n")
        assert lines[0].count("\t") == 2
        assert lines[1] == ""
        assert lines[0].split("\t")[0] == Translator.load("tiny").translate(FRENCH[3]).text

    def test_sampling(self, run: Run) -> None:
        def draw(seed: str) -> str:
            words = ("--sample", "--seed", seed, "--temperature", "0.9", "--top-k", "50")
            result = run("translate", "--model", "tiny", *words, "--top-p", "0.99", stdin=FRENCH[3])
            assert result.status == 0
            return result.out

        assert draw("1") == draw("1")
        assert len({draw(str(seed)) for seed in range(4)}) > 1

    def test_many_lines_and_small_batches(self, run: Run) -> None:
        data = "\n".join(FRENCH[:150])
        large = run("translate", "--model", "gru", "--max-length", "5", stdin=data)
        small = run(
            "translate", "--model", "gru", "--max-length", "5", "--batch-tokens", "20", stdin=data
        )
        assert large.out == small.out
        assert large.out.count("\n") == 150


class TestTranslateErrors:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--model", "tinny"), "unknown model 'tinny'; did you mean 'tiny'?"),
            (("--model", "./nowhere"), "there is no checkpoint folder './nowhere'"),
            (("--model", "org/na me"), "is no model of the Hub: write OWNER/NAME"),
            (("--model", "tiny", "--source", "de"), "source language 'de' is not one of fr"),
            (("--model", "tiny", "--target", "de"), "target language 'de' is not one of en"),
            (("--model", "two-way"), "needed to choose among fr-en, en-fr"),
            (("--model", "tiny", "--beam", "0"), "beam: 0 is not between 1 and 64"),
            (("--model", "tiny", "--beam", "x"), "argument --beam: invalid int value: 'x'"),
            (("--model", "tiny", "--n-best", "50"), "n_best: 50 is not at most the beam"),
            (
                ("--model", "tiny", "--length-penalty", "nan"),
                "length_penalty: nan is not a finite number",
            ),
            (("--model", "tiny", "--max-length", "-1"), "max_length: -1 is not between"),
            (("--model", "tiny", "--device", "gpu"), "device 'gpu' is not one of"),
            (("--model", "tiny", "--threads", "0"), "threads is 0"),
            (("--model", "tiny", "--batch-tokens", "0"), "batch_tokens is 0"),
            (("--model", "tiny", "--trace"), "--trace needs --json"),
            (("--model", "tiny", "--top-k", "3"), "--top-k needs --sample"),
            (("--model", "tiny", "--sample", "--top-p", "2"), "top_p: 2.0 is not in (0, 1]"),
            (("--model", "tiny", "--sample", "--beam", "4"), "sampling needs beam 1"),
            ((), "the following arguments are required: --model"),
            (("--model", "tiny", "--wrong"), "unrecognized arguments: --wrong"),
        ],
    )
    def test_bad_arguments(self, run: Run, words: tuple[str, ...], message: str) -> None:
        assert message in refused(run("translate", *words, stdin=FRENCH[0]))

    def test_not_utf8_names_the_line(self, run: Run) -> None:
        data = b"Le chat.\nLe caf\xe9.\n"
        message = refused(run("translate", "--model", "tiny", stdin=data))
        assert message == "standard input: line 2 is not UTF-8 text"

    def test_too_long_names_the_line_and_the_limit(self, run: Run) -> None:
        message = refused(run("translate", "--model", "tiny", stdin="\n\n" + "x" * 6000))
        assert message.startswith("standard input: line 3: the text has 6000 characters, at most")

    def test_an_endless_line_is_not_read_to_its_end(self, run: Run) -> None:
        message = refused(run("translate", "--model", "tiny", stdin=b"ok\n" + b"x" * 10**7))
        assert message.startswith("standard input: line 2 has more than 5000 characters")

    def test_corrupt_checkpoint(self, run: Run, tmp_path: Path) -> None:
        make_checkpoint(tmp_path / "x")
        weights = tmp_path / "x" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-9])
        message = refused(run("translate", "--model", str(tmp_path / "x"), stdin=FRENCH[0]))
        assert "model.safetensors: is damaged or cut short" in message

    def test_a_failure_inside_is_one_line_too(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def explode(*_: object, **__: object) -> None:
            raise RuntimeError("first line\nsecond line")

        monkeypatch.setattr(Translator, "translate_many", explode)
        message = refused(run("translate", "--model", "tiny", stdin=FRENCH[0]), status=1)
        assert message.startswith("unexpected RuntimeError: first line second line (SEQ2SEQ_DEBUG")
        monkeypatch.setenv("SEQ2SEQ_DEBUG", "1")
        with pytest.raises(RuntimeError):
            run("translate", "--model", "tiny", stdin=FRENCH[0])

    def test_a_missing_file_without_a_name_is_reported_as_it_was(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def explode(*_: object, **__: object) -> None:
            raise FileNotFoundError("best/7.safetensors is gone")  # as safetensors does

        monkeypatch.setattr(Translator, "translate_many", explode)
        message = refused(run("translate", "--model", "tiny", stdin=FRENCH[0]), status=1)
        assert message == "best/7.safetensors is gone"

    def test_ctrl_c_is_quiet(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Translator, "translate_many", interrupt)
        assert run("translate", "--model", "tiny", stdin=FRENCH[0]) == (130, "", "")
