"""The JSON of responses and of server-sent events, in the shape of OpenAI's API."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from textgen_runtime.engines.base import TextEnding
from textgen_runtime.system.json_text import to_json

from .text import Text, Update
from .token_scores import TokenScore

DONE = b"data: [DONE]\n\n"

# As encode_json for a string. Every event needs it, and json.dumps would create this object each time.
_encode_string = json.JSONEncoder(ensure_ascii=False).encode


def encode_json(value: object) -> bytes:
    """Return a value as compact JSON in UTF-8."""
    return to_json(value, ascii_only=False, compact=True).encode()


def response(head: dict[str, Any], choices: Iterable[bytes], usage: dict[str, int]) -> bytes:
    """Return the JSON of a response.

    Args:
        head: The first fields.
        choices: The JSON of each choice.
        usage: The number of tokens.
    """
    return b'%s,"choices":[%s],"usage":%s}' % (encode_json(head)[:-1], b",".join(choices), encode_json(usage))


def event(value: object) -> bytes:
    """Return a server-sent event with a JSON value."""
    return b"data: %s\n\n" % encode_json(value)


def usage(texts: Iterable[Text], completion_tokens: int) -> dict[str, int]:
    """Return the number of tokens of a request. A prompt that several texts continue counts once.

    Args:
        texts: The texts of the request.
        completion_tokens: Number of tokens that were generated.
    """
    prompt_tokens = sum(len(prompt.tokens) for prompt in {text.prompt for text in texts})
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


class ChoiceWriter:
    """Formats one text of a response, part by part.

    Args:
        text: The text.
        echo: Whether the response starts with the prompt.
        scored: Whether the response has log-probabilities.
    """

    def __init__(self, text: Text, *, echo: bool, scored: bool) -> None:
        self._text = text
        self._needs_prompt = echo
        self._scored = scored
        self._offset = 0

    def is_plain(self) -> bool:
        """Return whether the next part consists of new text alone."""
        return not (self._needs_prompt or self._scored)

    def write(self, updates: Sequence[Update]) -> dict[str, Any]:
        """Return the next part of the text.

        Args:
            updates: One or more updates of this text, in order.
        """
        text = "".join([update.chunk for update in updates])
        scores = [score for update in updates for score in update.scores]
        if self._needs_prompt:
            self._needs_prompt = False
            text = self._text.prompt.text + text
            scores = self._text.prompt.scores + scores
        return {
            "index": self._text.choice,
            "text": text,
            "logprobs": self._log_probabilities(scores) if self._scored else None,
            "finish_reason": finish_reason(updates[-1].ending),
            "ending": updates[-1].ending,
        }

    def _log_probabilities(self, scores: list[TokenScore]) -> dict[str, Any]:
        offsets = []
        for score in scores:
            offsets.append(self._offset)
            self._offset += len(score.token)
        return {
            "tokens": [score.token for score in scores],
            "token_logprobs": [score.logprob for score in scores],
            "top_logprobs": [score.alternatives for score in scores],
            "text_offset": offsets,
        }


class EventWriter:
    """Formats the updates of a request as server-sent events.

    Args:
        head: The fields that all events share.
        texts: The texts of the request.
        echo: Whether each text starts with its prompt.
        scored: Whether the events have log-probabilities.
    """

    def __init__(self, head: dict[str, Any], texts: Sequence[Text], *, echo: bool, scored: bool) -> None:
        self._head = head
        self._choices = [ChoiceWriter(text, echo=echo, scored=scored) for text in texts]
        # Most events are an opening, the new text and a tail. Formatting them as a whole takes several times
        # as long.
        opening = encode_json(head)[:-1]
        self._openings = [
            b'data: %s,"choices":[{"index":%d,"text":' % (opening, i) for i in range(len(texts))
        ]

    def write(self, update: Update) -> bytes:
        """Return the event for an update, or nothing if it has no news."""
        if not (update.chunk or update.last):
            return b""
        choice = self._choices[update.text.choice]
        if not choice.is_plain():
            return event({**self._head, "choices": [choice.write([update])]})
        return b"".join(
            (
                self._openings[update.text.choice],
                _encode_string(update.chunk).encode(),
                TAILS[update.ending],
            )
        )

    def write_usage(self, counts: dict[str, int]) -> bytes:
        """Return the event with the number of tokens."""
        return event({**self._head, "choices": [], "usage": counts})


def finish_reason(ending: str | None) -> str | None:
    """Return the name that OpenAI's API has for an ending."""
    return ending if ending in (None, "length") else "stop"


TAILS: dict[TextEnding | None, bytes] = {
    ending: b',"logprobs":null,"finish_reason":%s,"ending":%s}]}\n\n'
    % (encode_json(finish_reason(ending)), encode_json(ending))
    for ending in (None, *get_args(TextEnding))
}
