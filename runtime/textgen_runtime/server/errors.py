"""The errors of the server and of its requests."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from textgen_runtime.errors import TextgenError

# When a client should try again, in seconds.
RETRY = {"Retry-After": "1"}


class ServerError(TextgenError):
    """The server cannot start."""


class ClientGoneError(Exception):
    """The client has closed the connection, so that nothing can be sent."""


class RequestError(TextgenError):
    """A request that is answered with an error.

    Args:
        status: The HTTP status.
        message: One line that says what is wrong and what to do.
        param: The field of the request that is wrong, or None.
        code: A name of the error for programs, or None.
        headers: Further headers of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    @property
    def kind(self) -> str:
        """The kind of error, as OpenAI's API names it."""
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return "rate_limit_error"
        is_server = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return "server_error" if is_server else "invalid_request_error"

    def as_json(self) -> dict[str, Any]:
        """Return the body of the response, in the shape of OpenAI's API."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}


def busy_error(reason: str) -> RequestError:
    """Return the error for a request that the server cannot accept now.

    Args:
        reason: What there is too much of.
    """
    message = f"the server is busy: {reason}: send the request again later"
    return RequestError(HTTPStatus.TOO_MANY_REQUESTS, message, code="queue_full", headers=RETRY)
