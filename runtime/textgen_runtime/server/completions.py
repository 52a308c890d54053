"""The endpoint ``POST /v1/completions``, and its responses in the shape of OpenAI's API."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

from starlette.types import Receive, Scope, Send

from textgen_runtime.engines.base import TextEnding
from textgen_runtime.system.json_text import to_json

from .completion_request import CompletionRequest, parse_request, prepare
from .connections import read_body
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
DONE = b"data: [DONE]\n\n"

# As encode_json for a string. Every event needs it, and json.dumps would create this object each time.
_encode_string = json.JSONEncoder(ensure_ascii=False).encode


def encode_json(value: object) -> bytes:
    """Return a value as compact JSON in UTF-8."""
    return to_json(value, ascii_only=False, compact=True).encode()


def event(value: object) -> bytes:
    """Return a server-sent event with a JSON value."""
    return b"data: %s\n\n" % encode_json(value)


def finish_reason(ending: str | None) -> str | None:
    """Return the name that OpenAI's API has for an ending."""
    return ending if ending in (None, "length") else "stop"


TAILS: dict[TextEnding | None, bytes] = {
    ending: b',"logprobs":null,"finish_reason":%s,"ending":%s}]}\n\n'
    % (encode_json(finish_reason(ending)), encode_json(ending))
    for ending in (None, *get_args(TextEnding))
}


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
            if self._characters and self._characters + request.characters > MAX_CHARACTERS:
                raise busy_error(f"the prompts that wait have {self._characters} characters")
            self._characters += request.characters
            try:
                await self._respond(request, receive, send)
            finally:
                self._characters -= request.characters

    async def _respond(self, request: CompletionRequest, receive: Receive, send: Send) -> None:
        reply = Reply(self._scheduler, streams=request.stream)
        watch = asyncio.create_task(_watch(receive, reply))
        try:
            texts, warnings = await self._prepare(request, reply)
            reply.submit(texts)
            head: dict[str, Any] = {
                "id": f"cmpl-{uuid.uuid4().hex}",
                "object": "text_completion",
                "created": int(time.time()),
                "model": self._settings.model_name,
                "seed": request.seed,
            }
            if warnings:
                head["warnings"] = warnings
            if request.include_usage:
                head["usage"] = None
            writer = CompletionWriter(head, texts, request)
            await (_send_events if request.stream else _send_response)(writer, reply, send)
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


async def _watch(receive: Receive, reply: Reply) -> None:
    """Wait until the client closes the connection, and tell the reply."""
    while (await receive())["type"] != "http.disconnect":
        pass
    reply.disconnect()


class CompletionWriter:
    """Formats the texts of a request, as a response or as server-sent events.

    Args:
        head: The fields that come before the choices.
        texts: The texts.
        request: The request.
    """

    def __init__(self, head: dict[str, Any], texts: Sequence[Text], request: CompletionRequest) -> None:
        self.texts = texts
        self._head = head
        self._scored = request.alternatives is not None
        self._without_prompt = set(texts) if request.echo else set()
        self._offsets = dict.fromkeys(texts, 0)
        # Most events are an opening, the new text and a tail. Formatting them as a whole takes several times
        # as long.
        self._opening = encode_json(head)[:-1]
        self._openings = [
            b'data: %s,"choices":[{"index":%d,"text":' % (self._opening, i) for i in range(len(texts))
        ]

    def choice(self, text: Text, updates: Sequence[Update]) -> dict[str, Any]:
        """Return the next part of a text from one or more of its updates, in order."""
        characters = "".join([update.chunk for update in updates])
        scores = [score for update in updates for score in update.scores]
        if text in self._without_prompt:
            self._without_prompt.remove(text)
            characters = text.prompt.text + characters
            scores = text.prompt.scores + scores
        logprobs = None
        if self._scored:
            offsets = []
            for score in scores:
                offsets.append(self._offsets[text])
                self._offsets[text] += len(score.token)
            logprobs = {
                "tokens": [score.token for score in scores],
                "token_logprobs": [score.logprob for score in scores],
                "top_logprobs": [score.alternatives for score in scores],
                "text_offset": offsets,
            }
        ending = updates[-1].ending
        return {
            "index": text.choice,
            "text": characters,
            "logprobs": logprobs,
            "finish_reason": finish_reason(ending),
            "ending": ending,
        }

    def response(self, choices: Iterable[bytes], tokens: int) -> bytes:
        """Return the response with the JSON of all choices and the number of tokens that were generated."""
        usage = encode_json(self._usage(tokens))
        return b'%s,"choices":[%s],"usage":%s}' % (self._opening, b",".join(choices), usage)

    def event(self, update: Update) -> bytes:
        """Return the event for an update, or nothing if it has no news."""
        text = update.text
        if not (update.chunk or update.last):
            return b""
        if self._scored or text in self._without_prompt:
            return event({**self._head, "choices": [self.choice(text, [update])]})
        chunk = _encode_string(update.chunk).encode()
        return b"".join((self._openings[text.choice], chunk, TAILS[update.ending]))

    def end(self, tokens: int) -> bytes:
        """Return the number of tokens, if the request asked for it, and the end of the stream."""
        if "usage" not in self._head:
            return DONE
        return event({**self._head, "choices": [], "usage": self._usage(tokens)}) + DONE

    def _usage(self, tokens: int) -> dict[str, int]:
        """Return the number of tokens. A prompt that several texts continue counts once."""
        prompt_tokens = sum(len(prompt.tokens) for prompt in {text.prompt for text in self.texts})
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": prompt_tokens + tokens,
        }


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
            parts.append(writer.event(update))
            size += len(parts[-1])
        body = b"".join(parts)
        if reply.done:
            break
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        try:
            updates = await reply.updates()
        except RequestError as error:
            await send({"type": "http.response.body", "body": event(error.as_json())})
            return
    await send({"type": "http.response.body", "body": body + writer.end(reply.tokens)})
