"""The operators give what PyTorch's give, and are built safely or not at all."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seq2seq import kernels
from seq2seq.config import ConfigError, ModelConfig, RecurrentConfig, TransformerConfig
from seq2seq.inference import InferenceModel, Session
from seq2seq.inference.compiled_transformer import CompiledTransformer
from seq2seq.inference.hosted import HostedModel
from seq2seq.inference.int8 import Int8Linear
from seq2seq.inference.matrices import quantise
from seq2seq.inference.pack import ModuleWeights, pack
from seq2seq.kernels import library, operators
from seq2seq.nn import build_model

needs_operators = pytest.mark.skipif(not kernels.loaded(), reason="not built on this machine")


def layer(out: int, width: int, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(out + width)
    return nn.Linear(width, out, bias=bias).requires_grad_(False)


def packed(given: nn.Linear, *, at_once: int = 50) -> operators.Packed:
    """Its matrix, filled some rows at a time."""
    matrix = operators.packed(*given.weight.shape)
    for first in range(0, len(given.weight), at_once):
        rows = slice(first, first + at_once)
        bias = None if given.bias is None else given.bias[rows].numpy()
        operators.pack_rows(matrix, *quantise(given.weight[rows].numpy()), bias, first=first)
    return matrix


@needs_operators
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 7, 33])
@pytest.mark.parametrize(("out", "width"), [(1, 1), (64, 4), (65, 3), (200, 129), (640, 70)])
def test_products(rows: int, out: int, width: int) -> None:
    given = layer(out, width)
    x = torch.randn(rows, width) * torch.logspace(-8, 8, rows)[:, None]
    x[rows // 2] = 0
    found = operators.linear(x.numpy(), packed(given))
    expected = Int8Linear(given.weight, given.bias)(x)
    scale = x.abs().amax(1, keepdim=True) * width**0.5 / 127 + 1e-6
    assert ((torch.from_numpy(found) - expected).abs() <= 0.2 * scale).all()
    for row in range(rows):
        alone = operators.linear(x[row : row + 1].numpy(), packed(given))
        assert np.array_equal(alone, found[row : row + 1])


@needs_operators
def test_what_is_not_a_number_stays_so() -> None:
    x = torch.zeros(3, 8)
    x[0, 3], x[1, 2] = float("nan"), float("inf")
    found = operators.linear(x.numpy(), packed(layer(9, 8)))
    assert not np.isfinite(found[:2]).any()
    assert np.isfinite(found[2]).all()
    no_end = layer(9, 8)
    no_end.bias[4] = float("-inf")
    assert operators.linear(x.numpy(), packed(no_end))[2, 4] == float("-inf")


@needs_operators
def test_tables_give_their_rows_and_refuse_others() -> None:
    given = layer(70, 33)
    matrix = packed(given)
    found = torch.from_numpy(operators.lookup(range(70), matrix))
    assert (found - given.weight).abs().max() <= given.weight.abs().max() / 250
    for number in (-1, 70):
        with pytest.raises(RuntimeError, match=f"row {number} of a table of 70"):
            operators.lookup([number], matrix)


@needs_operators
def test_a_matrix_takes_no_rows_and_no_inputs_but_its_own() -> None:
    matrix = operators.packed(10, 4)
    one = np.ones((1, 4), dtype=np.int8), np.ones(1, dtype=np.float32), None
    with pytest.raises(ValueError, match=r"from 10 for a matrix \(10, 4\)"):
        operators.pack_rows(matrix, *one, first=10)
    with pytest.raises(ValueError, match="1 rows with scales or biases of other rows"):
        operators.pack_rows(matrix, one[0], np.ones(2, dtype=np.float32), None, first=0)
    with pytest.raises(ValueError, match="3 numbers for a matrix of 4 inputs"):
        operators.linear(np.ones((2, 3), dtype=np.float32), matrix)


@needs_operators
@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from([-1e30, -50.0, -1.5, 0.0, 0.25, 3.0, 80.0]), min_size=1, max_size=300),
    st.integers(1, 20),
    st.integers(0, 299),
)
def test_the_largest(numbers: list[float], count: int, impossible: int) -> None:
    logits = torch.tensor([numbers, numbers[::-1]])
    if len(numbers) > 1:
        logits[0, impossible % len(numbers)] = float("-inf")
    count = min(count, len(numbers))
    found = operators.largest(logits.numpy(), count)
    values, tokens = torch.from_numpy(found.log_probabilities), torch.from_numpy(found.tokens)
    assert found.entropies is not None
    entropies = torch.from_numpy(found.entropies)
    logs = logits.double().log_softmax(-1)
    assert torch.allclose(values.double(), logs.sort(descending=True)[0][:, :count], atol=1e-5)
    assert torch.allclose(logs.gather(1, tokens), values.double(), atol=1e-5)
    for row in tokens.tolist():
        assert len(set(row)) == count
    expected = -(logs.exp() * logs.clamp_min(-1e30)).sum(-1)
    assert torch.allclose(entropies.double(), expected, atol=1e-4)
    # Of equal ones the first comes first.
    for row, ids in zip(logits, tokens.tolist(), strict=True):
        for first, second in itertools.pairwise(ids):
            assert row[first] > row[second] or first < second


@needs_operators
def test_one_that_is_not_a_number_spoils_the_row() -> None:
    logits = torch.zeros(4, 100)
    logits[0, 70] = float("nan")
    logits[1] = float("-inf")
    logits[2, 5] = float("inf")
    values = operators.largest(logits.numpy(), 3).log_probabilities
    assert np.isnan(values[:3]).all()
    assert np.isfinite(values[3]).all()


def transformers() -> Iterator[ModelConfig]:
    common = {"source_vocabulary": 90, "target_vocabulary": 90, "d_model": 24, "encoder_layers": 2,
              "decoder_layers": 2, "feed_forward_size": 50}  # fmt: skip
    yield TransformerConfig(**common, norm="pre", heads=4)
    yield TransformerConfig(**common, norm="post", heads=2, positions="sinusoidal-halves",
                            activation="swish", zero_start=True, output_bias=True)  # fmt: skip
    yield TransformerConfig(**common, heads=1, positions="learned", activation="gelu",
                            scale_embeddings=False, tie_output=False)  # fmt: skip
    yield TransformerConfig(**{**common, "target_vocabulary": 70}, heads=3,
                            share_embeddings=False)  # fmt: skip


def recurrents() -> Iterator[ModelConfig]:
    for cell, attention, layers, options in itertools.product(
        ("gru", "lstm"),
        ("none", "additive", "dot", "general"),
        (1, 2),
        (
            {},
            {"reverse_source": True, "bidirectional": False},
            {"input_feeding": True},
            {"tie_output": False, "share_embeddings": False, "target_vocabulary": 70},
        ),
    ):
        config = {"source_vocabulary": 90, "target_vocabulary": 90, "cell": cell,
                  "attention": attention, "encoder_layers": layers, "decoder_layers": layers,
                  "embedding_size": 20, "encoder_size": 16, "attention_size": 12,
                  "decoder_size": 16 if "bidirectional" in options else 32}  # fmt: skip
        try:
            yield RecurrentConfig(**{**config, **options})  # type: ignore[arg-type]
        except ConfigError:
            continue


def sentences(model: Session, *, count: int, length: int) -> list[list[int]]:
    """Sentences of ever fewer pieces."""
    chance = np.random.default_rng(2)
    most = model.config.source_vocabulary
    return [chance.integers(4, most, length - 2 * n).tolist() for n in range(count)]


def walk(model: Session) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Logits and attention of 12 steps in which hypotheses come and go."""
    state = model.start(model.encode(sentences(model, count=4, length=9)))
    chance = np.random.default_rng(3)
    rows = 4
    for _ in range(12):
        tokens = chance.integers(1, model.config.target_vocabulary, rows).tolist()
        output = model.step(tokens, state)
        yield output.logits, output.attention
        index = chance.integers(0, rows, 1 + rows % 7).tolist()
        state, rows = output.state.select(index), len(index)


