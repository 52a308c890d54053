"""The ASGI application: routes, the check of origins and keys, and errors."""

import hmac
import ipaddress
import time
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from textgen_runtime.errors import quote, shorten
from textgen_runtime.system.json_text import to_json

from .chat_completions import CHAT_PATH, ChatWriter, take_chat_request
from .completion_writer import encode_json
from .completions import Completions, Endpoint
from .connections import ConnectionTimer
from .request_ids import HEADER, RequestIds
from .requests import RequestError, Settings, check_model
from .scheduler import Scheduler
from .text_completions import TEXT_PATH, TextWriter, take_text_request

# Load balancers ask for it, and have no key.
OPEN_PATH = "/health"

# Only a server that was started with this option has the path.
METRICS_PATH = "/metrics"
METRICS_OPTION = "--metrics"


def make_app(scheduler: Scheduler, settings: Settings) -> ASGIApp:
    """Return the application. ``scheduler.start`` must be called before the first request."""
    model = {
        "id": settings.model_name,
        "object": "model",
        "created": int(time.time()),
        "owned_by": "textgen",
    }

    async def list_models(_: Request) -> Response:
        return _json({"object": "list", "data": [model]})

    async def describe_model(request: Request) -> Response:
        check_model(request.path_params["name"], settings)
        return _json(model)

    async def health(_: Request) -> Response:
        status = "stopping" if scheduler.draining else "ok"
        counts = {"users": scheduler.worker.users, "waiting": scheduler.waiting}
        return _json({"status": status, **counts}, 503 if scheduler.draining else 200)

    middleware = [Middleware(ConnectionTimer)]
    if settings.origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.origins,
                allow_methods=("GET", "POST"),
                allow_headers=("*",),
                expose_headers=(HEADER,),
            )
        )
    middleware.append(Middleware(Guard, settings=settings))
    completions = Completions(scheduler, settings)
    take_chat = partial(take_chat_request, default_length=scheduler.model.default_length)
    endpoints = {
        TEXT_PATH: Endpoint(completions, take_text_request, TextWriter),
        CHAT_PATH: Endpoint(completions, take_chat, ChatWriter),
    }
    routes = [
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()),
        Route("/v1/models", list_models),
        Route("/v1/models/{name:path}", describe_model),
        Route(OPEN_PATH, health),
    ]
    metrics = None
    if settings.metrics:
        from .metrics import Measured, Metrics

        metrics = Metrics(scheduler, settings)
        routes.append(Route(METRICS_PATH, metrics.answer))
    starlette = Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={
            RequestError: _answer_request_error,
            HTTPException: _answer_http_error,
            Exception: _answer_defect,
        },
    )
    starlette.router.redirect_slashes = False
    app: ASGIApp = starlette
    if metrics:
        app = Measured(app, metrics, [route.path for route in routes])
    # Outside of all else, so that the response to a defect has an id, too.
    return RequestIds(app)


class Guard:
    """Refuses requests of foreign web pages, and requests without the key.

    A browser names the origin of the page in each request to another origin, and in each POST. Without this
    check, any page that a user of this machine opens could send requests to the server, although it could not
    read the responses. The check also covers the POST requests of pages whose host name resolves to this
    machine (DNS rebinding). Their GET requests have no origin. Without a key, they can read the name of the
    model and the number of texts. They cannot read the measurements, which need a key or a host that is no
    name on the internet.

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
        headers = Headers(scope=scope)
        try:
            self._check_origin(headers)
            if self._keys and scope["path"] != OPEN_PATH:
                self._check_key(headers)
            elif not self._keys and scope["path"] == METRICS_PATH:
                _check_host(headers)
        except RequestError as error:
            await _error(error)(scope, receive, send)
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


def _check_host(headers: Headers) -> None:
    """Refuse a request under a name that a web page can have: neither an address nor a name without dots."""
    given = headers.get("host", "")
    try:
        host = urlsplit(f"//{given}").hostname or ""
        if "." in host:
            ipaddress.ip_address(host)
    except ValueError:
        raise RequestError(
            403,
            f"{METRICS_PATH} is not readable under the host {quote(given)}: use the address of the server or "
            "a name without dots, or start the server with --api-key-file",
            code="host_not_allowed",
        ) from None


def _json(value: object, status: int = 200) -> Response:
    return Response(encode_json(value), status, media_type="application/json")


def _error(error: RequestError) -> Response:
    # Not encode_json: a quoted text may have characters that UTF-8 cannot encode.
    return Response(to_json(error.as_json()), error.status, error.headers, "application/json")


# Starlette passes the class of exception for which a handler is registered.
async def _answer_request_error(_: Request, error: Any) -> Response:
    return _error(error)


async def _answer_http_error(request: Request, error: Any) -> Response:
    """Answer a request for a path or a method that does not exist."""
    message = f"there is no {request.method} {shorten(request.url.path)}"
    path = request.url.path
    if f"/v1{path}" in (TEXT_PATH, CHAT_PATH):
        message += f": use /v1{path}"
    elif path == METRICS_PATH and error.status_code == HTTPStatus.NOT_FOUND:
        message += f": start the server with {METRICS_OPTION}"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = sorted({*error.headers["Allow"].split(", ")} - {"HEAD"})
        message += f": use {' or '.join(methods)}"
    return _error(RequestError(error.status_code, message, headers=error.headers))


async def _answer_defect(_: Request, __: Exception) -> Response:
    # Starlette raises the exception again, so that it is logged.
    return _error(RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed: see its log"))
