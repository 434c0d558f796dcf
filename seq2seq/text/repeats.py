"""Words that come again and again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Repeat", "find_repeat", "plain_words"]

_MOST_WORDS = 4
_TIMES = 3


@dataclass(frozen=True)
class Repeat:
    """A stretch of words that stands several times in a row.

    Attributes:
        start: index of its first word.
        size: words of the stretch.
        times: how often it stands there.
    """

    start: int
    size: int
    times: int


def plain_words(text: str) -> list[str]:
    """Words in lower case without punctuation; every Chinese character is one."""
    return re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+", text.casefold())


def find_repeat(words: Sequence[str]) -> Repeat | None:
    """The first stretch of one to four words that stands three times in a row or more."""
    for size in range(1, _MOST_WORDS + 1):
        run = 0  # words in a row that equal the one `size` before
        for index in range(size, len(words) + 1):
            if index < len(words) and words[index] == words[index - size]:
                run += 1
                continue
            if run >= size * (_TIMES - 1):
                return Repeat(start=index - run - size, size=size, times=run // size + 1)
            run = 0
    return None
