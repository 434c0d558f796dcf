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
from tests.operators_support import needs_operators


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
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 7, 8, 16, 33, 80])
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
def test_what_is_not_a_number_stays_so() -> None:
    x = torch.zeros(3, 8)
    x[0, 3], x[1, 2] = float("nan"), float("inf")
    found = packing.linear(x.numpy(), packed(layer(9, 8)))
    assert not np.isfinite(found[:2]).any()
    assert np.isfinite(found[2]).all()
    no_end = layer(9, 8)
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
def test_a_fork_has_threads_of_its_own() -> None:
    """The helpers of a process are not in its children, who must not wait for them."""
    done = subprocess.run(
        [sys.executable, "-c", _FORKED], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.count("same") == 2


_FORKED = """
import os, numpy as np
from seq2seq import kernels
from seq2seq.kernels import packing
assert kernels.load()
kernels.set_threads(2)
matrix = packing.packed(100_000, 64)
values = np.full((100_000, 64), 3, dtype=np.int8)
packing.pack_rows(matrix, values, np.ones(100_000, dtype=np.float32), None, first=0)
def work():
    return packing.linear(np.ones((2, 64), dtype=np.float32), matrix)
expected = work()
child = os.fork()
print("same" if np.array_equal(work(), expected) else "other", flush=True)
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


_ELSEWHERE = """
import sys, numpy as np
from pathlib import Path
from seq2seq.kernels import library, packing, reading
library._opened.append(library._open(Path(sys.argv[1])))
given = np.load(sys.argv[2])
matrix = packing.packed(*given["values"].shape)
packing.pack_rows(matrix, given["values"], given["scale"], given["bias"], first=0)
assert np.allclose(packing.linear(given["x"], matrix), given["expected"], rtol=1e-5, atol=1e-5)
found = reading.largest(given["expected"], 5)
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
    matrix = packing.packed(130, 77)
    packing.pack_rows(matrix, values, scale, bias, first=0)
    expected = packing.linear(x, matrix)
    largest, tokens, _ = reading.largest(expected, 5)
    np.savez(
        tmp_path / "given.npz",
        values=values, scale=scale, bias=bias, x=x, expected=expected, largest=largest,
        tokens=tokens,
    )  # fmt: skip
    command = [sys.executable, "-c", _ELSEWHERE, tmp_path / "operators.so", tmp_path / "given.npz"]
    subprocess.run(command, check=True)
