"""Checks of the values of a ``Sampling``. An error names the parameter."""

import math
from collections.abc import Iterable, Mapping
from operator import index
from typing import Any

from textgen_runtime.errors import SamplingError, quote, shorten


def check_number(value: Any, name: str, *, integer: bool = False) -> None:
    """Raise TypeError if a value is not a number, or not an integer if it must be one."""
    try:
        index(value) if integer else is_finite(value)
    except TypeError:
        kind = "an integer" if integer else "a number"
        raise TypeError(f"{name} must be {kind}, not {quote(value)}") from None


def checked_integer(value: Any, name: str, largest: int) -> int:
    """Return a whole number as an int.

    Raises:
        SamplingError: If it is not from 0 to ``largest``.
        TypeError: If it is not an integer.
    """
    check_number(value, name, integer=True)
    number = index(value)
    if not 0 <= number <= largest:
        raise SamplingError(f"{name} must be an integer from 0 to {largest}, not {quote(number)}")
    return number


def is_finite(value: float) -> bool:
    """Whether a number is finite as a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        # An int that is too large for a float.
        return False


def checked_biases(
    values: Mapping[str, float] | Iterable[tuple[str, float]], limit: float
) -> tuple[tuple[str, float], ...]:
    """Return the logit biases as sorted pairs of a character and a number.

    Raises:
        SamplingError: If a number is not from ``-limit`` to ``limit``.
        TypeError: If a character is not a text, or a number is not a number.
    """
    biases = dict(values)
    for symbol, bias in biases.items():
        checked_text(symbol, "a character of logit_bias")
        check_number(bias, f"the logit_bias of {quote(symbol)}")
        if not (is_finite(bias) and abs(bias) <= limit):
            raise SamplingError(
                f"the logit_bias of {quote(symbol)} must be from -{limit:.0f} to {limit:.0f}, not "
                f"{quote(bias)}: use banned to forbid a character"
            )
    return tuple(sorted((symbol, float(bias)) for symbol, bias in biases.items()))


def checked_texts(values: Iterable[str], name: str) -> tuple[str, ...]:
    """Return texts without duplicates, in the order of their first occurrence."""
    if not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a text or several texts, not {quote(values)}")
    return tuple(dict.fromkeys([checked_text(value, name) for value in values]))


def checked_choices(values: Iterable[str]) -> tuple[str, ...]:
    """Return the choices. A text is an error: its characters would be the choices."""
    if isinstance(values, str):
        raise TypeError(f"choices must be a list of texts, not the text {quote(values)}")
    return checked_texts(values, "choices")


def checked_text(value: object, name: str) -> str:
    """Return a value that must be a text."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, not {type(value).__name__}")
    return value


def schema_text(schema: str | Mapping[str, Any]) -> str:
    """Return a JSON schema as JSON text."""
    if not isinstance(schema, Mapping):
        return checked_text(schema, "json_schema")
    from textgen_runtime.system.json_text import UnwritableError, to_json

    try:
        return to_json(schema)
    except RecursionError:
        raise SamplingError("the JSON schema is nested too deeply") from None
    except UnwritableError as error:
        raise SamplingError(f"the JSON schema, at {shorten(error.place)}: {error.reason}") from None
