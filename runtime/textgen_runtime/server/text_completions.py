"""The endpoint ``POST /v1/completions``: its fields, and the shape of its responses."""

from collections.abc import Sequence
from typing import Any

from .completion_request import MAX_ALTERNATIVES, CompletionRequest, OwnFields, take_request
from .completion_writer import TAILS, CompletionWriter, encode_event, encode_string, finish_reason
from .fields import TEXTS, Fields
from .requests import Settings
from .text import Text, Update

TEXT_PATH = "/v1/completions"

# That of OpenAI's API.
DEFAULT_LENGTH = 16


def take_text_request(fields: Fields, settings: Settings) -> CompletionRequest:
    """Take the fields of a request for completions.

    Raises:
        RequestError: If one is wrong. The error names the field.
    """
    fields.refuse("messages", "is a field of POST /v1/chat/completions: send prompt, or use that path")
    fields.refuse("suffix", "is not supported: remove it")
    own = OwnFields(
        prompts=_prompts(fields, settings),
        prompt_field="prompt",
        default_length=DEFAULT_LENGTH,
        alternatives=fields.integer("logprobs", 0, MAX_ALTERNATIVES),
        echo=bool(fields.take("echo", bool)),
    )
    request = take_request(fields, settings, own)
    if fields.take("best_of", int) not in (None, request.choices):
        raise fields.error("best_of", "must be equal to n: this server returns all texts")
    return request


def _prompts(fields: Fields, settings: Settings) -> list[str | None]:
    value = fields.take("prompt", str, list, what=TEXTS)
    if value is None:
        return [None]
    if isinstance(value, list) and value and isinstance(value[0], int | list):
        raise fields.error("prompt", "must be text: this server does not accept tokens")
    # Some clients send an empty prompt by default.
    return [text or None for text in fields.texts("prompt", settings.max_texts)]


class TextWriter(CompletionWriter):
    """Formats the texts of a request for completions."""

    id_prefix = "cmpl-"
    response_object = "text_completion"
    event_object = "text_completion"

    def __init__(
        self, model_name: str, texts: Sequence[Text], warnings: Sequence[str], request: CompletionRequest
    ) -> None:
        super().__init__(model_name, texts, warnings, request)
        self._without_prompt = set(texts) if request.echo else set()
        self._offsets = dict.fromkeys(texts, 0)

    def choice(self, text: Text, updates: Sequence[Update]) -> dict[str, Any]:
        """Return the next part of a text from one or more of its updates, in order."""
        characters = "".join([update.chunk for update in updates])
        scores = [score for update in updates for score in update.scores]
        if text in self._without_prompt:
            self._without_prompt.remove(text)
            characters = text.prompt.text + characters
            scores = text.prompt.scores + scores
        logprobs = None
        if self._alternatives is not None:
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

    def events(self, update: Update) -> bytes:
        """Return the event for an update, or nothing if it has no news."""
        text = update.text
        if not (update.chunk or update.last):
            return b""
        if self._alternatives is not None or text in self._without_prompt:
            return encode_event({**self._head, "choices": [self.choice(text, [update])]})
        chunk = encode_string(update.chunk).encode()
        return b"".join((self._openings[text.choice], b'"text":', chunk, TAILS[update.ending]))
