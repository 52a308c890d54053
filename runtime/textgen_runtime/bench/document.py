"""The JSON report, which ``--json`` writes and ``--compare`` reads."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textgen_runtime.errors import TextgenError, shorten
from textgen_runtime.generation.model import Model
from textgen_runtime.system.json_text import from_json, to_json
from textgen_runtime.text.levels import CHARACTER, describe_vocabulary, unit_of

from .busy import load_average
from .machine import describe_machine
from .report import Section

# The first key of a report; its value is the format version. Increase the version if a key changes its
# meaning.
FORMAT_KEY, FORMAT = "textgen-bench", 1
HEADER = f'{{\n "{FORMAT_KEY}": '.encode()


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


def sections_as_json(sections: Mapping[str, Section]) -> dict[str, Any]:
    """Return the sections of one model as they are stored in the report."""
    return {name: section.as_json() for name, section in sections.items()}


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
