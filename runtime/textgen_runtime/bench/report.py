"""Sections of a report, and the tables that show them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ._spread import Ratio, Spread

MICROSECONDS = 1e6


@dataclass(frozen=True)
class Section:
    """One section of the report. ``str`` formats it as a table.

    Attributes:
        title: Heading of the table.
        columns: Headings of all columns after the first. The first has the names of the rows.
        rows: Name and formatted cells of each row.
        figures: The same figures as numbers, for ``--json``.
        ratios: By name, the ratios of figures that ``--compare`` compares.
        spreads: By name, the spread of each figure that was measured in rounds.
        notes: Limitations of this measurement, such as omitted rows. Printed and written to the report.
        legend: Definitions of columns and rows. Only printed.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    figures: dict[str, Any] = field(default_factory=dict)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    notes: Sequence[str] = ()
    legend: Sequence[str] = ()

    def __str__(self) -> str:
        table = [("", *self.columns), *((name, *cells) for name, cells in self.rows)]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = [
            f"  {row[0]:<{widths[0]}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            for row in table
        ]
        lines += [f"  ({note})" for note in (*self.legend, *self.notes)]
        return "\n".join((self.title, *(line.rstrip() for line in lines)))

    def as_json(self) -> dict[str, Any]:
        """Return the section as it is stored in the report."""
        return {
            "figures": self.figures,
            "ratios": {name: ratio.as_json() for name, ratio in self.ratios.items()},
            "notes": list(self.notes),
        }


def microseconds(seconds: float) -> str:
    """Format a duration in microseconds, such as "4.02 us"."""
    return f"{seconds * MICROSECONDS:,.2f} us"


def per_second(seconds: float) -> str:
    """Format the rate that corresponds to a time per item, such as "248,788" for 4.02 us."""
    return f"{1 / seconds:,.0f}"


def times(ratio: float) -> str:
    """Format a ratio, such as "7.73 x"."""
    return f"{ratio:,.2f} x" if ratio < 100 else f"{ratio:,.0f} x"  # noqa: PLR2004
