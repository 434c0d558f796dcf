"""The operators give what PyTorch's give, and are built safely or not at all."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seq2seq import kernels
from seq2seq.config import ConfigError, ModelConfig, RecurrentConfig, TransformerConfig
from seq2seq.inference import InferenceModel
from seq2seq.inference.int8 import Int8Linear
from seq2seq.inference.matrices import Matrices, linear
from seq2seq.kernels import library
from seq2seq.nn import build_model

needs_operators = pytest.mark.skipif(not kernels.loaded(), reason="not built on this machine")


def layer(out: int, width: int, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(out + width)
    return nn.Linear(width, out, bias=bias).requires_grad_(False)


@needs_operators
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 7, 33])
@pytest.mark.parametrize(("out", "width"), [(1, 1), (64, 4), (65, 3), (200, 129), (640, 70)])
def test_products(rows: int, out: int, width: int) -> None:
    given = layer(out, width)
    x = torch.randn(rows, width) * torch.logspace(-8, 8, rows)[:, None]
    x[rows // 2] = 0
    found = linear(x, Matrices().of(given))
    expected = Int8Linear(given.weight, given.bias)(x)
    scale = x.abs().amax(1, keepdim=True) * width**0.5 / 127 + 1e-6
    assert ((found - expected).abs() <= 0.2 * scale).all()
    for row in range(rows):
        assert torch.equal(linear(x[row : row + 1], Matrices().of(given)), found[row : row + 1])


@needs_operators
def test_what_is_not_a_number_stays_so() -> None:
    x = torch.zeros(3, 8)
    x[0, 3], x[1, 2] = float("nan"), float("inf")
    found = linear(x, Matrices().of(layer(9, 8)))
    assert not found[:2].isfinite().any()
    assert found[2].isfinite().all()
    no_end = layer(9, 8)
    no_end.bias[4] = float("-inf")
    assert linear(x, Matrices().of(no_end))[2, 4] == float("-inf")


@needs_operators
def test_tables_give_their_rows_and_refuse_others() -> None:
    given = layer(70, 33)
    packed = Matrices().of(given)
    found = torch.ops.seq2seq.lookup(torch.arange(70), packed)
    assert (found - given.weight).abs().max() <= given.weight.abs().max() / 250
    for number in (-1, 70):
        with pytest.raises(RuntimeError, match=f"row {number} of a table of 70"):
            torch.ops.seq2seq.lookup(torch.tensor([number]), packed)


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
    values, tokens, entropies = torch.ops.seq2seq.largest(logits, count)
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
    values, _, _ = torch.ops.seq2seq.largest(logits, 3)
    assert values[:3].isnan().all()
    assert values[3].isfinite().all()


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


def walk(model: InferenceModel, source: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Logits and attention of 12 steps in which hypotheses come and go."""
    session = model.session()
    state = session.start(session.encode(source, source != model.config.pad_id))
    chance = torch.Generator().manual_seed(3)
    rows = len(source)
    for _ in range(12):
        tokens = torch.randint(1, model.config.target_vocabulary, (rows,), generator=chance)
        output = session.step(tokens, state)
        yield output.logits, output.attention
        index = torch.randint(rows, (2 + 2 * (rows % 7),), generator=chance)[::2]
        state, rows = output.state.select(index), len(index)


@needs_operators
@pytest.mark.parametrize("index", [[0, 4], [-1]])
def test_rows_that_are_not_there_cannot_be_selected(index: list[int]) -> None:
    model = InferenceModel(build_model(next(iter(transformers()))).eval(), precision="int8")
    source = torch.randint(4, model.config.source_vocabulary, (4, 9))
    with torch.inference_mode():
        session = model.session()
        state = session.start(session.encode(source, source != model.config.pad_id))
        tokens = torch.ones(len(index), dtype=torch.int64)
        with pytest.raises(RuntimeError, match="row"):
            session.step(tokens, state.select(torch.tensor(index)))