def operated(config: ModelConfig) -> Session:
    """A model with random weights on the operators."""
    torch.manual_seed(1)
    return InferenceModel(build_model(config).eval(), precision="int8").session()


@needs_operators
@pytest.mark.parametrize("index", [[0, 4], [-5]])
def test_rows_that_are_not_there_cannot_be_selected(index: list[int]) -> None:
    model = operated(next(transformers()))
    state = model.start(model.encode(sentences(model, count=4, length=9)))
    with pytest.raises(RuntimeError, match="row"):
        model.step([1] * len(index), state.select(index))


@needs_operators
@pytest.mark.parametrize("config", [next(transformers()), next(recurrents())])
def test_a_step_takes_as_many_pieces_as_there_are_rows(config: ModelConfig) -> None:
    model = operated(config)
    state = model.start(model.encode([[5, 6], [7]]))
    for tokens in ([4], [4, 4, 4]):
        with pytest.raises(RuntimeError, match="other rows"):
            model.step(tokens, state)


@needs_operators
@pytest.mark.parametrize("config", [*transformers(), *recurrents()])
def test_every_model_does_what_its_modules_do(config: ModelConfig) -> None:
    torch.manual_seed(1)
    plain = HostedModel(pack(build_model(config).eval()))
    for (logits, attention), (found, weights) in zip(
        walk(plain), walk(operated(config)), strict=True
    ):
        # An input that rounds to the neighbouring one of 127 levels, here and there.
        assert np.abs(found - logits).max() < 0.1 * logits.std()
        if attention is None:
            assert weights is None
            continue
        assert weights is not None
        assert weights.shape == attention.shape
        assert np.abs(weights - attention).max() < 0.02
        assert np.array_equal(weights == 0, attention == 0)
        assert np.allclose(weights.sum(-1), 1)


