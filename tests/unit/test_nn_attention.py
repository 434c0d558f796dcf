"""The attentions of recurrent models against the papers' equations, written out by element."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.nn.attention import (
    AdditiveAttention,
    DotAttention,
    GeneralAttention,
    masked_softmax,
)

ROWS, QUERIES, PIECES, WIDTH = 3, 2, 5, 4
LENGTHS = [5, 2, 1]


def attentions() -> list[AdditiveAttention | DotAttention | GeneralAttention]:
    torch.manual_seed(5)
    additive = AdditiveAttention(WIDTH, WIDTH, size=3)
    torch.nn.init.normal_(additive.key.bias)
    return [additive, DotAttention(), GeneralAttention(WIDTH, WIDTH)]


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(6)
    mask = torch.arange(PIECES) < torch.tensor(LENGTHS)[:, None]
    return torch.randn(ROWS, QUERIES, WIDTH), torch.randn(ROWS, PIECES, WIDTH), mask


def product(matrix: list[list[float]], vector: list[float]) -> list[float]:
    return [sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix]


def additive_score(attention: AdditiveAttention, s: list[float], h: list[float]) -> float:
    """``v^T tanh(W s + U h)`` (Bahdanau 2015, A.1.2), one number at a time."""
    ws = product(attention.query.weight.tolist(), s)
    uh = product(attention.key.weight.tolist(), h)
    v, bias = attention.score.weight.tolist()[0], attention.key.bias.tolist()
    return sum(v[k] * math.tanh(ws[k] + uh[k] + bias[k]) for k in range(len(v)))


def literal_score(attention: torch.nn.Module, s: list[float], h: list[float]) -> float:
    if isinstance(attention, AdditiveAttention):
        return additive_score(attention, s, h)
    if isinstance(attention, GeneralAttention):  # h_t^T W_a h_s (Luong 2015, eq. 8)
        h = product(attention.key.weight.tolist(), h)
    return sum(a * b for a, b in zip(s, h, strict=True))


@pytest.mark.parametrize("attention", attentions(), ids=lambda a: type(a).__name__)
def test_equations_by_element(attention: DotAttention) -> None:
    query, values, mask = inputs()
    context, weights = attention(query, attention.keys(values), values, mask)
    for row, length in enumerate(LENGTHS):
        states = values[row].tolist()
        for i in range(QUERIES):
            s = query[row, i].tolist()
            scores = [math.exp(literal_score(attention, s, states[j])) for j in range(length)]
            expected = [score / sum(scores) for score in scores]  # eq. 6
            assert weights[row, i, :length].tolist() == pytest.approx(expected, abs=1e-5)
            mixed = [  # eq. 5
                sum(a * states[j][k] for j, a in enumerate(expected)) for k in range(WIDTH)
            ]
            assert context[row, i].tolist() == pytest.approx(mixed, abs=1e-5)


@pytest.mark.parametrize("attention", attentions(), ids=lambda a: type(a).__name__)
def test_padding_neither_gets_nor_gives_anything(attention: DotAttention) -> None:
    query, values, mask = inputs()
    context, weights = attention(query, attention.keys(values), values, mask)
    changed = torch.where(mask[:, :, None], values, torch.full_like(values, 100.0))
    again, _ = attention(query, attention.keys(changed), changed, mask)
    assert (weights.transpose(1, 2)[~mask] == 0).all()
    assert torch.equal(context, again)


@pytest.mark.parametrize("attention", attentions(), ids=lambda a: type(a).__name__)
def test_all_queries_at_once_equal_one_by_one(attention: DotAttention) -> None:
    query, values, mask = inputs()
    keys = attention.keys(values)
    context, weights = attention(query, keys, values, mask)
    for i in range(QUERIES):
        one, its_weights = attention(query[:, i : i + 1], keys, values, mask)
        torch.testing.assert_close(one[:, 0], context[:, i])
        torch.testing.assert_close(its_weights[:, 0], weights[:, i])


@given(
    scores=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=8),
    padding=st.integers(0, 4),
)
@settings(deadline=None, max_examples=60)
def test_softmax_sums_to_one_whatever_the_scores(scores: list[float], padding: int) -> None:
    padded = torch.tensor([[[*scores, *[9e9] * padding]]])
    mask = torch.arange(padded.shape[-1])[None] < len(scores)
    weights = masked_softmax(padded, mask)[0, 0]
    assert weights.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert (weights[len(scores) :] == 0).all()
    assert (weights >= 0).all()
