"""The ASGI application: ids of requests, origins and keys, routes, bodies, and errors."""

import asyncio
import hmac
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textgen_runtime.errors import quote, shorten
from textgen_runtime.json_text import to_json

from .metrics import Metrics
from .requests import Request, RequestError, Settings, check_model, parse_request
from .responses import ChatWriter, Writer, encode_event, encode_json
from .worker import Reply, Worker, is_quick, prepare

TEXT_PATH = "/v1/completions"
CHAT_PATH = "/v1/chat/completions"

# Load balancers ask for it, and have no key.
OPEN_PATH = "/health"

METRICS_PATH = "/metrics"

# OpenAI's clients show it as request_id. Proxies often set it in requests.
ID_HEADER = "X-Request-ID"

# A client may choose an id that stays one word in a line of the log.
MAX_ID_LENGTH = 128
VALID_ID = re.compile(rf"[A-Za-z0-9._:=+/@-]{{1,{MAX_ID_LENGTH}}}")

# The rest of a body that is too large is read and discarded up to this multiple of the limit: the error would
# be lost if the connection were closed while the client still sends.
DISCARDED = 16

# Requests that are parsed and prepared in one iteration of the event loop.
REQUESTS_PER_TURN = 8

# Bytes of a response that are formatted and sent before other requests get their turn.
PIECE_BYTES = 2**18

EVENT_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx would collect events before it passes them on.
    (b"x-accel-buffering", b"no"),
]

# The id of the request whose task is running; empty outside of requests.
request_id: ContextVar[str] = ContextVar("request_id", default="")


class ClientGoneError(Exception):
    """The client has closed the connection or does not read, so that nothing can be sent."""


class LogFormatter(logging.Formatter):
    """Adds the id of the request to each message that belongs to one."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line of a record."""
        name = request_id.get()
        return super().formatMessage(record) + (f" (request {name})" if name else "")


def make_app(worker: Worker, settings: Settings, abort: Callable[[Scope], object]) -> ASGIApp:
    """Return the application. ``worker.start`` must be called before the first request.

    Args:
        worker: Generates the texts.
        settings: The settings of the server.
        abort: Closes the connection of a request whose client does not read.
    """
    model = {"id": settings.model_name, "object": "model", "created": int(time.time()), "owned_by": "textgen"}

    async def list_models(_: HTTPRequest) -> Response:
        return _json({"object": "list", "data": [model]})

    async def describe_model(request: HTTPRequest) -> Response:
        check_model(request.path_params["name"], settings)
        return _json(model)

    async def health(_: HTTPRequest) -> Response:
        status = "stopping" if worker.draining else "ok"
        counts = {"users": worker.users, "waiting": worker.waiting}
        return _json({"status": status, **counts}, 503 if worker.draining else 200)

    completions = Completions(worker, settings, abort)
    metrics = Metrics(worker)
    routes = [
        Route(TEXT_PATH, completions, methods=["POST"]),
        Route(CHAT_PATH, completions, methods=["POST"]),
        Route("/v1/models", list_models),
        Route("/v1/models/{name:path}", describe_model),
        Route(OPEN_PATH, health),
        Route(METRICS_PATH, metrics.answer),
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.origins,
        allow_methods=("GET", "POST"),
        allow_headers=("*",),
        expose_headers=(ID_HEADER,),
    )
    starlette = Starlette(
        routes=routes,
        middleware=[*([cors] if settings.origins else []), Middleware(Guard, settings=settings)],
        exception_handlers={
            RequestError: _answer_request_error,
            HTTPException: _answer_http_error,
            Exception: _answer_defect,
        },
    )
    starlette.router.redirect_slashes = False
    app = metrics.measured(starlette, [route.path for route in routes])

    async def identified(scope: Scope, receive: Receive, send: Send) -> None:
        """Give a request an id, unless its client or a proxy has chosen one."""
        chosen = Headers(scope=scope).get(ID_HEADER, "")
        name = chosen if VALID_ID.fullmatch(chosen) else uuid.uuid4().hex
        # Not reset: uvicorn logs defects after the application has returned.
        request_id.set(name)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[ID_HEADER] = name
            await send(message)

        await app(scope, receive, send_with_id)

    return identified


