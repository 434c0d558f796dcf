import gzip
import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import FRENCH, make_checkpoint, sentence_pairs

from seq2seq import Translation, Translator
from seq2seq.catalogue import FOLDER_VARIABLE
from seq2seq.cli import main

ROOT = Path(__file__).resolve().parents[2]


class Result(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture(autouse=True, scope="module")
def cpu_only() -> Iterator[None]:
    """The same figures on every machine, whether or not it has a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seq2seq.device._available", lambda: ["cpu"])
        yield


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    make_checkpoint(root / "tiny")
    make_checkpoint(root / "two-way", directions=(("fr", "en"), ("en", "fr")))
    make_checkpoint(root / "gru", architecture="gru-additive", storage="int8")
    return root


@pytest.fixture
def run(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Run the command line in this process."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(models))

    def go(*words: str, stdin: bytes | str = b"") -> Result:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        status = main(words)
        out, err = capsysbinary.readouterr()
        return Result(status, out.decode(), err.decode())

    return go


def environment(models: Path) -> dict[str, str]:
    return {
        **os.environ,
        FOLDER_VARIABLE: str(models),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def refused(result: Result, *, status: int = 2) -> str:
    """The error is one line, nothing went to stdout, and the status says whose fault it was."""
    assert result.status == status, result
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert result.err.startswith("seq2seq: error: ")
    assert "Traceback" not in result.err
    return result.err.removeprefix("seq2seq: error: ").rstrip("\n")


class TestModels:
    def test_table(self, run: Run) -> None:
        result = run("models")
        assert result.status == 0
        lines = result.out.splitlines()
        assert [line.split()[0] for line in lines] == ["gru", "tiny", "two-way"]
        assert "fr-en, en-fr" in lines[2]
        assert "bidirectional GRU" in lines[0]

    def test_json(self, run: Run, models: Path) -> None:
        listing = json.loads(run("models", "--json").out)
        assert [model["name"] for model in listing] == ["gru", "tiny", "two-way"]
        assert listing[1]["directions"] == ["fr-en"]
        assert listing[1]["folder"] == str(models / "tiny")
        assert listing[1]["parameters"] == Translator.load("tiny").card.parameters

    def test_a_damaged_one_is_named_and_hides_nothing(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_checkpoint(tmp_path / "good")
        make_checkpoint(tmp_path / "bad")
        (tmp_path / "bad" / "config.json").write_text('{"format_version": 9}')
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
        result = run("models")
        assert result.status == 0
        assert result.out.startswith("good")
        assert "bad/config.json: format version 9 is newer" in result.err

    def test_none_at_all(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
        assert run("models") == (0, "", f"seq2seq: no models in {tmp_path}\n")
        assert json.loads(run("models", "--json").out) == []


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


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    path = tmp_path / "test.tsv"
    pairs = sentence_pairs()[::50]
    path.write_text("".join(f"{english}\t{french}\n" for english, french in pairs))
    return path


class TestEvaluate:
    def scores(self, result: Result) -> dict[str, Any]:
        assert result.status == 0, result.err
        values: dict[str, Any] = json.loads(result.out)
        return values

    def test_one_json_object(self, run: Run, pairs_file: Path) -> None:
        words = ("evaluate", "--model", "tiny", "--source", "fr", "--target", "en")
        more = ("--columns", "en,fr", str(pairs_file), "--beam", "2", "--bootstrap-samples", "20")
        values = self.scores(run(*words, *more))
        assert {"bleu", "chrf", "ter", "signatures", "confidence", "sentences"} <= set(values)
        assert values["sentences"] == 27
        assert "tok:13a" in values["signatures"]["bleu"]
        assert set(values["confidence"]["bleu"]) == {"mean", "margin"}
        assert values["seconds"] > 0
        assert values["model"]["name"] == "tiny"
        assert values["settings"]["search"]["beam"] == 2

    def test_a_model_that_gives_the_references_makes_no_errors(
        self, run: Run, tmp_path: Path, pairs_file: Path
    ) -> None:
        columns = [line.split("\t") for line in pairs_file.read_text().splitlines()]
        translator = Translator.load("tiny")
        lines = [f"x\t{translator.translate(french).text}\t{french}\n" for _, french in columns]
        path = tmp_path / "own.tsv"
        path.write_text("".join(lines))
        words = ("--model", "tiny", "--columns", "de,en,fr", "--bootstrap-samples", "0")
        values = self.scores(run("evaluate", *words, str(path)))
        assert values["chrf"] == 100
        assert values["ter"] == 0
        assert values["confidence"] == {}

    def test_gzip_limit_and_tokenisation(self, run: Run, pairs_file: Path) -> None:
        packed = pairs_file.with_suffix(".tsv.gz")
        packed.write_bytes(gzip.compress(pairs_file.read_bytes()))
        words = ("--columns", "en,fr", "--limit", "5", "--tokenize", "char")
        values = self.scores(
            run("evaluate", "--model", "tiny", str(packed), *words, "--bootstrap-samples", "0")
        )
        assert values["sentences"] == 5
        assert "tok:char" in values["signatures"]["bleu"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"one\ttwo\nonly one\n", "line 2 has 1 columns"),
            (b"caf\xe9\tx\n", "line 1 is not UTF-8"),
            (b"", "holds no sentence pairs"),
            (b"a\t" + b"x" * 6000 + b"\n", "line 1: the text has 6000 characters"),
        ],
    )
    def test_bad_files(self, run: Run, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "bad.tsv"
        path.write_bytes(content)
        found = refused(run("evaluate", "--model", "tiny", "--columns", "en,fr", str(path)))
        assert message in found
        assert str(path) in found

    def test_bad_arguments(self, run: Run, pairs_file: Path, tmp_path: Path) -> None:
        base = ("evaluate", "--model", "tiny")
        file = str(pairs_file)
        cases = [
            (("--columns", "en,fr", str(tmp_path / "none.tsv")), "none.tsv: cannot be read"),
            (("--columns", "en,fr", str(tmp_path)), "cannot be read"),
            (("--columns", "en,de", file), "does not name 'fr'"),
            (("--columns", "en,fr,en", file), "columns"),
            (("--columns", "en,fr", "--limit", "0", file), "--limit: 0"),
            (("--columns", "en,fr", "--tokenize", "x", file), "--tokenize: 'x' is not one of"),
            ((file,), "required: --columns"),
        ]
        (tmp_path / "broken.tsv.gz").write_bytes(b"\x1f\x8bno")
        cases.append((("--columns", "en,fr", str(tmp_path / "broken.tsv.gz")), "cannot be read"))
        for words, message in cases:
            assert message in refused(run(*base, *words))


class TestTrainingCommands:
    def test_errors_name_the_file(self, run: Run, tmp_path: Path) -> None:
        for command in ("prepare", "train"):
            missing = tmp_path / "none.json"
            assert "none.json: cannot be read" in refused(run(command, str(missing)))
            bad = tmp_path / "bad.json"
            bad.write_text('{"name": "x", "datta": {}}')
            assert "bad.json" in refused(run(command, str(bad)))
        assert "cannot be read" in refused(run("package", str(tmp_path / "no"), "x"))
        assert "invalid choice: 'fp8'" in refused(run("package", "a", "b", "--storage", "fp8"))

    def test_wrong_numbers(self, run: Run, tmp_path: Path) -> None:
        for option, value in (("--minutes", "0"), ("--minutes", "nan"), ("--threads", "0")):
            assert option in refused(run("train", "x.json", option, value))


class TestProcess:
    """The same, as a shell sees it."""

    def start(self, models: Path, *words: str, **options: Any) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "seq2seq", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            env=environment(models),
            cwd=models,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            **options,
        )

    def test_a_pipe(self, models: Path) -> None:
        process = self.start(models, "translate", "--model", "tiny", "--max-length", "3")
        out, err = process.communicate(b"Le chat.\n\nLe chien.\n")
        assert (process.returncode, err) == (0, b"")
        assert out.count(b"\n") == 3

    def test_a_progress_bar_on_a_terminal_only(self, models: Path) -> None:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 100))
        command = [sys.executable, "-m", "seq2seq", "translate", "--model", "tiny"]
        done = subprocess.run(
            [*command, "--max-length", "2"],
            env=environment(models),
            input="\n".join(FRENCH[:9]).encode(),
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=True,
        )
        os.close(theirs)
        assert done.stdout.count(b"\n") == 9
        assert b"9line" in os.read(ours, 100_000)
        os.close(ours)

    def test_output_is_utf8_in_any_locale(self, models: Path) -> None:
        script = "import sys; from seq2seq.cli import main; sys.exit(main())"
        environ = {**environment(models), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
        done = subprocess.run(
            [sys.executable, "-c", script, "translate", "--model", "tiny", "--json"],
            input="Le cœur 🐈".encode(),
            env=environ,
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout)["source"]["text"] == "Le cœur 🐈"

    def test_a_closed_pipe_is_quiet(self, models: Path) -> None:
        process = self.start(models, "translate", "--model", "tiny", "--max-length", "2", "--json")
        assert process.stdout is not None
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.write("\n".join(FRENCH[:20]).encode())
        process.stdin.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 141
        process.stderr.close()

    @pytest.mark.parametrize(("closed", "out"), [("<&-", ""), (">&-", ""), ("2>&-", "lines")])
    def test_a_closed_stream_is_an_empty_one(self, models: Path, closed: str, out: str) -> None:
        command = [sys.executable, "-m", "seq2seq", "translate", "--model", "tiny"]
        done = subprocess.run(
            ["/bin/sh", "-c", f'"$@" {closed}', "sh", *command, "--max-length", "3"],
            input=b"Le chat.\n",
            env=environment(models),
            cwd=models,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b"\n") == (1 if out else 0)

    @pytest.fixture
    def heard_interrupts(self) -> Iterator[None]:
        """A shell starts background jobs deaf to Ctrl-C, and their children inherit that."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    @pytest.mark.usefixtures("heard_interrupts")
    def test_ctrl_c_is_quiet_and_ends_with_130(self, models: Path) -> None:
        process = self.start(models, "translate", "--model", "tiny", "--max-length", "2", "--json")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(FRENCH[:150]).encode())
        process.stdin.flush()
        assert process.stdout.read(1) == b"{"  # a first chunk is done, now it waits for more
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert (process.returncode, err) == (130, b"")

    def test_help_does_not_load_torch(self) -> None:
        script = (
            "import sys; from seq2seq.cli import main; status = main(['translate', '--help']);"
            "assert status == 0; import seq2seq;"
            "print(sorted({'torch', 'numpy', 'sacrebleu', 'tqdm'} & set(sys.modules)))"
        )
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environ, capture_output=True, check=True
        )
        assert done.stdout.splitlines()[-1] == b"[]"

    def test_no_command_is_one_line(self, run: Run) -> None:
        assert "required: COMMAND" in refused(run())
        assert "invalid choice: 'fly'" in refused(run("fly"))
