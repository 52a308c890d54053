"""Strict JSON.

JSON has no NaN and no infinity. Python's ``json`` module writes them by default, and strict parsers then
reject the document. All JSON of this project is read and written here.
"""

import json
import math
from typing import Any

from textgen_runtime.errors import quote


class UnwritableError(ValueError):
    """A value that JSON cannot write.

    Attributes:
        place: Where the first such part is, such as ``#/a/0``.
        reason: What is wrong with it.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"cannot write the value as JSON, at {place}: {reason}")
        self.place = place
        self.reason = reason


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
        UnwritableError: If a part of the value is a NaN, an infinity or of another type, or contains itself.
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
        raise UnwritableError(*(_unwritable_part(value) or ("#", str(error)))) from None


def below(place: str, name: object) -> str:
    """Return the place of a part, with its name escaped as in a JSON pointer (RFC 6901)."""
    return f"{place}/{str(name).replace('~', '~0').replace('/', '~1')}"


def _unwritable_part(value: object, place: str = "#", outer: tuple[int, ...] = ()) -> tuple[str, str] | None:
    """Return the place of the first part of a value that JSON cannot write, and what is wrong with it."""
    if reason := _why_unwritable(value):
        return place, reason
    if not isinstance(value, dict | list | tuple):
        return None
    if id(value) in outer:
        return place, "the value contains itself; use a value that does not"
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(name, tuple) or _why_unwritable(name):
            return place, f"the name {quote(name)} is not a text; use a text"
        if found := _unwritable_part(part, below(place, name), (*outer, id(value))):
            return found
    return None


def _why_unwritable(value: object) -> str | None:
    """Return what is wrong with a value, apart from its parts."""
    if isinstance(value, float):
        return None if math.isfinite(value) else "JSON has no NaN and no infinity; use a finite number"
    if isinstance(value, int):
        try:
            int.__repr__(value)
        except ValueError:
            return "the number has too many digits; use a smaller one"
        return None
    if value is None or isinstance(value, str | dict | list | tuple):
        return None
    return (
        f"the type {type(value).__name__} is not one of JSON; use a dict, list, text, number, boolean or None"
    )


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