@needs_operators
@pytest.mark.parametrize(
    ("config", "vocabulary", "threads"),
    [
        *((config, 3001, 1) for config in (*itertools.islice(transformers(), 2), *recurrents())),
        # So large that threads share the work.
        (next(transformers()), 800_001, 3),
        (next(recurrents()), 900_001, 3),
    ],
)
def test_choosing_is_reading_the_logits(config: ModelConfig, vocabulary: int, threads: int) -> None:
    config = dataclasses.replace(
        config,
        source_vocabulary=vocabulary,
        target_vocabulary=vocabulary,
        share_embeddings=True,
    )
    session = operated(config)
    before = kernels.threads()
    kernels.set_threads(threads)
    try:
        chance = np.random.default_rng(1)
        state = session.start(session.encode(chance.integers(4, 90, (12, 5)).tolist()))
        tokens = chance.integers(4, 90, 12).tolist()
        logits = torch.from_numpy(session.step(tokens, state).logits)
        found = session.choose(tokens, state, count=7).largest
    finally:
        kernels.set_threads(before)
    logs = logits.log_softmax(-1)
    largest = torch.from_numpy(found.log_probabilities)
    assert torch.allclose(largest, logs.topk(7)[0], atol=1e-4)
    assert torch.allclose(largest, logs.gather(1, torch.from_numpy(found.tokens)), atol=1e-4)
    assert found.entropies is not None
    entropies = torch.special.entr(logs.exp()).sum(-1)
    assert torch.allclose(torch.from_numpy(found.entropies), entropies, atol=1e-3)


@needs_operators
def test_threads_change_nothing_whoever_else_is_at_work() -> None:
    config = dataclasses.replace(
        next(transformers()), source_vocabulary=300_001, target_vocabulary=300_001
    )
    session = operated(config)

    def translate(_: int) -> np.ndarray:
        state = session.start(session.encode([[5, 6, 7]] * 3))
        steps = []
        for _ in range(5):
            found = session.choose([7, 8, 9], state, count=4)
            steps.append(found.largest.log_probabilities)
            state = found.state
        return np.array(steps)

    before = kernels.threads()
    try:
        kernels.set_threads(1)
        expected = translate(0)
        kernels.set_threads(3)
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(translate, range(12)):
                assert np.allclose(found, expected, atol=1e-5)
    finally:
        kernels.set_threads(before)


def seconds_by_thread() -> dict[str, float]:
    """Processor time of every thread of this process so far."""
    return {
        task.name: int((task / "schedstat").read_text().split()[0]) / 1e9
        for task in Path("/proc/self/task").iterdir()
    }


