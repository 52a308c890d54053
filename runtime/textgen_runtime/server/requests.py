"""What all requests have in common: the limits of the server, errors, and the fields of a JSON object."""

from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass
from http import HTTPStatus
from typing import Any

from textgen_runtime.errors import Name, SamplingError, TextgenError, quote
from textgen_runtime.system.json_text import from_json

# When a client should try again, in seconds.
RETRY = {"Retry-After": "1"}

# What a field must be, and what a value is.
WANTED = {str: "a string", int: "an integer", float: "a number", bool: "true or false", dict: "an object"}
GIVEN = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
TEXTS = "a string or a list of strings"


@dataclass(frozen=True)
class Settings:
    """The identity and the limits of a server, which the options of ``textgen-serve`` set.

    Attributes:
        model_name: The name of the model in requests and responses.
        keys: The API keys, one of which a request must have. Empty if no key is required.
        origins: The origins of web pages that may send requests; ``"*"`` allows all.
        max_length: Maximum number of tokens per text.
        max_users: Maximum number of texts that are generated at the same time.
        max_queue: Maximum number of texts that wait.
        max_body: Maximum size of a request's body, in bytes.
        client_timeout: Seconds that a client may take to send a request or to read a part of a response.
        grace: Seconds that running requests may take after the server was told to stop.
    """

    model_name: str
    keys: Collection[str] = ()
    origins: Collection[str] = ()
    max_length: int = 100_000
    max_users: int = 256
    max_queue: int = 512
    max_body: int = 2**18
    client_timeout: float = 30.0
    grace: float = 30.0

    @property
    def max_texts(self) -> int:
        """Maximum number of texts that are generated or wait."""
        return self.max_users + self.max_queue


class ClientGoneError(Exception):
    """The client has closed the connection, so that nothing can be sent."""


@dataclass(eq=False)
class RequestError(TextgenError):
    """A request that is answered with an error.

    Attributes:
        status: The HTTP status.
        message: One line that says what is wrong and what to do.
        param: The field of the request that is wrong, or None.
        code: A name of the error for programs, or None.
        headers: Further headers of the response, or None.
    """

    status: int
    message: str
    _: KW_ONLY
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        super().__init__(self.message)

    def as_json(self) -> dict[str, Any]:
        """Return the body of the response, in the shape of OpenAI's API."""
        kind = "server_error" if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            kind = "rate_limit_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def busy_error(reason: str) -> RequestError:
    """Return the error for a request that the server cannot accept now.

    Args:
        reason: What there is too much of.
    """
    message = f"the server is busy: {reason}: send the request again later"
    return RequestError(HTTPStatus.TOO_MANY_REQUESTS, message, code="queue_full", headers=RETRY)


def sampling_error(error: SamplingError) -> RequestError:
    """Return the response to sampling parameters that are refused, with the field that is wrong."""
    return RequestError(400, error.spelled(spell_field), param=error.parameter)


def spell_field(name: Name) -> str:
    """Return a parameter as a field of a request."""
    if name == "lowercase":
        # No field: the client converts the prompt.
        return "a prompt in lower case"
    if name == "novel":
        return "--novel of textgen-serve"
    return name if name.value is None else f'"{name}": "{name.value}"'


def check_model(name: str | None, settings: Settings) -> None:
    """Check that a request is for the model of this server.

    Raises:
        RequestError: If it is for another model.
    """
    if name not in (None, settings.model_name):
        raise RequestError(
            404,
            f"there is no model {quote(name)}: this server has {quote(settings.model_name)}",
            param="model",
            code="model_not_found",
        )


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

    @classmethod
    def parse(cls, body: bytes) -> "Fields":
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
        return cls(value)

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
        """Refuse the fields that were not taken.

        Raises:
            RequestError: If there is one.
        """
        for name in self._unknown:
            field = self._within + name
            message = f"unknown field {quote(field)}: remove it"
            raise RequestError(400, message, param=field, code="unknown_field")

    def error(self, name: str, reason: str) -> RequestError:
        """Return the error for a field whose value is wrong for this reason."""
        return RequestError(400, f"{self._within}{name} {reason}", param=self._within + name)


def _kind(value: object) -> str:
    """Return the name of a JSON type."""
    return GIVEN.get(type(value), "a number")
