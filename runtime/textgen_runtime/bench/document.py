"""A report as a document, which ``--json`` writes and ``--compare`` reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textgen_runtime.errors import TextgenError, shorten
from textgen_runtime.generation.model import Model
from textgen_runtime.system.json_text import from_json, to_json

from .report import Section

# The first key of a report, and the number of its format. A change of what a key means changes the number.
FORMAT_KEY, FORMAT = "textgen-bench", 1
OPENING = f'{{\n "{FORMAT_KEY}": '.encode()


class ReportError(TextgenError):
    """A file that is no report of ``textgen-bench``, or none that can be compared with this one."""


def describe_model(name: str, model: Model) -> dict[str, Any]:
    """What identifies a model, and its size.

    Args:
        name: The file, as it was named.
        model: The same, loaded.
    """
    layers, units = model.engine.network.recurrent
    return {
        "file": name,
        "sha256": model.sha256,
        "layers": layers,
        "units": units,
        "vocabulary": len(model.tokenizer),
    }


def sections_as_json(sections: Mapping[str, Section]) -> dict[str, Any]:
    """The sections of one model."""
    return {name: section.as_json() for name, section in sections.items()}


def write_report(content: Mapping[str, Any]) -> str:
    """The document as text, from all of its keys but the first."""
    return to_json({FORMAT_KEY: FORMAT, **content}, indent=1) + "\n"


def is_report(path: Path) -> bool:
    """Whether a file begins as a report does; False too if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(OPENING)) == OPENING
    except OSError:
        return False


def read_report(path: Path) -> dict[str, Any]:
    """Read a report that an earlier run wrote.

    Raises:
        ReportError: If it cannot be read, is no report, or is of another format.
    """
    try:
        document = from_json(path.read_bytes())
    except OSError as error:
        raise ReportError(f"cannot read the report {shorten(str(path))}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ReportError(f"{path} is no report of textgen-bench --json: it is not JSON") from None
    found = document.get(FORMAT_KEY) if isinstance(document, dict) else None
    if found is None:
        raise ReportError(f"{path} is no report of textgen-bench --json: it has no {FORMAT_KEY!r}")
    if found != FORMAT:
        raise ReportError(
            f"{path} is of format {str(found)[:20]}, and this version compares format {FORMAT}: measure again"
        )
    return dict(document)