@needs_operators
@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell")
@pytest.mark.parametrize("fewer", [2, 1])
def test_helpers_who_are_not_wanted_any_more_sleep(fewer: int) -> None:
    session = operated(
        dataclasses.replace(
            next(transformers()), source_vocabulary=300_001, target_vocabulary=300_001
        )
    )
    state = session.start(session.encode([[5, 6, 7]]))
    before = kernels.threads()
    try:
        for threads in (4, fewer):  # the first makes the helpers
            kernels.set_threads(threads)
            begun = seconds_by_thread()
            for _ in range(60):
                session.choose([7], state, count=4)
            ended = seconds_by_thread()
    finally:
        kernels.set_threads(before)
    spent = [ended[name] - begun.get(name, 0) for name in ended]
    assert sum(one > max(spent) / 4 for one in spent) <= fewer


@needs_operators
def test_positions_grow_whoever_else_needs_some() -> None:
    config = next(transformers())
    model = CompiledTransformer(config, ModuleWeights(build_model(config)))
    assert model._placed(1, 3000) is model._placed(1, 2000)
    assert len(model._positions[1]) >= 3000
    with ThreadPoolExecutor(8) as pool:
        lengths = [4000 + 1000 * (n % 8) for n in range(64)]
        sides = list(pool.map(lambda length: model._placed(0, length), lengths))
    for length, side in zip(lengths, sides, strict=True):
        assert len(side._weights[1]) >= length


