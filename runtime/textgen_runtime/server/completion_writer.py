"""What the responses of all endpoints of completions have in common, in the shape of OpenAI's API."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, get_args

from textgen_runtime.results import TextEnding
from textgen_runtime.system.json_text import to_json

from .completion_request import CompletionRequest
from .request_ids import request_id
from .text import Text, Update, count_prompt_tokens

DONE = b"data: [DONE]\n\n"

# As encode_json for a string. Every event needs it, and json.dumps would create this object each time.
encode_string = json.JSONEncoder(ensure_ascii=False).encode


def encode_json(value: object) -> bytes:
    """Return a value as compact JSON in UTF-8."""
    return to_json(value, ascii_only=False, compact=True).encode()


def encode_event(value: object) -> bytes:
    """Return a server-sent event with a JSON value."""
    return b"data: %s\n\n" % encode_json(value)


def finish_reason(ending: str | None) -> str | None:
    """Return the name that OpenAI's API has for an ending."""
    return ending if ending in (None, "length") else "stop"


# The end of an event with one choice.
TAILS: dict[TextEnding | None, bytes] = {
    ending: b',"logprobs":null,"finish_reason":%s,"ending":%s}]}\n\n'
    % (encode_json(finish_reason(ending)), encode_json(ending))
    for ending in (None, *get_args(TextEnding))
}


class CompletionWriter(ABC):
    """Formats the texts of a request, as a response or as server-sent events.

    Args:
        model_name: The name of the model.
        texts: The texts.
        warnings: As ``prepare`` returns them.
        request: The request.

    Attributes:
        texts: The texts.
        id_prefix: What the id of a response begins with, before the id of the request.
        response_object: The kind of a response.
        event_object: The kind of an event.
    """

    id_prefix: ClassVar[str]
    response_object: ClassVar[str]
    event_object: ClassVar[str]

    def __init__(
        self, model_name: str, texts: Sequence[Text], warnings: Sequence[str], request: CompletionRequest
    ) -> None:
        self.texts = texts
        # The fields that come before the choices.
        self._head: dict[str, Any] = {
            "id": f"{self.id_prefix}{request_id.get()}",
            "object": self.event_object if request.stream else self.response_object,
            "created": int(time.time()),
            "model": model_name,
            "seed": request.seed,
        }
        if warnings:
            self._head["warnings"] = warnings
        if request.include_usage:
            self._head["usage"] = None
        self._alternatives = request.alternatives
        # Most events are an opening, the new text and a tail. Formatting them as a whole takes several times
        # as long.
        self._opening = encode_json(self._head)[:-1]
        self._openings = [b'data: %s,"choices":[{"index":%d,' % (self._opening, i) for i in range(len(texts))]

    @abstractmethod
    def choice(self, text: Text, updates: Sequence[Update]) -> dict[str, Any]:
        """Return a text of a response from all its updates, in order."""

    @abstractmethod
    def events(self, update: Update) -> bytes:
        """Return the events for an update, or nothing if it has no news."""

    def response(self, choices: Iterable[bytes], tokens: int) -> bytes:
        """Return the response with the JSON of all choices and the number of tokens that were generated."""
        usage = encode_json(self._usage(tokens))
        return b'%s,"choices":[%s],"usage":%s}' % (self._opening, b",".join(choices), usage)

    def end(self, tokens: int) -> bytes:
        """Return the number of tokens, if the request asked for it, and the end of the stream."""
        if "usage" not in self._head:
            return DONE
        return encode_event({**self._head, "choices": [], "usage": self._usage(tokens)}) + DONE

    def _usage(self, tokens: int) -> dict[str, int]:
        prompt_tokens = count_prompt_tokens(self.texts)
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": prompt_tokens + tokens,
        }
