"""Products with matrices of 8-bit weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from seq2seq.inference.int8 import Int8Linear
from seq2seq.inference.matrices import quantise
from seq2seq.kernels import library, packing, reading
from seq2seq.kernels.calls import address
from tests.operators_support import needs_operators, operated, some_of_each, walk


def layer(out: int, width: int, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(out + width)
    return nn.Linear(width, out, bias=bias).requires_grad_(False)


def packed(given: nn.Linear, *, at_once: int = 50) -> packing.Packed:
    """Its matrix, filled some rows at a time."""
    matrix = packing.packed(*given.weight.shape)
    for first in range(0, len(given.weight), at_once):
        rows = slice(first, first + at_once)
        bias = None if given.bias is None else given.bias[rows].numpy()
        packing.pack_rows(matrix, *quantise(given.weight[rows].numpy()), bias, first=first)
    return matrix


@needs_operators
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 16, 17, 33, 48, 49, 80, 100])
@pytest.mark.parametrize(
    ("out", "width"), [(1, 1), (64, 4), (65, 3), (200, 129), (640, 70), (200, 128), (30, 64)]
)
def test_products(rows: int, out: int, width: int) -> None:
    given = layer(out, width)
    x = torch.randn(rows, width) * torch.logspace(-8, 8, rows)[:, None]
    x[rows // 2] = 0
    found = packing.linear(x.numpy(), packed(given))
    expected = Int8Linear(given.weight, given.bias)(x)
    scale = x.abs().amax(1, keepdim=True) * width**0.5 / 127 + 1e-6
    assert ((torch.from_numpy(found) - expected).abs() <= 0.2 * scale).all()
    for row in range(rows):
        alone = packing.linear(x[row : row + 1].numpy(), packed(given))
        assert np.array_equal(alone, found[row : row + 1])


@needs_operators
@pytest.mark.parametrize("width", [8, 128])
def test_what_is_not_a_number_stays_so(width: int) -> None:
    x = torch.zeros(3, width)
    x[0, 3], x[1, 2] = float("nan"), float("inf")
    found = packing.linear(x.numpy(), packed(layer(9, width)))
    assert not np.isfinite(found[:2]).any()
    assert np.isfinite(found[2]).all()
    no_end = layer(9, width)
    no_end.bias[4] = float("-inf")
    assert packing.linear(x.numpy(), packed(no_end))[2, 4] == float("-inf")


@needs_operators
def test_tables_give_their_rows_and_refuse_others() -> None:
    given = layer(70, 33)
    matrix = packed(given)
    found = torch.from_numpy(packing.lookup(range(70), matrix))
    assert (found - given.weight).abs().max() <= given.weight.abs().max() / 250
    for number in (-1, 70):
        with pytest.raises(RuntimeError, match=f"row {number} of a table of 70"):
            packing.lookup([number], matrix)


@needs_operators
def test_a_matrix_takes_no_rows_and_no_inputs_but_its_own() -> None:
    matrix = packing.packed(10, 4)
    one = np.ones((1, 4), dtype=np.int8), np.ones(1, dtype=np.float32), None
    with pytest.raises(ValueError, match=r"from 10 for a matrix \(10, 4\)"):
        packing.pack_rows(matrix, *one, first=10)
    with pytest.raises(ValueError, match="1 rows with scales or biases of other rows"):
        packing.pack_rows(matrix, one[0], np.ones(2, dtype=np.float32), None, first=0)
    with pytest.raises(ValueError, match="3 numbers for a matrix of 4 inputs"):
        packing.linear(np.ones((2, 3), dtype=np.float32), matrix)


@needs_operators
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads as Linux does")
def test_a_fork_has_threads_of_its_own() -> None:
    """The helpers of a process are not in its children, who must not wait for them."""
    command = [sys.executable, "-c", _FORKED]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, cwd=_ROOT
    )
    assert done.stdout.count("same") == 2


_ROOT = Path(__file__).resolve().parents[2]
_FORKED = """
import dataclasses, os, threading, numpy as np
from seq2seq import kernels
from tests.operators_support import operated, transformers
assert kernels.load()
many = {"source_vocabulary": 150_001, "target_vocabulary": 150_001}
session = operated(dataclasses.replace(next(transformers()), **many))
state = session.start(session.encode([[5, 6, 7]]))
def work():
    return session.step([7], state).logits
def threads():
    return len(os.listdir("/proc/self/task"))
kernels.set_threads(1)
expected, alone = work(), threads()
kernels.set_threads(2)
assert np.array_equal(work(), expected) and threads() > alone  # has a helper
done = threading.Event()
def others():
    while not done.is_set():
        work()
other = threading.Thread(target=others)
other.start()
child = os.fork()
print("same" if np.array_equal(work(), expected) else "other", flush=True)
if not child:
    os._exit(0)
done.set()
other.join()
assert os.waitpid(child, 0)[1] == 0
"""


_ELSEWHERE = """
import sys, numpy as np
from pathlib import Path
from seq2seq.kernels import library, packing, reading
from tests.operators_support import operated, some_of_each, walk
library._opened[:] = [library._open(Path(sys.argv[1]))]
given = np.load(sys.argv[2])
matrix = packing.packed(*given["values"].shape)
packing.pack_rows(matrix, given["values"], given["scale"], given["bias"], first=0)
assert np.allclose(packing.linear(given["x"], matrix), given["expected"], rtol=1e-5, atol=1e-5)
found = reading.largest(given["expected"], 5)
assert np.allclose(found.log_probabilities, given["largest"], atol=1e-4)
assert np.array_equal(found.tokens, given["tokens"])
for number, config in enumerate(some_of_each()):
    logits = np.concatenate([step for step, _ in walk(operated(config))])
    # An input that rounds to the neighbouring one of 127 levels, here and there.
    assert np.abs(logits - given[f"model{number}"]).max() < 0.1 * logits.std(), config
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
    matrix = packing.packed(130, 77)
    packing.pack_rows(matrix, values, scale, bias, first=0)
    expected = packing.linear(x, matrix)
    largest, tokens, _ = reading.largest(expected, 5)
    models = {
        f"model{number}": np.concatenate([logits for logits, _ in walk(operated(config))])
        for number, config in enumerate(some_of_each())
    }
    np.savez(
        tmp_path / "given.npz",
        values=values, scale=scale, bias=bias, x=x, expected=expected, largest=largest,
        tokens=tokens, **models,
    )  # fmt: skip
    command = [sys.executable, "-c", _ELSEWHERE, tmp_path / "operators.so", tmp_path / "given.npz"]
    subprocess.run(command, check=True, cwd=_ROOT)


def test_only_numbers_one_after_another_are_passed_on() -> None:
    whole = np.arange(12, dtype=np.float32).reshape(3, 4)
    fixed = whole.copy()
    fixed.flags.writeable = False
    assert address(whole) == whole.ctypes.data
    assert address(fixed) == fixed.ctypes.data
    for gaps in (whole.T, whole[:, 1:], fixed[::2]):
        with pytest.raises(ValueError, match="gaps"):
            address(gaps)