@needs_operators
def test_a_fork_has_threads_of_its_own() -> None:
    """The helpers of a process are not in its children, who must not wait for them."""
    done = subprocess.run(
        [sys.executable, "-c", _FORKED], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.count("same") == 2


_FORKED = """
import os, numpy as np
from seq2seq import kernels
from seq2seq.kernels import operators
assert kernels.load()
kernels.set_threads(2)
matrix = operators.packed(100_000, 64)
values = np.full((100_000, 64), 3, dtype=np.int8)
operators.pack_rows(matrix, values, np.ones(100_000, dtype=np.float32), None, first=0)
def work():
    return operators.linear(np.ones((2, 64), dtype=np.float32), matrix)
expected = work()
child = os.fork()
print("same" if np.array_equal(work(), expected) else "other", flush=True)
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@needs_operators
def test_states_that_share_a_cache_do_not_disturb_each_other() -> None:
    session = operated(next(transformers()))
    first = session.step([5, 6], session.start(session.encode([[5, 6, 7], [8, 9]])))
    again = [session.step(t, first.state) for t in ([7, 8], [9, 9], [7, 8])]
    later = [session.step([4, 4], step.state).logits for step in again]
    assert np.array_equal(again[0].logits, again[2].logits)
    assert np.array_equal(later[0], later[2])
    assert not np.array_equal(later[0], later[1])


@needs_operators
def test_a_cache_keeps_what_hypotheses_need_and_no_more() -> None:
    session = operated(next(transformers()))
    chance = np.random.default_rng(1)
    written = np.empty((4, 0), dtype=np.int64)
    memory = session.encode([[5, 6, 7, 8, 9]])
    state = session.start(memory).select([0] * 4)
    for _ in range(70):
        rows, tokens = chance.integers(0, 4, 4), chance.integers(4, 90, 4)
        written = np.concatenate([written[rows], tokens[:, None]], axis=1)
        output = session.step(tokens.tolist(), state.select(rows.tolist()))
        state = output.state
    again = session.start(memory).select([0] * 4)
    for tokens in written.T:
        alone = session.step(tokens.tolist(), again)
        again = alone.state
    assert np.array_equal(output.logits, alone.logits)
    assert state.cache.used < 0.7 * 4 * 70


_ELSEWHERE = """
import sys, numpy as np
from pathlib import Path
from seq2seq.kernels import library, operators
library._opened.append(library._open(Path(sys.argv[1])))
given = np.load(sys.argv[2])
matrix = operators.packed(*given["values"].shape)
operators.pack_rows(matrix, given["values"], given["scale"], given["bias"], first=0)
assert np.allclose(operators.linear(given["x"], matrix), given["expected"], rtol=1e-5, atol=1e-5)
found = operators.largest(given["expected"], 5)
assert np.allclose(found.log_probabilities, given["largest"], atol=1e-4)
assert np.array_equal(found.tokens, given["tokens"])
"""


@needs_operators
@pytest.mark.parametrize(("processor", "flag"), [("haswell", "avx2"), ("alderlake", "avx_vnni")])
def test_other_processors_give_the_same(
    processor: str, flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if flag not in library._processor().split():
        pytest.skip(f"this machine has no {flag}")
    flags = [f"-march={processor}" if f == "-march=native" else f for f in library._FLAGS]
    monkeypatch.setattr(library, "_FLAGS", tuple(flags))
    library._compile(tmp_path / "operators.so")
    chance = np.random.default_rng(5)
    values = chance.integers(-127, 128, (130, 77), dtype=np.int8)
    scale, bias = (chance.random(130, dtype=np.float32) for _ in range(2))
    x = chance.standard_normal((9, 77), dtype=np.float32)
    matrix = operators.packed(130, 77)
    operators.pack_rows(matrix, values, scale, bias, first=0)
    expected = operators.linear(x, matrix)
    largest, tokens, _ = operators.largest(expected, 5)
    np.savez(
        tmp_path / "given.npz",
        values=values, scale=scale, bias=bias, x=x, expected=expected, largest=largest,
        tokens=tokens,
    )  # fmt: skip
    command = [sys.executable, "-c", _ELSEWHERE, tmp_path / "operators.so", tmp_path / "given.npz"]
    subprocess.run(command, check=True)


class TestBuilding:
    @pytest.fixture(autouse=True)
    def fresh(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """As in a new process of somebody whose cache is empty."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(library, "_opened", [])
        self.loads: list[str] = []

        def open_(path: Path) -> SimpleNamespace:
            self.loads.append(str(path))
            return SimpleNamespace(seq2seq_set_threads=lambda _: None)

        monkeypatch.setattr(library, "_open", open_)
        library._path.cache_clear()
        yield
        library._path.cache_clear()

    def compiler(self, path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
        path.mkdir()
        tool = path / "c++"
        tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        tool.chmod(0o755)
        monkeypatch.setenv("CXX", str(tool))

    def test_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.compiler(
            tmp_path / "bin",
            monkeypatch,
            'for last; do :; done; echo built >> "$0.log"; : > "$last"',
        )
        assert not kernels.load()
        assert kernels.build()
        (built,) = (tmp_path / "seq2seq-explorer").iterdir()
        assert self.loads == [str(built)]
        monkeypatch.setattr(library, "_opened", [])
        assert kernels.load()
        assert kernels.build()
        assert (tmp_path / "bin" / "c++.log").read_text().count("built") == 1

    def test_not_when_unwanted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SEQ2SEQ_KERNELS", "off")
        assert not kernels.build()
        assert self.loads == []

    def test_a_compiler_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.compiler(tmp_path / "bin", monkeypatch, "echo no such processor >&2; exit 1")
        assert not kernels.build()
        assert list((tmp_path / "seq2seq-explorer").iterdir()) == []

    def test_no_compiler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.which", lambda _: None)
        assert not kernels.build()

    def test_a_library_that_cannot_be_loaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.compiler(tmp_path / "bin", monkeypatch, 'for last; do :; done; : > "$last"')

        def fail(_: Path) -> None:
            raise OSError("wrong ELF class")

        monkeypatch.setattr(library, "_open", fail)
        assert not kernels.build()
        assert not kernels.loaded()

    def test_a_folder_that_others_can_write_to_is_not_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        open_to_all = tmp_path / "seq2seq-explorer"
        open_to_all.mkdir()
        open_to_all.chmod(0o777)
        other = tmp_path / "tmp"
        other.mkdir()
        monkeypatch.setattr("tempfile.gettempdir", lambda: str(other))
        assert library._path().parent == other / f"seq2seq-explorer-{os.getuid()}"

    def test_a_library_that_others_can_change_is_not_loaded(self) -> None:
        path = library._path()
        path.touch()
        path.chmod(0o666)
        assert not kernels.load()
        assert self.loads == []
