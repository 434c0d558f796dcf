"""A chart's equivalent for people who cannot see it: a plain table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Table", "percent"]


@dataclass(frozen=True)
class Table:
    """Text in rows and columns; the page shows it as text, so nothing is escaped here.

    Attributes:
        caption: what the table shows.
        columns: headings.
        rows: one tuple of cells per row, as long as ``columns``; the first cell heads the row.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types for the page."""
        return {
            "caption": self.caption,
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
        }


def percent(probability: float) -> str:
    """A probability for people: ``"83 %"``, with a decimal below 10 %, ``"< 0.1 %"`` at the end."""
    value = 100 * probability
    if value >= 9.95:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value >= 0.05 or value == 0 else "< 0.1 %"
