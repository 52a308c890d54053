"""JSON as the standard has it, which Python's own functions do not keep to.

JSON has no NaN and no infinity. Python writes them all the same, and strict readers then refuse the whole
text. Everything in this project that is JSON is written and read here.
"""

import json
import math
from typing import Any


def to_json(
    value: object, *, indent: int | None = None, ascii_only: bool = True, compact: bool = False
) -> str:
    """JSON text.

    Args:
        value: Made of what JSON has.
        indent: Spaces of each level, or None for one line.
        ascii_only: Whether to escape all other characters.
        compact: Whether to leave out the spaces that only people need.

    Raises:
        ValueError: If a number in it is NaN or infinite, or if it contains itself.
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
            f"JSON cannot hold it: {error} (it has no NaN and no infinity: write null instead)"
        ) from None


def from_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: If it is not JSON, holds NaN or an infinity, or a number too large for a float64.
        RecursionError: If it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value
