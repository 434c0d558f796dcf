from typing import Any

import pytest

from seq2seq.ui.settings import SETTINGS, Setting, SettingError


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [("beam", 1, 1), ("beam", 20, 20), ("beam", 5.0, 5), ("length_penalty", 0, 0.0),
     ("length_penalty", 1.25, 1.25), ("seed", 2**31, 2**31)],
)  # fmt: skip
def test_numbers_within_the_limits_are_read(name: str, value: Any, read: float) -> None:
    found = SETTINGS[name].read(value)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    "value",
    [None, "5", True, [], {}, 0, 21, -1, 1.5, 10**400, 1e308, float("nan"), float("inf")],
)
def test_other_values_get_a_sentence_with_the_limits(value: Any) -> None:
    with pytest.raises(SettingError) as caught:
        SETTINGS["beam"].read(value)
    assert str(caught.value) == "Beam has to be a whole number from 1 to 20."


def test_fractions_may_be_meant() -> None:
    setting = Setting("Share", 0.1, 1, 0.05)
    assert setting.read(1) == 1.0
    with pytest.raises(SettingError, match=r"^Share has to be a number from 0.1 to 1\.$"):
        setting.read(0)
