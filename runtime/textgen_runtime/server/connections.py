"""Connections and the bodies of requests, with limits for slow and large ones."""

import asyncio
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .requests import ClientGoneError, RequestError, Settings

# The rest of a body that is too large is read and discarded up to this multiple of the limit: the error would
# be lost if the connection were closed while the client still sends.
DISCARDED = 16

# Turns of the event loop after the time in which a request must come. If the server was busy, the request may
# be there: in one turn it is read, and in the next one its task begins.
TURNS = 2

# The connection whose data is being processed. The task of a request inherits it.
_connection: ContextVar["Connection | None"] = ContextVar("connection", default=None)


class Connection(H11Protocol):
    """A connection that is closed if its client is too slow.

    uvicorn has a limit only for the time between two requests. A client that opens a connection and sends
    nothing, or does not read its response, would keep the connection for ever. This class relies on the
    methods of ``asyncio.Protocol`` alone.

    Attributes:
        client_timeout: Seconds that a client may take to send the head of a request, or to read what the
            connection has buffered (64 KiB).
        max_connections: Maximum number of connections; further ones are closed at once.
    """

    client_timeout = 30.0
    max_connections = 10_000

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._request_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.abort()
        self.wait_for_request()

    def data_received(self, data: bytes) -> None:
        """Process data, such as a request, whose task then knows the connection."""
        token = _connection.set(self)
        super().data_received(data)
        _connection.reset(token)

    def pause_writing(self) -> None:
        """Start the timer for a client that does not read."""
        super().pause_writing()
        # abort() discards what is buffered, for which close() would wait.
        self._write_timer = self.loop.call_later(self.client_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the timer, because the client has read."""
        super().resume_writing()
        self._stop(self._write_timer)

    def connection_lost(self, error: Exception | None) -> None:
        """Stop the timers."""
        super().connection_lost(error)
        self._stop(self._request_timer)
        self._stop(self._write_timer)

    def wait_for_request(self) -> None:
        """Start the timer for the next request."""
        if not self.transport.is_closing():
            self._request_timer = self.loop.call_later(self.client_timeout, self._give_up)

    def begin_request(self) -> None:
        """Stop the timer, because the head of a request has arrived."""
        self._stop(self._request_timer)

    def _give_up(self, turns: int = TURNS) -> None:
        """Close the connection after some turns of the event loop."""
        if turns:
            self._request_timer = self.loop.call_later(0, self._give_up, turns - 1)
        else:
            self.transport.abort()

    def _stop(self, timer: asyncio.TimerHandle | None) -> None:
        if timer:
            timer.cancel()


class ConnectionTimer:
    """Tells the connection when a request begins and when its response is complete."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request."""
        connection = _connection.get()
        if connection is None:
            await self._app(scope, receive, send)
            return
        connection.begin_request()
        try:
            await self._app(scope, receive, send)
        finally:
            connection.wait_for_request()


async def read_body(scope: Scope, receive: Receive, settings: Settings) -> bytes:
    """Return the body of a request.

    Raises:
        RequestError: If the body is too large, or is sent too slowly.
        ClientGoneError: If the client has closed the connection.
    """
    limit = settings.max_body
    declared = Headers(scope=scope).get("content-length", "0")
    size = int(declared) if declared.isdecimal() else 0
    parts: list[bytes] = []
    received, more = 0, size <= DISCARDED * limit
    closing = {"Connection": "close"}
    try:
        async with asyncio.timeout(settings.client_timeout):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                parts.append(message.get("body", b""))
                received += len(parts[-1])
                more = message.get("more_body", False) and received <= DISCARDED * limit
                if max(size, received) > limit:
                    parts.clear()
    except TimeoutError:
        reason = f"the request took longer than {settings.client_timeout:g} seconds to arrive"
        raise RequestError(408, reason, headers=closing) from None
    if max(size, received) > limit:
        reason = f"the body is larger than {limit} bytes: send a shorter prompt, or several requests"
        raise RequestError(413, reason, code="body_too_large", headers=closing)
    return b"".join(parts)
