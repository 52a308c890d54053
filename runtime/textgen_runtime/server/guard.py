"""The check of the origin and the key of each request."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from textgen_runtime.errors import quote

from .bodies import send_error
from .errors import RequestError
from .settings import Settings

# Load balancers ask for it, and have no key.
OPEN_PATH = "/health"


class Guard:
    """Refuses requests of foreign web pages, and requests without the key.

    A browser names the origin of the page in each request to another origin, and in each POST. Without this
    check, any page that a user of this machine opens could send requests to the server, although it could not
    read the responses. The check also covers the POST requests of pages whose host name resolves to this
    machine (DNS rebinding). Their GET requests have no origin; they can read only the name of the model and
    the number of texts.

    Args:
        app: The application that gets the other requests.
        settings: The keys and the origins.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._keys = [key.encode() for key in settings.keys]
        self._origins = set(settings.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        try:
            headers = Headers(scope=scope)
            self._check_origin(headers)
            if self._keys and scope["path"] != OPEN_PATH:
                self._check_key(headers)
        except RequestError as error:
            await send_error(send, error)
        else:
            await self._app(scope, receive, send)

    def _check_origin(self, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is not None and not self._origins & {"*", origin}:
            raise RequestError(
                403,
                f"web pages from {quote(origin)} may not send requests: start the server with --allow-origin",
                code="origin_not_allowed",
            )

    def _check_key(self, headers: Headers) -> None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip().encode("latin-1", "replace")
        # All keys are compared in full, so that the time does not depend on them.
        matches = [hmac.compare_digest(given, known) for known in self._keys]
        if scheme.lower() != "bearer" or not any(matches):
            raise RequestError(
                401,
                "the API key is missing or wrong: send it in the header Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
