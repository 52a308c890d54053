"""Tables of figures, and the machine that they belong to."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from textgen_runtime._core import kernel_names
from textgen_runtime._version import __version__
from textgen_runtime.processors import available_processors

MICROSECONDS = 1e6


@dataclass(frozen=True)
class Section:
    """A table. ``str`` formats it.

    Attributes:
        title: Heading of the table.
        columns: Headings of all columns after the first. The first has the names of the rows.
        rows: Name and formatted cells of each row.
        legend: Definitions of columns and rows.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    legend: Sequence[str] = ()

    def __str__(self) -> str:
        table = [("", *self.columns), *((name, *cells) for name, cells in self.rows)]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = [
            f"  {row[0]:<{widths[0]}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            for row in table
        ]
        lines += [f"  ({note})" for note in self.legend]
        return "\n".join((self.title, *(line.rstrip() for line in lines)))


def microseconds(seconds: float) -> str:
    """Format a duration in microseconds, such as "4.02 us"."""
    return f"{seconds * MICROSECONDS:,.2f} us"


def per_second(seconds: float) -> str:
    """Format the rate that corresponds to a time per item, such as "248,788" for 4.02 us."""
    return f"{1 / seconds:,.0f}"


def times(ratio: float) -> str:
    """Format a ratio, such as "7.73 x"."""
    return f"{ratio:,.2f} x" if ratio < 100 else f"{ratio:,.0f} x"  # noqa: PLR2004


def describe_machine() -> dict[str, Any]:
    """Return the processor, the number of usable cores, the available kernels and the versions."""
    return {
        "processor": _processor(),
        "cores": available_processors(),
        "kernels": kernel_names(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **_versions("numpy", "onnxruntime"),
        "textgen-onnx": __version__,
    }


def format_machine() -> str:
    """Return the description of the machine in one line."""
    values = {key: " ".join(v) if isinstance(v, list) else v for key, v in describe_machine().items()}
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _versions(*packages: str) -> dict[str, str]:
    """Return the versions of the packages that are installed."""
    return {name: version(name) for name in packages if find_spec(name) is not None}


def _processor() -> str:
    """Return the processor's model name on Linux, and elsewhere what ``platform`` reports."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
