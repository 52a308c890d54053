"""A server in the process of the test: its application, and a client for it."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx2
import textgen_runtime as textgen
from starlette.types import ASGIApp, Scope
from textgen_runtime.server.app import make_app
from textgen_runtime.server.requests import Settings
from textgen_runtime.server.worker import Worker

# A test that waits for longer has failed: it would wait for ever.
PATIENCE = 60

# Time between two looks at the server. Without it, the test would compete with the thread of the texts.
POLL_SECONDS = 0.001

TEXT = "/v1/completions"
CHAT = "/v1/chat/completions"

# A text of this length does not end while a test runs.
ENDLESS = 10**12


def asynchronous(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Decorate a coroutine function, so that pytest can call it."""

    @functools.wraps(test)
    def run(*arguments: Any, **options: Any) -> None:
        async def in_time() -> None:
            async with asyncio.timeout(PATIENCE):
                await test(*arguments, **options)

        asyncio.run(in_time())

    return run


async def until(condition: Callable[[], object]) -> None:
    """Let the server work until a condition holds."""
    while not condition():  # noqa: ASYNC110 (only the tests need to know, so the server has no event for it)
        await asyncio.sleep(POLL_SECONDS)


class Answer(NamedTuple):
    """A response.

    Attributes:
        status: The status.
        headers: The headers; the names are not case-sensitive.
        body: The body.
    """

    status: int
    headers: httpx2.Headers
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, Any]:
        """The status and the wrong field of an error, after checking its shape."""
        error = self.json["error"]
        assert self.headers["content-type"] == "application/json"
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["message"]
        assert "\n" not in error["message"]
        assert (error["type"] == "server_error") == (self.status >= 500)
        return self.status, error["param"]

    @property
    def events(self) -> list[Any]:
        """The JSON of the events of a stream, after checking its end."""
        *events, end = self.body.decode().removesuffix("\n\n").split("\n\n")
        assert end == "data: [DONE]"
        return [json.loads(event.removeprefix("data: ")) for event in events]

    @property
    def texts(self) -> list[str]:
        """The texts of a response or of a stream, in the order of their indices."""
        is_stream = self.headers["content-type"].startswith("text/event-stream")
        parts: dict[int, str] = {}
        for part in self.events if is_stream else [self.json]:
            for choice in part["choices"]:
                parts[choice["index"]] = parts.get(choice["index"], "") + _text(choice)
        return [parts[index] for index in sorted(parts)]


def _text(choice: dict[str, Any]) -> str:
    """The text of a choice of any endpoint, or of an event."""
    if "text" in choice:
        return str(choice["text"])
    return str(choice.get("message", choice.get("delta", {})).get("content", ""))


class Served(NamedTuple):
    """A server.

    Attributes:
        app: The application.
        worker: The worker.
        client: A client of the application.
        aborted: The requests whose connections the application has closed.
    """

    app: ASGIApp
    worker: Worker
    client: httpx2.AsyncClient
    aborted: list[Scope]

    async def complete(self, headers: Mapping[str, str] | None = None, /, **fields: Any) -> Answer:
        """Request completions."""
        return await self.request(TEXT, json.dumps(fields), headers)

    async def ask(self, path: str, prompt: str, /, **fields: Any) -> Answer:
        """Request the texts that continue a prompt, at either endpoint."""
        first = {"messages": [{"role": "user", "content": prompt}]} if path == CHAT else {"prompt": prompt}
        return await self.request(path, json.dumps({**first, **fields}))

    async def request(
        self,
        path: str,
        body: str | bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "",
    ) -> Answer:
        """Send a request: POST if it has a body."""
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        method = method or ("GET" if body is None else "POST")
        response = await self.client.request(method, path, content=body, headers=encoded)
        return Answer(response.status_code, response.headers, response.content)


@asynccontextmanager
async def served(model: textgen.Model, **options: Any) -> AsyncIterator[Served]:
    """Serve a model to the block. No text may be left when the block ends.

    Args:
        model: The model.
        options: The attributes of ``Settings`` that differ from their defaults.
    """
    settings = Settings(**{"model_name": "tiny", **options})
    worker = Worker(model, settings)
    worker.start()
    aborted: list[Scope] = []
    app = make_app(worker, settings, aborted.append)
    try:
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, raise_app_exceptions=False), base_url="http://test"
        ) as client:
            yield Served(app, worker, client, aborted)
            await worker.idle()
    finally:
        worker.stop()
        assert (worker.texts, worker.users, worker.waiting) == (0, 0, 0)


class OpenCall:
    """A request whose client decides when to read and when to leave.

    Attributes:
        messages: The messages of the application that were not read yet.
        scope: The request, as in ASGI.
        sizes: The sizes of the messages of ``answer``, in bytes.
        task: The application's task.
    """

    def __init__(self, app: ASGIApp, body: bytes, *, complete: bool = True) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self._reads = asyncio.Event()
        self._reads.set()
        self._requests: asyncio.Queue[Any] = asyncio.Queue()
        self._requests.put_nowait({"type": "http.request", "body": body, "more_body": not complete})
        self.scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/completions",
            "raw_path": b"/v1/completions",
            "query_string": b"",
            "headers": [],
            "http_version": "1.1",
        }
        application: Any = app
        self.task: asyncio.Task[None] = asyncio.create_task(
            application(self.scope, self._requests.get, self._send)
        )

    async def _send(self, message: Any) -> None:
        await self._reads.wait()
        self.messages.put_nowait(message)

    def read(self, *, on: bool) -> None:
        """Read from now on, or let the application wait when it sends."""
        (self._reads.set if on else self._reads.clear)()

    def leave(self) -> None:
        """Close the connection."""
        self._requests.put_nowait({"type": "http.disconnect"})

    async def beginning(self, length: int = 1) -> str:
        """Wait until the text of a stream has at least this length, and return what there is of it."""
        start = await self.messages.get()
        assert start["status"] == 200
        text = ""
        while len(text) < length:
            events = (await self.messages.get())["body"].decode().removesuffix("\n\n").split("\n\n")
            for event in events:
                text += json.loads(event.removeprefix("data: "))["choices"][0]["text"]
        return text

    async def answer(self) -> Answer:
        """Return the response, from the first unread message to its end."""
        await self.task
        messages = [self.messages.get_nowait() for _ in range(self.messages.qsize())]
        self.sizes = [len(message.get("body", b"")) for message in messages]
        start = messages[0]
        assert start["type"] == "http.response.start"
        headers = httpx2.Headers(start["headers"])
        return Answer(
            start["status"], headers, b"".join(message.get("body", b"") for message in messages[1:])
        )