@needs_operators
@pytest.mark.parametrize("config", [*transformers(), *recurrents()])
def test_every_model_does_what_its_modules_do(config: ModelConfig) -> None:
    torch.manual_seed(1)
    model = build_model(config).eval()
    source = torch.randint(4, config.source_vocabulary, (4, 9))
    for row in range(4):
        source[row, 9 - 2 * row :] = config.pad_id
    with torch.inference_mode():
        plain = walk(InferenceModel(model, precision="int8", unit=False), source)
        fast = walk(InferenceModel(model, precision="int8"), source)
        for (logits, attention), (found, weights) in zip(plain, fast, strict=True):
            # An input that rounds to the neighbouring one of 127 levels, here and there.
            assert (found - logits).abs().max() < 0.1 * logits.std()
            if attention is None:
                assert weights is None
                continue
            assert weights is not None
            assert weights.shape == attention.shape
            assert (weights - attention).abs().max() < 0.02
            assert torch.equal(weights == 0, attention == 0)
            assert torch.allclose(weights.sum(-1), torch.ones(1))


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
    torch.manual_seed(1)
    session = InferenceModel(build_model(config).eval(), precision="int8").session()
    source = torch.randint(4, 90, (12, 5))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            state = session.start(session.encode(source, source != config.pad_id))
            tokens = torch.randint(4, 90, (12,))
            output = session.step(tokens, state)
            found = session.choose(tokens, state, count=7)
    finally:
        torch.set_num_threads(before)
    logs = output.logits.log_softmax(-1)
    largest = found.largest.log_probabilities
    assert torch.allclose(largest, logs.topk(7)[0], atol=1e-4)
    assert torch.allclose(largest, logs.gather(1, found.largest.tokens), atol=1e-4)
    assert found.largest.entropies is not None
    assert torch.allclose(
        found.largest.entropies, torch.special.entr(logs.exp()).sum(-1), atol=1e-3
    )


@needs_operators
def test_states_that_share_a_cache_do_not_disturb_each_other() -> None:
    torch.manual_seed(1)
    model = InferenceModel(build_model(next(transformers())).eval(), precision="int8")
    session = model.session()
    source = torch.randint(4, 90, (2, 5))
    with torch.inference_mode():
        first = session.step(
            torch.tensor([5, 6]), session.start(session.encode(source, source > 0))
        )
        again = [session.step(torch.tensor(t), first.state) for t in ([7, 8], [9, 9], [7, 8])]
        later = [session.step(torch.tensor([4, 4]), step.state).logits for step in again]
    assert torch.equal(again[0].logits, again[2].logits)
    assert torch.equal(later[0], later[2])
    assert not torch.equal(later[0], later[1])


@needs_operators
def test_a_cache_keeps_what_hypotheses_need_and_no_more() -> None:
    torch.manual_seed(1)
    model = InferenceModel(build_model(next(transformers())).eval(), precision="int8")
    session = model.session()
    source = torch.randint(4, 90, (1, 5))
    written = torch.empty(4, 0, dtype=torch.int64)
    with torch.inference_mode():
        memory = session.encode(source, source > 0)
        state = session.start(memory).select(torch.zeros(4, dtype=torch.int64))
        for _ in range(70):
            rows = torch.randint(4, (4,))
            tokens = torch.randint(4, 90, (4,))
            written = torch.cat([written[rows], tokens[:, None]], dim=1)
            output = session.step(tokens, state.select(rows))
            state = output.state
        again = session.start(memory).select(torch.zeros(4, dtype=torch.int64))
        for tokens in written.T:
            alone = session.step(tokens, again)
            again = alone.state
    assert torch.equal(output.logits, alone.logits)
    assert state.cache.used < 0.7 * 4 * 70


_ELSEWHERE = """
import sys, torch
torch.ops.load_library(sys.argv[1])
values, scale, bias, x, expected, chosen = torch.load(sys.argv[2], weights_only=True)
packed = torch.ops.seq2seq.pack(values, scale, bias)
assert torch.allclose(torch.ops.seq2seq.linear(x, packed), expected, rtol=1e-5, atol=1e-5)
found = torch.ops.seq2seq.largest(expected, 5)
assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found, chosen, strict=True))
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
    torch.manual_seed(5)
    values = torch.randint(-127, 128, (130, 77), dtype=torch.int8)
    scale, bias, x = torch.rand(130), torch.randn(130), torch.randn(9, 77)
    expected = torch.ops.seq2seq.linear(x, torch.ops.seq2seq.pack(values, scale, bias))
    chosen = torch.ops.seq2seq.largest(expected, 5)
    torch.save((values, scale, bias, x, expected, chosen), tmp_path / "given.pt")
    command = [sys.executable, "-c", _ELSEWHERE, tmp_path / "operators.so", tmp_path / "given.pt"]
    subprocess.run(command, check=True)


class TestBuilding:
    @pytest.fixture(autouse=True)
    def fresh(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """As in a new process of somebody whose cache is empty."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setitem(library._state, "loaded", False)
        loads: list[str] = []
        monkeypatch.setattr(torch.ops, "load_library", loads.append)
        self.loads = loads
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
        monkeypatch.setitem(library._state, "loaded", False)
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

        def fail(_: str) -> None:
            raise OSError("wrong ELF class")

        monkeypatch.setattr(torch.ops, "load_library", fail)
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
