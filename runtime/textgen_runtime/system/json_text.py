"""Strict JSON.

JSON has no NaN and no infinity. Python's ``json`` module writes them by default, and strict parsers then
reject the document. All JSON of this project is read and written here.
"""

import json
import math
from collections.abc import Mapping
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
        ValueError: If the value has a NaN or an infinity, or contains itself.
    """
    try:
        return json.dumps(
            value,
            indent=indent,
            ensure_ascii=ascii_only,
            separators=(",", ":") if compact else None,
            allow_nan=False,
        )
    except ValueError as error:
        raise ValueError(
            f"cannot write the value as JSON (which has no NaN and no infinity): {error}"
        ) from None


def below(place: str, name: object) -> str:
    """Return the place of a part, with its name escaped as in a JSON pointer (RFC 6901)."""
    return f"{place}/{str(name).replace('~', '~0').replace('/', '~1')}"


def place_of_non_finite(value: object) -> str | None:
    """Return the place of the first NaN or infinity in a value, such as ``#/a/0``, or None if it has none."""
    pending, seen = [("#", value)], set[int]()
    while pending:
        place, part = pending.pop()
        if isinstance(part, float) and not math.isfinite(part):
            return place
        # A value may contain itself.
        if not isinstance(part, Mapping | list | tuple) or id(part) in seen:
            continue
        seen.add(id(part))
        inside = [*part.items()] if isinstance(part, Mapping) else [*enumerate(part)]
        # A name that is a number is converted to a text.
        both = [(below(place, name), each) for name, value in inside for each in (name, value)]
        pending += reversed(both)
    return None


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
