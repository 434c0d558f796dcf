"""The numbers that a person may set on the page, and the limits that hold for them."""

from __future__ import annotations

from dataclasses import dataclass

from seq2seq.ui import wording

__all__ = ["SETTINGS", "Setting", "SettingError"]


class SettingError(ValueError):
    """A value that a setting cannot have; the message is one sentence for who chose it."""


@dataclass(frozen=True)
class Setting:
    """One number.

    Attributes:
        label: its name on the page.
        low, high: least and greatest value.
        step: from one value to the next; 1 for whole numbers.
        info: what it does, in a few words.
    """

    label: str
    low: float
    high: float
    step: float = 1
    info: str | None = None

    @property
    def whole(self) -> bool:
        """Only whole numbers are meant."""
        return self.step == 1

    def read(self, value: object) -> float:
        """The value as the page or anybody else sent it, checked; whole numbers as int.

        Raises:
            SettingError: not a number, not a whole one where it has to be, or out of range.
        """
        if isinstance(value, int | float) and not isinstance(value, bool):
            fits = self.low <= value <= self.high  # never of "not a number"
            if fits and not self.whole:
                return float(value)
            if fits and value == int(value):
                return int(value)
        what = wording.WHOLE_NUMBER if self.whole else wording.NUMBER
        raise SettingError(what.format(label=self.label, low=self.low, high=self.high))


SETTINGS = {
    "beam": Setting("Beam", 1, 20, info="1 is greedy"),
    "length_penalty": Setting("Length penalty", 0, 2, 0.05, "0 prefers short translations"),
    "n_best": Setting(
        "Translations to list", 1, 20, info="a search finds at most as many as its beam is wide"
    ),
    "max_length": Setting("Longest output, in pieces", 0, 200, info="0: by source length"),
    "temperature": Setting("Temperature", 0.1, 2, 0.1),
    "top_k": Setting("Top k (0: all)", 0, 100),
    "top_p": Setting("Top p", 0.1, 1, 0.05),
    "seed": Setting("Seed", 0, 2**31),
}
"""By the name of the field in the form."""