class Guard:
    """Refuses requests of foreign web pages, and requests without the key.

    A browser names the origin of the page in each request to another origin, and in each POST. Without this
    check, any page that a user of this machine opens could send requests to the server, although it could not
    read the responses. The check also covers the POST requests of pages whose host name resolves to this
    machine (DNS rebinding). Their GET requests have no origin. Without a key, they can read the name of the
    model and the measurements.

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
        error = self._refusal(Headers(scope=scope), scope["path"])
        await (_error(error) if error else self._app)(scope, receive, send)

    def _refusal(self, headers: Headers, path: str) -> RequestError | None:
        origin = headers.get("origin")
        if origin is not None and not self._origins & {"*", origin}:
            message = f"web pages from {quote(origin)} may not send requests"
            return RequestError(403, message, code="origin_not_allowed")
        if self._keys and path != OPEN_PATH:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            given = key.strip().encode("latin-1", "replace")
            # All keys are compared in full, so that the time does not depend on them.
            matches = [hmac.compare_digest(given, known) for known in self._keys]
            if scheme.lower() != "bearer" or not any(matches):
                message = "the API key is missing or wrong: send the header Authorization: Bearer KEY"
                challenge = {"WWW-Authenticate": "Bearer"}
                return RequestError(401, message, code="invalid_api_key", headers=challenge)
        return None


class Completions:
    """Answers the requests for texts of both endpoints.

    Args:
        worker: Generates the texts.
        settings: The settings of the server.
        abort: Closes the connection of a request.
    """

    def __init__(self, worker: Worker, settings: Settings, abort: Callable[[Scope], object]) -> None:
        self._worker, self._settings, self._abort = worker, settings, abort
        # If hundreds of requests arrive at once, the streams get their events in between.
        self._turns = asyncio.Semaphore(REQUESTS_PER_TURN)
        # One thread, so that expensive requests delay only each other.
        self._preparer = ThreadPoolExecutor(1, "textgen-prepare")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            RequestError: If the request is wrong or cannot be served, before the response has started.
        """

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._settings.client_timeout):
                    await send(message)
            except TimeoutError:
                self._abort(scope)
                # The connection is lost in the next iteration of the event loop.
                await asyncio.sleep(0)
                raise ClientGoneError from None

        try:
            body = await read_body(receive, self._settings)
            async with self._turns:
                await asyncio.sleep(0)
                default, is_chat = self._worker.model.default_length, scope["path"] == CHAT_PATH
                request = parse_request(body, self._settings, default, is_chat=is_chat)
            with self._worker.places(request):
                answer = asyncio.create_task(self._answer(request, send_in_time))
                gone = asyncio.create_task(_gone(receive))
                try:
                    await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
                    if answer.done():
                        answer.result()
                finally:
                    answer.cancel()
                    gone.cancel()
                    await asyncio.wait((answer, gone))
        except ClientGoneError:
            return

    async def _answer(self, request: Request, send: Send) -> None:
        reply = Reply(self._worker, streams=request.stream)
        try:
            if is_quick(request):
                texts, warnings = prepare(self._worker.model, request, reply.deliver)
            else:
                texts, warnings = await asyncio.get_running_loop().run_in_executor(
                    self._preparer, prepare, self._worker.model, request, reply.deliver
                )
            reply.submit(texts)
            kind = ChatWriter if request.is_chat else Writer
            writer = kind(request, request_id.get(), self._settings.model_name, texts, warnings)
            await (_send_events if request.stream else _send_response)(writer, reply, send)
        finally:
            reply.close()


async def read_body(receive: Receive, settings: Settings) -> bytes:
    """Return the body of a request.

    Raises:
        RequestError: If the body is too large, or is sent too slowly.
        ClientGoneError: If the client has closed the connection.
    """
    limit, closing = settings.max_body, {"Connection": "close"}
    body, size, more = bytearray(), 0, True
    try:
        async with asyncio.timeout(settings.client_timeout):
            while more and size <= DISCARDED * limit:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                part, more = message.get("body", b""), message.get("more_body", False)
                size += len(part)
                if size <= limit:
                    body += part
    except TimeoutError:
        reason = f"the request took longer than {settings.client_timeout:g} seconds to arrive"
        raise RequestError(408, reason, headers=closing) from None
    if size > limit:
        reason = f"the body is larger than {limit} bytes"
        raise RequestError(413, reason, code="body_too_large", headers=closing)
    return bytes(body)


async def _gone(receive: Receive) -> None:
    """Wait until the client closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_response(writer: Writer, reply: Reply, send: Send) -> None:
    """Send all texts at once. Other requests get their turn between two texts."""
    updates, parts = await reply.updates(), []
    for part in writer.response(updates, reply.tokens):
        parts.append(part)
        await asyncio.sleep(0)
    size = sum(map(len, parts))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await _send_parts(parts, send, more=False)


async def _send_events(writer: Writer, reply: Reply, send: Send) -> None:
    """Send the texts as they are generated."""
    # The first updates come before the status, which is not 200 if they are an error.
    updates, is_last = await reply.updates(), not reply.running
    await send({"type": "http.response.start", "status": 200, "headers": EVENT_HEADERS})
    try:
        await _send_parts(writer.events(updates), send, more=True)
        while not is_last:
            updates, is_last = await reply.updates(), not reply.running
            await _send_parts(writer.events(updates), send, more=True)
        end = writer.end(reply.tokens)
    except RequestError as error:
        end = encode_event(error.as_json())
    await send({"type": "http.response.body", "body": end})


async def _send_parts(parts: Iterable[bytes], send: Send, *, more: bool) -> None:
    """Send parts of a response as one, or as a few if it is large."""
    body = bytearray()
    for part in parts:
        body += part
        if len(body) > PIECE_BYTES:
            await send({"type": "http.response.body", "body": bytes(body), "more_body": True})
            await asyncio.sleep(0)
            body.clear()
    if body or not more:
        await send({"type": "http.response.body", "body": bytes(body), "more_body": more})


def _json(value: object, status: int = 200) -> Response:
    return Response(encode_json(value), status, media_type="application/json")


def _error(error: RequestError) -> Response:
    # Not encode_json: a quoted text may have characters that UTF-8 cannot encode.
    return Response(to_json(error.as_json()), error.status, error.headers, "application/json")


# Starlette passes the class of exception for which a handler is registered.
async def _answer_request_error(_: HTTPRequest, error: Any) -> Response:
    return _error(error)


async def _answer_http_error(request: HTTPRequest, error: Any) -> Response:
    """Answer a request for a path or a method that does not exist."""
    message = f"there is no {request.method} {shorten(request.url.path)}"
    return _error(RequestError(error.status_code, message, headers=error.headers))


async def _answer_defect(_: HTTPRequest, __: Exception) -> Response:
    # Starlette raises the exception again, so that it is logged.
    return _error(RequestError(500, "the server failed: see its log"))
