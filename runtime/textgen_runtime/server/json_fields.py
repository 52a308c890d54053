"""Typed fields of a JSON object."""

from collections.abc import Mapping
from typing import Any

from textgen_runtime.errors import quote
from textgen_runtime.system.json_text import from_json

from .errors import RequestError

# The types of fields, for messages.
NUMBER, INTEGER, STRING, FLAG = "a number", "an integer", "a string", "true or false"


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    Raises:
        RequestError: If the body is not a JSON object.
    """
    try:
        value = from_json(body)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise RequestError(400, f"the body is not JSON: {reason}", code="invalid_json") from None
    if not isinstance(value, dict):
        raise RequestError(400, f"the body must be a JSON object, not {_kind(value)}", code="invalid_json")
    return value


class Fields:
    """Takes fields out of a JSON object, and checks their types. A field that is null counts as missing.

    Args:
        values: The object.
        within: The name of the object in messages, if it is a field itself.
    """

    def __init__(self, values: Mapping[str, Any], within: str = "") -> None:
        self._values = {name: value for name, value in values.items() if value is not None}
        self._unknown = dict.fromkeys(values)
        self._within = f"{within}." if within else ""

    def take(self, name: str, *kinds: type, what: str) -> Any:
        """Return a field, or None if it is missing.

        Args:
            name: The name of the field.
            kinds: The types that it may have. A bool is not an int, and an int is a float.
            what: These types, for the message.

        Raises:
            RequestError: If the field has another type.
        """
        self._unknown.pop(name, None)
        value = self._values.get(name)
        if value is None:
            return None
        matches = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
        if not matches or (isinstance(value, bool) and bool not in kinds):
            raise self.error(name, f"must be {what}, not {_kind(value)}")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean, False if it is missing."""
        return bool(self.take(name, bool, what=FLAG))

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """Return an integer from ``minimum`` to ``maximum``."""
        value = self.take(name, int, what=INTEGER)
        if value is None:
            return default
        if not minimum <= value <= maximum:
            raise self.error(name, f"must be from {minimum} to {maximum}, not {quote(value)}")
        return int(value)

    def texts(self, name: str, maximum: int, minimum: int = 1) -> list[str]:
        """Return a string or a list of this many strings as a list; empty if it is missing."""
        value = self.take(name, str, list, what="a string or a list of strings")
        if isinstance(value, str):
            return [value]
        if value is not None and not minimum <= len(value) <= maximum:
            raise self.error(name, f"must have from {minimum} to {maximum} strings, not {len(value)}")
        for item in value or []:
            if not isinstance(item, str):
                raise self.error(name, f"must be a string or a list of strings, but has {_kind(item)}")
        return value or []

    def finish(self) -> None:
        """Refuse the fields that were not taken.

        Raises:
            RequestError: If there is one.
        """
        for name in self._unknown:
            raise RequestError(
                400,
                f"unknown field {quote(self._within + name)}: remove it",
                param=self._within + name,
                code="unknown_field",
            )

    def error(self, name: str, reason: str) -> RequestError:
        """Return the error for a field whose value is wrong for this reason."""
        return RequestError(400, f"{self._within}{name} {reason}", param=self._within + name)


def _kind(value: object) -> str:
    """Return the name of a JSON type."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
