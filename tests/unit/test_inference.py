"""The form in which models run gives what the models give, in batches and alone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import ARCHITECTURES, make_checkpoint

from seq2seq import kernels
from seq2seq.checkpoint import CheckpointError, load_checkpoint
from seq2seq.config import SearchConfig
from seq2seq.decoding.model import SearchModel
from seq2seq.decoding.readout import log_softmax
from seq2seq.decoding.search import search
from seq2seq.inference import InferenceModel, Precision, available, choose, compiled
from seq2seq.inference.hosted import HostedModel
from seq2seq.inference.int8 import Int8Embedding, Int8Linear, _levels, quantise
from seq2seq.inference.pack import pack
from seq2seq.inference.unit import TracedModel
from seq2seq.nn import AnyModel
from seq2seq.stored import Storage
from seq2seq.translator import Translator
from seq2seq.weights import load_weights, save_weights

needs_int8 = pytest.mark.skipif("int8" not in available(), reason="no int8 on this machine")


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> AnyModel:
    make_checkpoint(tmp_path / "x", architecture=request.param)
    return load_checkpoint(tmp_path / "x").model


def sources(model: AnyModel, rows: int = 4) -> list[list[int]]:
    """Sentences of different lengths."""
    chance = np.random.default_rng(2)
    most = model.config.source_vocabulary
    return [chance.integers(4, most, 9 - 2 * row).tolist() for row in range(rows)]


def logits(
    model: SearchModel, source: Sequence[Sequence[int]], target: Sequence[Sequence[int]]
) -> np.ndarray:
    """Step by step."""
    state = model.start(model.encode(source))
    steps = []
    for tokens in zip(*target, strict=True):
        output = model.step(tokens, state)
        steps.append(output.logits)
        state = output.state
    return np.stack(steps, axis=1)


def targets(model: AnyModel, length: int = 5) -> list[list[int]]:
    """As many pieces after bos, of 4 sentences."""
    chance = np.random.default_rng(3)
    pieces = chance.integers(4, model.config.target_vocabulary, (4, length - 1)).tolist()
    return [[model.config.bos_id, *row] for row in pieces]


@needs_int8
def test_a_product_of_8_bits_is_close_and_its_rows_are_alone() -> None:
    torch.manual_seed(0)
    weight, bias = torch.randn(50, 33), torch.randn(50)
    bias[3] = float("-inf")
    layer = Int8Linear(weight, bias)
    x = torch.randn(6, 2, 33) * torch.tensor([1e-6, 1e-3, 1, 1e3, 1e6, 0])[:, None, None]
    found, exact = layer(x), x @ weight.T + bias
    assert found[..., 3].isneginf().all()
    finite = torch.arange(50) != 3
    scale = x.abs().amax(-1, keepdim=True) * weight.abs().amax() * 33**0.5
    assert ((found - exact)[..., finite].abs() <= 0.02 * scale + 1e-6).all()
    for row in range(6):
        assert torch.equal(layer(x[row : row + 1]), found[row : row + 1])
    assert Int8Linear(weight, None)(x).isfinite().all()


def test_weights_of_an_int8_checkpoint_lose_nothing_more(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "x", architecture="transformer")
    model = load_checkpoint(tmp_path / "x").model
    save_weights(tmp_path, model, storage="int8")
    stored = load_weights(tmp_path, model.config, storage="int8")
    for name, weight in stored.state_dict().items():
        if weight.dim() == 2:
            values, scale = quantise(weight)
            assert torch.allclose(values * scale[:, None], weight, rtol=1e-5), name


@needs_int8
@pytest.mark.parametrize("levels", [127, 63])
def test_fewer_levels_serve_processors_that_add_up_in_16_bits(
    levels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _levels() in (127, 63)
    monkeypatch.setattr("seq2seq.inference.int8._levels", lambda: levels)
    torch.manual_seed(1)
    weight, x = torch.randn(20, 64), torch.randn(3, 64)
    error = (Int8Linear(weight, None)(x) - x @ weight.T).abs().mean()
    assert error < 3 * 64**0.5 / levels


@needs_int8
def test_embeddings_of_8_bits() -> None:
    weight = torch.randn(20, 8)
    table = Int8Embedding(weight)
    ids = torch.tensor([[3, 3], [19, 0]])
    assert table(ids).shape == (2, 2, 8)
    assert (table(ids) - weight[ids]).abs().max() <= weight.abs().max() / 250


@pytest.mark.parametrize("precision", available())
def test_close_to_the_model_and_equal_in_every_batch(model: AnyModel, precision: Precision) -> None:
    plain = InferenceModel(model, precision=precision, unit=False).session()
    source, target = sources(model), targets(model)
    exact, found = logits(HostedModel(model), source, target), logits(plain, source, target)
    tolerance = 1e-4 if precision == "fp32" else 0.15 * float(exact.std())
    assert np.abs(found - exact).max() < tolerance
    fast = InferenceModel(model, precision=precision)
    assert fast.wait()  # from here on a step is one unit
    # The same products, but for a last bit that may round another way.
    same = 1e-4 if precision == "fp32" else 0.03 * float(exact.std())
    unit = logits(fast.session(), source, target)
    assert np.abs(unit - found).max() < same
    for row in range(4):
        alone = logits(fast.session(), source[row : row + 1], target[row : row + 1])
        assert np.abs(alone - unit[row]).max() < 1e-3


@pytest.mark.parametrize("precision", available())
def test_scores_are_those_of_the_logits(model: AnyModel, precision: Precision) -> None:
    source, target = sources(model), targets(model)
    wanted = [row[1:4] for row in target[:3]] + [target[3][1:3]]
    fast = InferenceModel(model, precision=precision)
    plain = InferenceModel(model, precision=precision, unit=False)
    assert fast.wait()
    for session in (plain.session(), fast.session()):
        logs = log_softmax(logits(session, source, target).reshape(4 * 5, -1)).reshape(4, 5, -1)
        for row, (pieces, found) in enumerate(
            zip(wanted, session.score(source, wanted), strict=True)
        ):
            assert found == pytest.approx(
                [logs[row, place, piece] for place, piece in enumerate(pieces)], abs=1e-3
            )


@pytest.mark.parametrize("precision", available())
def test_a_search_finds_the_same_before_and_after_the_step_is_one_unit(
    model: AnyModel, precision: Precision
) -> None:
    plain = InferenceModel(model, precision=precision, unit=False).session()
    fast = InferenceModel(model, precision=precision)
    assert fast.wait()
    config = SearchConfig(beam=4, n_best=4, max_length=12)
    before = search(plain, sources(model), config=config, trace=True)
    after = search(fast.session(), sources(model), config=config, trace=True)
    tolerance = 1e-5 if precision == "fp32" else 0.02
    for first, second in zip(before, after, strict=True):
        assert first.hypotheses[0].tokens == second.hypotheses[0].tokens
        assert first.hypotheses[0].score == pytest.approx(second.hypotheses[0].score, abs=tolerance)


@needs_int8
def test_packing_leaves_the_model_as_it_was(model: AnyModel) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    packed = InferenceModel(pack(model), precision="fp32")
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert packed.memory_bytes < InferenceModel(model, precision="fp32").memory_bytes


def test_the_unit_is_made_when_there_were_some_sessions(
    model: AnyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seq2seq.kernels.load", lambda: False)  # not built before
    for precision in available():
        fast = InferenceModel(model, precision=precision)
        first = fast.session()
        assert fast._worker is None
        assert not fast.is_unit
        fast.session()
        assert fast._worker is not None
        fast._worker.join()
        assert fast.is_unit
        # A session goes on in the form in which it began.
        logits(first, sources(model, 1), [[model.config.bos_id] * 3])
        assert fast.memory_bytes > 0
    alone = InferenceModel(model, precision="fp32", unit=False)
    assert not alone.wait()


@pytest.mark.skipif(not kernels.loaded(), reason="no operators on this machine")
def test_the_first_form_is_let_go_of_when_there_is_a_better_one(
    model: AnyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("seq2seq.kernels.load", lambda: False)  # not built before
        fast = InferenceModel(model, precision="int8")
    packed = weakref.ref(fast._module)  # type: ignore[arg-type]
    assert packed() is not None
    assert fast.wait()
    gc.collect()
    assert packed() is None


@needs_int8
def test_without_a_compiler_the_step_is_traced(
    model: AnyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seq2seq.kernels.load", lambda: False)
    monkeypatch.setattr("seq2seq.kernels.build", lambda: False)
    fast = InferenceModel(model, precision="int8")
    assert fast.wait()
    assert isinstance(fast._form, HostedModel)
    assert isinstance(fast._form._form, TracedModel)


@pytest.mark.skipif(not kernels.loaded(), reason="no operators on this machine")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("storage", ["fp32", "fp16", "int8"])
def test_weights_can_be_packed_from_the_disk_one_by_one(
    architecture: str, storage: Storage, tmp_path: Path
) -> None:
    make_checkpoint(tmp_path / "x", architecture=architecture, storage=storage)
    whole = load_checkpoint(tmp_path / "x")
    stored = load_checkpoint(tmp_path / "x", whole=False)
    first = InferenceModel(whole.model, precision="int8")
    second = InferenceModel(compiled(stored.info.model, stored.weights))
    assert "model" not in vars(stored)  # nothing on PyTorch was built
    assert first.memory_bytes == second.memory_bytes
    assert second.is_unit
    source, target = sources(whole.model), targets(whole.model)
    expected = logits(first.session(), source, target)
    found = logits(second.session(), source, target)
    assert np.abs(found - expected).max() <= 0.03 * expected.std()


@pytest.mark.skipif(not kernels.loaded(), reason="no operators on this machine")
def test_weights_that_are_no_numbers_are_found_when_they_are_packed(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "x", storage="fp32")
    name = "model.safetensors"
    weights = load_file(tmp_path / "x" / name)
    weights["encoder.0.feed_forward.inner.weight"][3, 1] = float("nan")
    save_file(weights, tmp_path / "x" / name)
    with pytest.raises(CheckpointError, match=r"inner.weight' holds NaN"):
        Translator.load(str(tmp_path / "x"))


def test_what_the_machine_has_is_chosen() -> None:
    assert choose(None) == available()[0]
    assert choose("fp32") == "fp32"
