"""The id of a request: in a header of its response, and in each line of the log that belongs to it."""

import logging
import re
import uuid
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# OpenAI's clients show it as request_id. Proxies often set it in requests.
HEADER = "X-Request-ID"

# A client may choose an id that stays one word in a line of the log.
MAX_LENGTH = 128
VALID = re.compile(rf"[A-Za-z0-9._:=+/@-]{{1,{MAX_LENGTH}}}")

# The id of the request whose task is running; empty outside of requests.
request_id: ContextVar[str] = ContextVar("request_id", default="")


class RequestIds:
    """Gives each request an id, unless its client or a proxy has chosen one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request."""
        chosen = Headers(scope=scope).get(HEADER, "")
        name = chosen if VALID.fullmatch(chosen) else uuid.uuid4().hex
        # Not reset: the server logs defects after the application has returned.
        request_id.set(name)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        await self._app(scope, receive, send_with_id)


class LogFormatter(logging.Formatter):
    """Adds the id of the request to each message that belongs to one."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line of a record."""
        name = request_id.get()
        return super().formatMessage(record) + (f" (request {name})" if name else "")
