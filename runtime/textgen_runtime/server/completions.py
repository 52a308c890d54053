"""What all endpoints of completions share: the way from the body of a request to the response."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from .completion_request import CompletionRequest, Take, parse_request
from .completion_writer import CompletionWriter, encode_event, encode_json
from .connections import read_body
from .fields import IgnoredFields
from .preparation import prepare
from .requests import ClientGoneError, RequestError, Settings, busy_error
from .scheduler import Reply, Scheduler
from .text import Text, Update

# Characters of the prompts of all requests. Their tokens take eight times as many bytes.
MAX_CHARACTERS = 2**24

# Requests that are parsed and prepared in one iteration of the event loop.
REQUESTS_PER_TURN = 8

# Bytes of a response that are sent, or formatted, before other requests get their turn.
PIECE_BYTES = 2**18

EVENT_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx would collect events before it passes them on.
    (b"x-accel-buffering", b"no"),
]


class Completions:
    """Answers the requests of all endpoints.

    Args:
        scheduler: Generates the texts.
        settings: The settings of the server.
    """

    def __init__(self, scheduler: Scheduler, settings: Settings) -> None:
        self._scheduler = scheduler
        self._settings = settings
        self._ignored = IgnoredFields() if settings.ignore_unknown_fields else None
        self._characters = 0
        # If hundreds of requests arrive at once, the streams get their events in between.
        self._turns = asyncio.Semaphore(REQUESTS_PER_TURN)
        # One thread, so that expensive requests delay only each other.
        self._preparer = ThreadPoolExecutor(1, "textgen-prepare")

    async def answer(
        self, take: Take, writer: type[CompletionWriter], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request.

        Args:
            take: Takes the fields of the request.
            writer: Formats the response.
            scope: The request, as in ASGI.
            receive: Returns the body of the request, as in ASGI.
            send: Sends the response, as in ASGI.

        Raises:
            RequestError: If the request is wrong or cannot be served, before the response has started.
        """
        with contextlib.suppress(ClientGoneError):
            body = await read_body(scope, receive, self._settings)
            async with self._turns:
                await asyncio.sleep(0)
                request = parse_request(body, self._settings, take, self._ignored)
            if self._characters and self._characters + request.characters > MAX_CHARACTERS:
                raise busy_error(f"the prompts that wait have {self._characters} characters")
            self._characters += request.characters
            try:
                await self._respond(request, writer, receive, send)
            finally:
                self._characters -= request.characters

    async def _respond(
        self, request: CompletionRequest, writer: type[CompletionWriter], receive: Receive, send: Send
    ) -> None:
        reply = Reply(self._scheduler, streams=request.stream)
        watch = asyncio.create_task(_watch(receive, reply))
        try:
            texts, warnings = await self._prepare(request, reply)
            reply.submit(texts)
            respond = _send_events if request.stream else _send_response
            await respond(writer(self._settings.model_name, texts, warnings, request), reply, send)
        finally:
            watch.cancel()
            reply.close()

    async def _prepare(self, request: CompletionRequest, reply: Reply) -> tuple[list[Text], list[str]]:
        """Make room for the texts of a request, and create them."""
        model = self._scheduler.model
        self._scheduler.reserve(request.texts)
        try:
            if request.is_quick:
                return prepare(model, request, reply.deliver)
            loop = asyncio.get_running_loop()
            return await reply.wait_for(
                loop.run_in_executor(self._preparer, prepare, model, request, reply.deliver)
            )
        except BaseException:
            self._scheduler.cancel_reservation(request.texts)
            raise


@dataclass(frozen=True)
class Endpoint:
    """One endpoint, as an ASGI application.

    Attributes:
        completions: Answers the requests.
        take: Takes the fields of a request.
        writer: Formats a response.
    """

    completions: Completions
    take: Take
    writer: type[CompletionWriter]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ``Completions.answer`` does."""
        await self.completions.answer(self.take, self.writer, scope, receive, send)


async def _watch(receive: Receive, reply: Reply) -> None:
    """Wait until the client closes the connection, and tell the reply."""
    while (await receive())["type"] != "http.disconnect":
        pass
    reply.disconnect()


async def _send_response(writer: CompletionWriter, reply: Reply, send: Send) -> None:
    """Send all texts at once. Other requests get their turn between the pieces of a large response."""
    updates: dict[Text, list[Update]] = {text: [] for text in writer.texts}
    for update in await reply.updates():
        updates[update.text].append(update)
    choices = []
    for text, parts in updates.items():
        choices.append(encode_json(writer.choice(text, parts)))
        await asyncio.sleep(0)
    body = writer.response(choices, reply.tokens)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    start = 0
    while len(body) - start > PIECE_BYTES:
        await send(
            {"type": "http.response.body", "body": body[start : start + PIECE_BYTES], "more_body": True}
        )
        await asyncio.sleep(0)
        start += PIECE_BYTES
    await send({"type": "http.response.body", "body": body[start:]})


async def _send_events(writer: CompletionWriter, reply: Reply, send: Send) -> None:
    """Send the texts as they are generated."""
    # The first updates come before the status, which is not 200 if they are an error.
    updates = await reply.updates()
    await send({"type": "http.response.start", "status": 200, "headers": EVENT_HEADERS})
    while True:
        parts: list[bytes] = []
        size = 0
        for update in updates:
            if size > PIECE_BYTES:
                await send({"type": "http.response.body", "body": b"".join(parts), "more_body": True})
                await asyncio.sleep(0)
                parts, size = [], 0
            parts.append(writer.events(update))
            size += len(parts[-1])
        body = b"".join(parts)
        if reply.done:
            break
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        try:
            updates = await reply.updates()
        except RequestError as error:
            await send({"type": "http.response.body", "body": encode_event(error.as_json())})
            return
    await send({"type": "http.response.body", "body": body + writer.end(reply.tokens)})
