"""Sections of figures, and the tables they are printed as."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ._spread import Ratio, Spread

MICROSECONDS = 1e6


@dataclass(frozen=True)
class Section:
    """One section of the report.

    Attributes:
        title: What was measured.
        columns: Names of the columns after the first, which names the contestant.
        rows: A contestant and its figures as texts.
        figures: The same as numbers, for ``--json``.
        ratios: Figures as multiples of others, by name, which reports can be compared by.
        spreads: Of the figures that were measured in rounds, by name.
        notes: What a reader must know of them, such as what was left out, a line each.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    figures: dict[str, Any] = field(default_factory=dict)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        table = [("", *self.columns), *((name, *cells) for name, cells in self.rows)]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = [
            f"  {row[0]:<{widths[0]}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            for row in table
        ]
        lines += [f"  ({note})" for note in self.notes]
        return "\n".join((self.title, *(line.rstrip() for line in lines)))

    def as_json(self) -> dict[str, Any]:
        """What ``--json`` has of it."""
        return {
            "figures": self.figures,
            "ratios": {name: ratio.as_json() for name, ratio in self.ratios.items()},
            "notes": list(self.notes),
        }


def microseconds(seconds: float) -> str:
    """A time a person can read."""
    return f"{seconds * MICROSECONDS:,.2f} us"


def per_second(seconds: float) -> str:
    """How many a second, from the seconds for one."""
    return f"{1 / seconds:,.0f}/s"


def times(ratio: float) -> str:
    """A ratio."""
    return f"{ratio:,.2f} x" if ratio < 100 else f"{ratio:,.0f} x"  # noqa: PLR2004
