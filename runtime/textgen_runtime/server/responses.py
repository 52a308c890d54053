"""The responses of both endpoints: JSON and server-sent events, in the shapes of OpenAI's API."""

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from textgen_runtime.results import TextEnding

from .requests import Request
from .worker import ServedText, Update, count_prompt_tokens

DONE = b"data: [DONE]\n\n"

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode_json(value: object) -> bytes:
    """Return a value as compact JSON in UTF-8."""
    return _encoder.encode(value).encode()


def encode_event(value: object) -> bytes:
    """Return a server-sent event with a JSON value."""
    return b"data: %s\n\n" % encode_json(value)


class Writer:
    """Formats the texts of a request for completions, as a response or as server-sent events.

    Args:
        request: The request.
        name: The id of the response without its kind.
        model_name: The name of the model.
        texts: The texts.
        warnings: As ``prepare`` returns them.
    """

    kind, prefix, event_kind = "text_completion", "cmpl-", "text_completion"

    def __init__(
        self,
        request: Request,
        name: str,
        model_name: str,
        texts: Sequence[ServedText],
        warnings: Sequence[str],
    ) -> None:
        self.texts = texts
        # Texts without an event so far.
        self._new = set(texts)
        self._echo = request.echo
        self._offsets = dict.fromkeys(texts, 0)
        # The fields that come before the choices.
        self._head: dict[str, Any] = {
            "id": f"{self.prefix}{name}",
            "object": self.event_kind if request.stream else self.kind,
            "created": int(time.time()),
            "model": model_name,
            "seed": request.seed,
        }
        if warnings:
            self._head["warnings"] = warnings
        if request.include_usage:
            self._head["usage"] = None
        # Formatting it again for each event would take longer than all else.
        self._opening = encode_json(self._head)[:-1]

    def response(self, updates: Iterable[Update], tokens: int) -> Iterable[bytes]:
        """Yield the parts of the response that has all updates, and this number of generated tokens."""
        parts: dict[ServedText, list[Update]] = {text: [] for text in self.texts}
        for update in updates:
            parts[update.text].append(update)
        separator = self._opening + b',"choices":['
        for text, own in parts.items():
            chunk = "".join([update.chunk for update in own])
            logprobs = None
            if own[-1].logprobs is not None:
                logprobs = [value for update in own for value in update.logprobs or ()]
            joined = Update(text, chunk, 0, logprobs, own[-1].ending, last=True)
            yield separator + encode_json(self._choice(joined, self._body(joined)))
            separator = b","
        yield b'],"usage":%s}' % encode_json(self._usage(tokens))

    def events(self, updates: Iterable[Update]) -> Iterable[bytes]:
        """Yield the events for updates. An update without news has none."""
        for update in updates:
            if update.chunk or update.last:
                for body, ending in self._parts(update):
                    choice = encode_json(self._choice(update._replace(ending=ending), body))
                    yield b'data: %s,"choices":[%s]}\n\n' % (self._opening, choice)

    def end(self, tokens: int) -> bytes:
        """Return the number of tokens, if the request asked for it, and the end of the stream."""
        if "usage" not in self._head:
            return DONE
        return encode_event({**self._head, "choices": [], "usage": self._usage(tokens)}) + DONE

    def _choice(self, update: Update, body: dict[str, Any]) -> dict[str, Any]:
        ending = update.ending
        reason = ending if ending in (None, "length") else "stop"
        choice = {"index": update.text.choice, "logprobs": None, **body}
        return {**choice, "finish_reason": reason, "ending": ending}

    def _parts(self, update: Update) -> Iterable[tuple[dict[str, Any], TextEnding | None]]:
        """Yield what the events of an update have, and the ending of each."""
        yield self._body(update), update.ending

    def _body(self, update: Update) -> dict[str, Any]:
        """Return the text of an update, and its log-probabilities."""
        text, chunk = update.text, update.chunk
        if self._echo and text in self._new:
            chunk = text.prompt.text + chunk
        self._new.discard(text)
        if update.logprobs is None:
            return {"text": chunk}
        start, count = self._offsets[text], len(update.logprobs)
        self._offsets[text] += len(chunk)
        logprobs = {
            "tokens": _tokens(update),
            "token_logprobs": update.logprobs,
            "top_logprobs": None,
            "text_offset": [*range(start, start + count)],
        }
        return {"text": chunk, "logprobs": logprobs}

    def _usage(self, tokens: int) -> dict[str, int]:
        prompt_tokens = count_prompt_tokens(self.texts)
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": prompt_tokens + tokens,
        }


class ChatWriter(Writer):
    """Formats the texts of a request for chat completions."""

    kind, prefix, event_kind = "chat.completion", "chatcmpl-", "chat.completion.chunk"

    def _body(self, update: Update) -> dict[str, Any]:
        message = {"role": "assistant", "content": update.chunk, "refusal": None}
        return {"message": message, "logprobs": _chat_logprobs(update)}

    def _parts(self, update: Update) -> Iterable[tuple[dict[str, Any], TextEnding | None]]:
        # As in OpenAI's API, the role comes first and the reason of the end last, each in an event of its
        # own. Some clients ignore the content of such events.
        if update.text in self._new:
            self._new.remove(update.text)
            yield {"delta": {"role": "assistant", "content": ""}}, None
        if update.chunk or update.logprobs:
            yield {"delta": {"content": update.chunk}, "logprobs": _chat_logprobs(update)}, None
        if update.last:
            yield {"delta": {}}, update.ending


def _tokens(update: Update) -> list[str]:
    """Return the text of each token that has a log-probability: that of the end of a record is empty."""
    return [*update.chunk, ""][: len(update.logprobs or ())]


def _chat_logprobs(update: Update) -> dict[str, Any] | None:
    if update.logprobs is None:
        return None
    content = [
        {"token": token, "logprob": value, "bytes": [*token.encode()], "top_logprobs": []}
        for token, value in zip(_tokens(update), update.logprobs, strict=True)
    ]
    return {"content": content, "refusal": None}
