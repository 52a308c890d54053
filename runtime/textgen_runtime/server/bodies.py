"""Bodies of requests and responses."""

import asyncio
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from textgen_runtime.system.json_text import to_json

from .errors import ClientGoneError, RequestError
from .settings import Settings

JSON_TYPE = (b"content-type", b"application/json")

# The rest of a body that is too large is read and discarded up to this multiple of the limit: the error would
# be lost if the connection were closed while the client still sends.
DISCARDED = 16


async def read_body(scope: Scope, receive: Receive, settings: Settings) -> bytes:
    """Return the body of a request.

    Raises:
        RequestError: If the body is too large, or is sent too slowly.
    """
    try:
        async with asyncio.timeout(settings.client_timeout):
            return await _read(scope, receive, settings.max_body)
    except TimeoutError:
        raise RequestError(
            408,
            f"the request took longer than {settings.client_timeout:g} seconds to arrive",
            headers={"Connection": "close"},
        ) from None


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes:
    declared = Headers(scope=scope).get("content-length", "0")
    size = int(declared) if declared.isdecimal() else 0
    parts: list[bytes] = []
    received, more = 0, size <= DISCARDED * limit
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message.get("body", b""))
        received += len(parts[-1])
        more = message.get("more_body", False) and received <= DISCARDED * limit
        if max(size, received) > limit:
            parts.clear()
    if max(size, received) > limit:
        raise RequestError(
            413,
            f"the body is larger than {limit} bytes: send a shorter prompt, or several requests",
            code="body_too_large",
            headers={"Connection": "close"},
        )
    return b"".join(parts)


# Bytes of a response that are sent, or formatted, before other requests get their turn.
PIECE = 2**18


async def send_json(
    send: Send, body: bytes, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Send a response with a JSON body. Other requests get their turn between the pieces of a large one."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [JSON_TYPE, length, *headers]})
    start = 0
    while len(body) - start > PIECE:
        await send({"type": "http.response.body", "body": body[start : start + PIECE], "more_body": True})
        await asyncio.sleep(0)
        start += PIECE
    await send({"type": "http.response.body", "body": body[start:]})


async def send_error(send: Send, error: RequestError) -> None:
    """Send an error as the response."""
    headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    await send_json(send, to_json(error.as_json(), compact=True).encode(), error.status, headers)
