"""Strict JSON.

JSON has no NaN and no infinity. Python's ``json`` module writes them by default, and strict parsers then
reject the document. All JSON of this project is read and written here.
"""

import json
import math
from typing import Any


def to_json(
    value: object, *, indent: int | None = None, ascii_only: bool = True, compact: bool = False
) -> str:
    """Return a value as JSON text.

    Args:
        value: Composed of dicts, lists, strings, numbers, booleans and None.
        indent: Spaces per level, or None to write one line.
        ascii_only: Whether to escape characters outside ASCII.
        compact: Whether to omit spaces after separators.

    Raises:
        ValueError: If a part of the value is a NaN, an infinity or of another type, or contains itself.
        RecursionError: If the value is nested too deeply.
    """
    try:
        return json.dumps(
            value,
            indent=indent,
            ensure_ascii=ascii_only,
            separators=(",", ":") if compact else None,
            allow_nan=False,
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from None


def below(place: str, name: object) -> str:
    """Return the place of a part, with its name escaped as in a JSON pointer (RFC 6901)."""
    return f"{place}/{str(name).replace('~', '~0').replace('/', '~1')}"


def from_json(text: str | bytes) -> Any:
    """Parse JSON text.

    Raises:
        ValueError: If the text is not JSON, has a NaN or an infinity, or a number too large for a float64.
        RecursionError: If the text is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is too large")
    return value
