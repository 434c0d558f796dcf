"""Which head aligns best."""

import numpy as np
import pytest

from seq2seq.evaluation.alignment import (
    AlignedPair,
    alignment_error_rate,
    relative,
    strongest_links,
)
from seq2seq.evaluation.heads import head_map, score_heads

GOLD = [
    AlignedPair(("a", "b"), ("x", "y"), frozenset({(0, 0), (1, 1)}), frozenset({(0, 0), (1, 1)})),
    AlignedPair(("c",), ("z",), frozenset({(0, 0)}), frozenset({(0, 0)})),
]
STRAIGHT, CROSSED = [[0.8, 0.1], [0.1, 0.8]], [[0.2, 0.7], [0.7, 0.2]]


def maps() -> list[np.ndarray]:
    """Two layers of two heads: only layer 1, head 0 is right."""
    first = np.array([[CROSSED, CROSSED], [STRAIGHT, CROSSED]]).transpose(2, 0, 1, 3)
    return [first, np.full((1, 2, 2, 1), 0.5)]


def test_every_layer_head_and_mean_is_measured() -> None:
    found = score_heads(maps(), GOLD, reading="input")
    assert len(found) == 9
    assert {one.reading for one in found} == {"input"}
    by_place = {(one.layer, one.head): one for one in found}
    assert by_place[1, 0].error_rate == by_place[1, 0].relative_error_rate == 0
    wrong = by_place[0, 0].relative_error_rate, by_place[0, None].error_rate
    assert wrong == pytest.approx((2 / 3, 2 / 3), abs=1e-4)
    for (layer, head), one in by_place.items():
        chosen = [head_map(weights, layer=layer, head=head) for weights in maps()]
        for rate, read in (
            (one.error_rate, chosen),
            (one.relative_error_rate, map(relative, chosen)),
        ):
            links = [strongest_links(weights) for weights in read]
            assert rate == pytest.approx(alignment_error_rate(links, GOLD), abs=1e-4)


def test_entropy_of_known_rows() -> None:
    even = [np.full((3, 1, 1, 4), 0.1)]  # what lies on specials is left out
    pair = AlignedPair(tuple("abcd"), tuple("xyz"), frozenset(), frozenset())
    assert score_heads(even, [pair], reading="producing")[0].entropy == pytest.approx(
        np.log(4), abs=1e-4
    )
    sharp = np.zeros((3, 1, 1, 4))
    sharp[..., 2] = 0.9
    assert score_heads([sharp], [pair], reading="producing")[0].entropy == 0
