"""What all requests have in common: the settings of the server, and errors."""

from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass
from http import HTTPStatus
from typing import Any

from textgen_runtime.errors import Name, SamplingError, TextgenError, quote

# When a client should try again, in seconds.
RETRY = {"Retry-After": "1"}


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
        ignore_unknown_fields: Whether a request may have fields that the server does not know.
        metrics: Whether the server has the path ``/metrics``, which needs the package prometheus_client.
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
    ignore_unknown_fields: bool = False
    metrics: bool = False

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
