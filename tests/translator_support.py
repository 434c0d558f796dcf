"""When two translations count as equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seq2seq import Translation

SENTENCE = "Le chat voit la maison."


def timeless(translation: Translation) -> dict[str, Any]:
    values = translation.to_dict()
    del values["timing"]
    return values


def alike(first: Translation, second: Translation) -> None:
    """Equal, but for time and the last digits of floating-point numbers."""
    assert first.target == second.target
    assert first.source == second.source
    assert first.score == pytest.approx(second.score, abs=1e-4)
    assert first.token_log_probabilities == pytest.approx(second.token_log_probabilities, abs=1e-4)
    assert (first.attention is None) == (second.attention is None)
    if first.attention is not None and second.attention is not None:
        assert np.allclose(first.attention.weights, second.attention.weights, atol=1e-4)
    assert [a.target for a in first.n_best] == [a.target for a in second.n_best]


def assert_close(first: Any, second: Any) -> None:
    """Equal JSON, but for the last digits of floating-point numbers."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert_close(value, second[key])
    elif isinstance(first, list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_close(one, other)
    elif isinstance(first, float):
        assert first == pytest.approx(second, abs=1e-4)
    else:
        assert first == second
