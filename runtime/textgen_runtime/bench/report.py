"""The report: sections, the tables that show them, and the JSON that ``--json`` writes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textgen_runtime.errors import TextgenError, shorten
from textgen_runtime.generation.model import Model
from textgen_runtime.system.json_text import from_json, to_json
from textgen_runtime.text.token_names import describe_vocabulary, unit_of
from textgen_runtime.text.tokenizer import CHARACTER

from .machine import describe_machine, load_average
from .rounds import Spread, deadline_notes, spreads

MICROSECONDS = 1e6

# The first key of a report; its value is the format version. Increase the version if a key changes its
# meaning.
FORMAT_KEY, FORMAT = "textgen-bench", 1
HEADER = f'{{\n "{FORMAT_KEY}": '.encode()


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
    ratios: dict[str, Spread] = field(default_factory=dict)
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
            "ratios": {name: ratio.as_json("value") for name, ratio in self.ratios.items()},
            "notes": list(self.notes),
        }


def timed(requested: Iterable[str], seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return the arguments of ``Section`` that describe the rounds of candidates.

    Args:
        requested: The names of all candidates.
        seconds: The result of ``interleave``.
    """
    measured = spreads(seconds)
    figures = {"seconds": {name: spread.as_json() for name, spread in measured.items()}}
    return {"figures": figures, "spreads": measured, "notes": deadline_notes(requested, seconds)}


def microseconds(seconds: float) -> str:
    """Format a duration in microseconds, such as "4.02 us"."""
    return f"{seconds * MICROSECONDS:,.2f} us"


def per_second(seconds: float) -> str:
    """Format the rate that corresponds to a time per item, such as "248,788" for 4.02 us."""
    return f"{1 / seconds:,.0f}"


def times(ratio: float) -> str:
    """Format a ratio, such as "7.73 x"."""
    return f"{ratio:,.2f} x" if ratio < 100 else f"{ratio:,.0f} x"  # noqa: PLR2004


class ReportError(TextgenError):
    """A file is not a report of ``textgen-bench``, or cannot be compared with the present report."""


def new_report(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report without models, which describes the date, the machine and its load.

    Args:
        options: The options that affect the figures.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "options": dict(options),
        "load_average": {"start": load_average(), "end": None},
        "warnings": [],
        "models": [],
    }


def describe_model(name: str, model: Model) -> dict[str, Any]:
    """Return the name, the hash and the size of a model.

    Args:
        name: The model as named on the command line.
        model: The loaded model.
    """
    layers, units = model.engine.network.depth_and_units
    quantization = model.metadata.quantization
    return {
        "file": name,
        "sha256": model.sha256,
        "layers": layers,
        "units": units,
        "bits": 32 if quantization is None else quantization.bits,
        "vocabulary": len(model.tokenizer),
        "special_tokens": len(model.tokenizer.special.by_name),
        "unit": unit_of(model.tokenizer),
    }


def format_vocabulary(model: Mapping[str, Any]) -> str:
    """Return the size of the vocabulary of a model of a report. Older reports lack some keys."""
    return describe_vocabulary(
        model["vocabulary"], model.get("unit", CHARACTER), model.get("special_tokens", 0)
    )


def write_report(content: Mapping[str, Any]) -> str:
    """Return a report as JSON text, with the format key first."""
    return to_json({FORMAT_KEY: FORMAT, **content}, indent=1) + "\n"


def is_report(path: Path) -> bool:
    """Return whether a file begins like a report; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(HEADER)) == HEADER
    except OSError:
        return False


def read_report(path: Path) -> dict[str, Any]:
    """Read a report from a file.

    Raises:
        ReportError: If the file cannot be read, is not a report, or has another format version.
    """
    try:
        document = from_json(path.read_bytes())
    except OSError as error:
        raise ReportError(f"cannot read the report {shorten(str(path))}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ReportError(f"{path} is not a report of textgen-bench --json: it is not valid JSON") from None
    version = document.get(FORMAT_KEY) if isinstance(document, dict) else None
    if version is None:
        raise ReportError(
            f"{path} is not a report of textgen-bench --json: the key {FORMAT_KEY!r} is missing"
        )
    if version != FORMAT:
        raise ReportError(
            f"the report {path} has format {str(version)[:20]}, but this version supports only format "
            f"{FORMAT}: create the report again with this version"
        )
    return dict(document)
