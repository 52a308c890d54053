"""The endpoint ``POST /v1/completions``."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.types import Receive, Scope, Send

from .bodies import PIECE, read_body, send_json
from .completion_request import CompletionRequest, parse_request
from .errors import ClientGoneError, RequestError, busy_error
from .formats import DONE, ChoiceWriter, EventWriter, encode_json, event, response, usage
from .preparation import Prepared, is_quick, prepare
from .reply import Reply
from .scheduler import Scheduler
from .settings import Settings
from .text import Text, Update

# Characters of the prompts of all requests. Their tokens take eight times as many bytes.
MAX_CHARACTERS = 2**24

# Requests that are parsed and prepared in one iteration of the event loop.
REQUESTS_PER_TURN = 8

EVENT_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx would collect events before it passes them on.
    (b"x-accel-buffering", b"no"),
]


class Completions:
    """The endpoint, as an ASGI application.

    Args:
        scheduler: Generates the texts.
        settings: The limits of the server.
    """

    def __init__(self, scheduler: Scheduler, settings: Settings) -> None:
        self._scheduler = scheduler
        self._settings = settings
        self._characters = 0
        # If hundreds of requests arrive at once, the streams get their events in between.
        self._turns = asyncio.Semaphore(REQUESTS_PER_TURN)
        # One thread, so that expensive requests delay only each other.
        self._preparer = ThreadPoolExecutor(1, "textgen-prepare")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            RequestError: If the request is wrong or cannot be served, before the response has started.
        """
        with contextlib.suppress(ClientGoneError):
            body = await read_body(scope, receive, self._settings)
            async with self._turns:
                await asyncio.sleep(0)
                request = parse_request(body, self._settings)
            with self._room_for(request.characters):
                await self._respond(request, receive, send)

    @contextlib.contextmanager
    def _room_for(self, characters: int) -> Iterator[None]:
        """Count the characters of the prompts of a request, while it is answered."""
        if self._characters and self._characters + characters > MAX_CHARACTERS:
            raise busy_error(f"the prompts that wait have {self._characters} characters")
        self._characters += characters
        try:
            yield
        finally:
            self._characters -= characters

    async def _respond(self, request: CompletionRequest, receive: Receive, send: Send) -> None:
        reply = Reply(self._scheduler, streams=request.stream)
        watch = asyncio.create_task(_watch(receive, reply))
        try:
            prepared = await self._prepare(request, reply)
            reply.submit(prepared.texts)
            answer = self._stream if request.stream else self._answer
            await answer(request, prepared, reply, send)
        finally:
            watch.cancel()
            reply.close()

    async def _prepare(self, request: CompletionRequest, reply: Reply) -> Prepared:
        """Make room for the texts of a request, and create them."""
        model = self._scheduler.model
        self._scheduler.reserve(request.texts)
        try:
            if is_quick(request):
                return prepare(model, request, reply.deliver)
            loop = asyncio.get_running_loop()
            return await reply.wait_for(
                loop.run_in_executor(self._preparer, prepare, model, request, reply.deliver)
            )
        except BaseException:
            self._scheduler.cancel_reservation(request.texts)
            raise

    def _head(self, request: CompletionRequest, prepared: Prepared) -> dict[str, Any]:
        """Return the fields that the response and all events share."""
        head: dict[str, Any] = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": self._settings.model_name,
            "seed": request.seed,
        }
        if prepared.warnings:
            head["warnings"] = prepared.warnings
        if request.include_usage:
            head["usage"] = None
        return head

    async def _answer(self, request: CompletionRequest, prepared: Prepared, reply: Reply, send: Send) -> None:
        """Send all texts at once."""
        updates: dict[Text, list[Update]] = {text: [] for text in prepared.texts}
        for update in await reply.updates():
            updates[update.text].append(update)
        scored = request.alternatives is not None
        tokens = 0
        choices = []
        for text, parts in updates.items():
            writer = ChoiceWriter(text, echo=request.echo, scored=scored)
            choices.append(encode_json(writer.write(parts)))
            tokens += sum(update.tokens for update in parts)
            # The streams of other requests get their events in between.
            await asyncio.sleep(0)
        counts = usage(prepared.texts, tokens)
        await send_json(send, response(self._head(request, prepared), choices, counts))

    async def _stream(self, request: CompletionRequest, prepared: Prepared, reply: Reply, send: Send) -> None:
        """Send the texts as they are generated."""
        scored = request.alternatives is not None
        head = self._head(request, prepared)
        writer = EventWriter(head, prepared.texts, echo=request.echo, scored=scored)
        # The first updates come before the status, which is not 200 if they are an error.
        updates = await reply.updates()
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_HEADERS})
        tokens = 0
        while True:
            tokens += sum(update.tokens for update in updates)
            body = await _send_events(map(writer.write, updates), send)
            if reply.done:
                break
            if body:
                await send({"type": "http.response.body", "body": body, "more_body": True})
            try:
                updates = await reply.updates()
            except RequestError as error:
                await send({"type": "http.response.body", "body": event(error.as_json())})
                return
        if request.include_usage:
            body += writer.write_usage(usage(prepared.texts, tokens))
        await send({"type": "http.response.body", "body": body + DONE})


async def _send_events(events: Iterable[bytes], send: Send) -> bytes:
    """Send events in pieces, and return the last piece, which was not sent."""
    parts: list[bytes] = []
    size = 0
    for part in events:
        if size > PIECE:
            await send({"type": "http.response.body", "body": b"".join(parts), "more_body": True})
            # Other streams get their events in between.
            await asyncio.sleep(0)
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    return b"".join(parts)


async def _watch(receive: Receive, reply: Reply) -> None:
    """Wait until the client closes the connection, and tell the reply."""
    while (await receive())["type"] != "http.disconnect":
        pass
    reply.disconnect()
