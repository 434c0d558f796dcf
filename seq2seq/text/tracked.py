"""A string that remembers where each of its characters came from while it is rewritten."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

__all__ = ["Rule", "Tracked"]

_REFERENCE = re.compile(r"\\g<(\d+)>|\\(\d)")


@dataclass(frozen=True)
class Rule:
    r"""A regular expression and its replacement, applied to plain or to tracked text.

    Attributes:
        pattern: what to look for.
        template: literal text and group references, ``\1`` or ``\g<1>``, in the order in which
            the groups stand in the text.
    """

    pattern: re.Pattern[str]
    template: str
    _parts: tuple[str | int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts: list[str | int] = []
        position = 0
        for match in _REFERENCE.finditer(self.template):
            parts.append(self.template[position : match.start()])
            parts.append(int(match.group(1) or match.group(2)))
            position = match.end()
        parts.append(self.template[position:])
        object.__setattr__(self, "_parts", tuple(part for part in parts if part != ""))

    @classmethod
    def of(cls, pattern: str, template: str) -> Self:
        """Compile ``pattern``."""
        return cls(re.compile(pattern), template)

    def plain(self, text: str) -> str:
        """Apply to an ordinary string."""
        if self.pattern.search(text) is None:  # as a rule; Python reads the template otherwise
            return text
        return self.pattern.sub(self.template, text)

    def tracked(self, text: Tracked) -> Tracked:
        """Apply to tracked text; ``.text`` of the result equals :meth:`plain`.

        A character copied through a group keeps its origin; a literal one gets the stretch of
        the match that lies between its neighbouring groups, without spaces at its ends unless
        it is a space itself.
        """
        matches = list(self.pattern.finditer(text.text))
        if not matches:
            return text
        out = _Builder(text)
        position = 0
        for match in matches:
            out.copy(position, match.start())
            self._replace(match, out)
            position = match.end()
        out.copy(position, len(text.text))
        return out.build()

    def _replace(self, match: re.Match[str], out: _Builder) -> None:
        position = match.start()
        for index, part in enumerate(self._parts):
            if isinstance(part, int):
                start, end = match.span(part)
                if start >= 0:
                    out.copy(start, end)
                    position = end
                continue
            following = (p for p in self._parts[index + 1 :] if isinstance(p, int))
            group = next(following, None)
            limit = match.end() if group is None or match.start(group) < 0 else match.start(group)
            out.literal(part, position, max(position, limit))


@dataclass(frozen=True, eq=False)
class Tracked:
    """Rewritten text; character i stands for ``original[starts[i]:ends[i]]``."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, text: str) -> Self:
        """Untouched text: every character stands for itself."""
        return cls(text, range(len(text)), range(1, len(text) + 1))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the original behind ``text[start:end]``."""
        if start < end:
            return self.starts[start], self.ends[end - 1]
        if start < len(self.starts):
            return self.starts[start], self.starts[start]
        last = self.ends[-1] if self.ends else 0
        return last, last

    def rewrite(self, pieces: list[tuple[int, int, str]]) -> Tracked:
        """Replace ``text[start:end]`` by a literal, for each (start, end, literal) in order."""
        out = _Builder(self)
        position = 0
        for start, end, literal in pieces:
            out.copy(position, start)
            out.literal(literal, start, end)
            position = end
        out.copy(position, len(self.text))
        return out.build()


class _Builder:
    """Collects the characters of the next :class:`Tracked`."""

    def __init__(self, source: Tracked) -> None:
        self._source = source
        self._text: list[str] = []
        self._starts: list[int] = []
        self._ends: list[int] = []

    def copy(self, start: int, end: int) -> None:
        self._text.append(self._source.text[start:end])
        self._starts.extend(self._source.starts[start:end])
        self._ends.extend(self._source.ends[start:end])

    def literal(self, text: str, start: int, end: int) -> None:
        whole = self._source.span(start, end)
        replaced = self._source.text[start:end]
        left = len(replaced) - len(replaced.lstrip(" "))
        right = len(replaced) - len(replaced.rstrip(" "))
        inner = self._source.span(start + left, end - right) if left < len(replaced) else whole
        self._text.append(text)
        for character in text:
            first, last = whole if character == " " else inner
            self._starts.append(first)
            self._ends.append(last)

    def build(self) -> Tracked:
        return Tracked("".join(self._text), tuple(self._starts), tuple(self._ends))
