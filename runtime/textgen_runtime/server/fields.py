"""The fields of the JSON object in the body of a request."""

import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from textgen_runtime.errors import quote
from textgen_runtime.system.json_text import from_json

from .requests import RequestError

# What a field must be, and what a value is.
WANTED = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
GIVEN = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
TEXTS = "a string or a list of strings"

# Lets the server ignore unknown fields.
IGNORE_OPTION = "--ignore-unknown-fields"

# Names of ignored fields that are logged, so that a client cannot fill the log.
MAX_IGNORED = 100

logger = logging.getLogger(__name__)


class IgnoredFields:
    """Logs the names of fields that the server ignores, each name once."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def log(self, names: Iterable[str]) -> None:
        """Log the names that were not logged yet, in one line.

        A request can have tens of thousands of names. None is read once ``MAX_IGNORED`` names are logged.
        Until then, the first ``MAX_IGNORED`` names are enough: if all were logged, no more would be.
        """
        free = MAX_IGNORED - len(self._logged)
        if not free:
            return
        quoted = dict.fromkeys(map(quote, islice(names, MAX_IGNORED)))
        new = [name for name in quoted if name not in self._logged][:free]
        if new:
            self._logged.update(new)
            end = "; no further names are logged" if len(self._logged) == MAX_IGNORED else ""
            logger.warning("ignores unknown fields of requests: %s%s", ", ".join(new), end)


class Fields:
    """Takes fields out of a JSON object, and checks their types. A field that is null counts as missing.

    Args:
        values: The object.
        within: The name of the object in messages, if it is a field itself.
        ignored: Gets the names of the fields that were not taken. By default they are refused.
    """

    def __init__(
        self, values: Mapping[str, Any], within: str = "", ignored: IgnoredFields | None = None
    ) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}
        self._unknown = dict.fromkeys(self._values)
        self._within = f"{within}." if within else ""
        self._ignored = ignored

    @classmethod
    def parse(cls, body: bytes, ignored: IgnoredFields | None = None) -> "Fields":
        """Return the fields of the JSON object in the body of a request.

        Raises:
            RequestError: If the body is not a JSON object.
        """
        try:
            value = from_json(body)
        except (ValueError, RecursionError) as error:
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
            raise RequestError(400, f"the body is not JSON: {reason}", code="invalid_json") from None
        if not isinstance(value, dict):
            message = f"the body must be a JSON object, not {_kind(value)}"
            raise RequestError(400, message, code="invalid_json")
        return cls(value, ignored=ignored)

    def take(self, name: str, *kinds: type, what: str | None = None) -> Any:
        """Return a field, or None if it is missing.

        Args:
            name: The name of the field.
            kinds: The types that it may have. A bool is not an int, and an int is a float.
            what: These types, for the message; needed for several types.

        Raises:
            RequestError: If the field has another type.
        """
        self._unknown.pop(name, None)
        value = self._values.get(name)
        if value is None:
            return None
        matches = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
        if not matches or (isinstance(value, bool) and bool not in kinds):
            raise self.error(name, f"must be {what or WANTED[kinds[0]]}, not {_kind(value)}")
        return value

    def nested(self, name: str) -> "Fields | None":
        """Return the fields of an object, or None if it is missing."""
        value = self.take(name, dict)
        return None if value is None else Fields(value, self._within + name, self._ignored)

    def refuse(self, name: str, reason: str, *harmless: object) -> None:
        """Refuse a field that the response would have to follow, also where unknown fields are ignored.

        Args:
            name: The name of the field.
            reason: Why it is refused.
            harmless: Values that ask for what the server does anyway.

        Raises:
            RequestError: If the field has another value.
        """
        value = self.take(name, object, bool)
        if value is not None and value not in harmless:
            raise self.error(name, reason)

    def integer(self, name: str, minimum: int, maximum: int, limits: str | None = None) -> int | None:
        """Return an integer from ``minimum`` to ``maximum``, or None if it is missing."""
        value: int | None = self.take(name, int)
        if value is not None and not minimum <= value <= maximum:
            limits = limits or f"from {minimum} to {maximum}"
            raise self.error(name, f"must be {limits}, not {quote(value)}")
        return value

    def texts(self, name: str, maximum: int, minimum: int = 1) -> list[str]:
        """Return a string or a list of this many strings as a list; empty if it is missing."""
        value = self.take(name, str, list, what=TEXTS)
        if isinstance(value, str):
            return [value]
        if value is not None and not minimum <= len(value) <= maximum:
            raise self.error(name, f"must have from {minimum} to {maximum} strings, not {len(value)}")
        for item in value or []:
            if not isinstance(item, str):
                raise self.error(name, f"must be {TEXTS}, but has {_kind(item)}")
        return value or []

    def finish(self) -> None:
        """Refuse or log the fields that were not taken.

        Raises:
            RequestError: If there is one, and unknown fields are not ignored.
        """
        names = (self._within + name for name in self._unknown)
        if self._ignored:
            self._ignored.log(names)
        elif self._unknown:
            name = next(names)
            message = f"unknown field {quote(name)}: remove it, or start the server with {IGNORE_OPTION}"
            raise RequestError(400, message, param=name, code="unknown_field")

    def error(self, name: str, reason: str) -> RequestError:
        """Return the error for a field whose value is wrong for this reason."""
        return RequestError(400, f"{self._within}{name} {reason}", param=self._within + name)


def _kind(value: object) -> str:
    """Return the name of a JSON type."""
    return GIVEN.get(type(value), "a number")
