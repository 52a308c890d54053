"""The endpoint ``POST /v1/chat/completions``: its fields, and the shape of its responses.

The model holds no conversations. It continues the text of the last message.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from .completion_request import MAX_ALTERNATIVES, CompletionRequest, OwnFields, take_request
from .completion_writer import TAILS, CompletionWriter, encode_event, encode_string, finish_reason
from .fields import Fields
from .requests import Settings
from .text import Text, TokenScore, Update

CHAT_PATH = "/v1/chat/completions"

# The fields of OpenAI's API that a response would have to follow, and their values that ask for nothing.
NO_TOOLS = "is not supported: the model continues texts and calls no tools: remove it"
UNSUPPORTED: dict[str, tuple[str, tuple[object, ...]]] = {
    "prompt": ("is a field of POST /v1/completions: send messages, or use that path", ()),
    "tools": (NO_TOOLS, ([],)),
    "tool_choice": (NO_TOOLS, ("none", "auto")),
    "functions": (NO_TOOLS, ([],)),
    "function_call": (NO_TOOLS, ("none", "auto")),
    "modalities": ('must be ["text"]', (["text"],)),
    "audio": ("is not supported: remove it", ()),
    "web_search_options": ("is not supported: remove it", ()),
}


def take_chat_request(fields: Fields, settings: Settings, default_length: int) -> CompletionRequest:
    """Take the fields of a request for chat completions.

    Args:
        fields: The fields.
        settings: The limits of the server.
        default_length: Maximum number of tokens per text if no field gives it. It depends on the model.
            OpenAI's API has no limit.

    Raises:
        RequestError: If one is wrong. The error names the field.
    """
    for name, (reason, harmless) in UNSUPPORTED.items():
        fields.refuse(name, reason, *harmless)
    scored = bool(fields.take("logprobs", bool))
    alternatives = fields.integer("top_logprobs", 0, MAX_ALTERNATIVES)
    if alternatives and not scored:
        raise fields.error("top_logprobs", 'is only for "logprobs": true')
    own = OwnFields(
        prompts=[_prompt(fields) or None],
        prompt_field="messages",
        default_length=default_length,
        alternatives=(alternatives or 0) if scored else None,
        # A person types the message, and a chat front end cannot say what to do with an emoji.
        default_unknown="skip",
    )
    return take_request(fields, settings, own)


def _prompt(fields: Fields) -> str:
    """Return the text of the last message. The others, and its other fields, have no effect."""
    messages = fields.take("messages", list)
    if not messages or not isinstance(messages[-1], dict):
        raise fields.error("messages", "must be a list of messages: the model continues the last one")
    last = Fields(messages[-1], f"messages[{len(messages) - 1}]")
    content = last.take("content", str, list, what="a string or a list of parts")
    if isinstance(content, str):
        return content
    texts = []
    for part in content or [None]:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            raise last.error("content", "must be a text, or a list of parts of the type text")
        texts.append(text)
    return "".join(texts)


class ChatWriter(CompletionWriter):
    """Formats the texts of a request for chat completions."""

    id_prefix = "chatcmpl-"
    response_object = "chat.completion"
    event_object = "chat.completion.chunk"

    def __init__(
        self, model_name: str, texts: Sequence[Text], warnings: Sequence[str], request: CompletionRequest
    ) -> None:
        super().__init__(model_name, texts, warnings, request)
        self._without_role = set(texts)

    def choice(self, text: Text, updates: Sequence[Update]) -> dict[str, Any]:
        """Return a text of a response from all its updates, in order."""
        content = "".join([update.chunk for update in updates])
        ending = updates[-1].ending
        return {
            "index": text.choice,
            "message": {"role": "assistant", "content": content, "refusal": None},
            "logprobs": self._logprobs([score for update in updates for score in update.scores]),
            "finish_reason": finish_reason(ending),
            "ending": ending,
        }

    def events(self, update: Update) -> bytes:
        """Return the events for an update, or nothing if it has no news.

        As in OpenAI's API, the role comes first and the reason of the end last, each in an event of its own.
        Some clients ignore the content of such events.
        """
        text = update.text
        if not (update.chunk or update.last):
            return b""
        opening = self._openings[text.choice] + b'"delta":'
        parts = []
        if text in self._without_role:
            self._without_role.remove(text)
            parts += [opening, b'{"role":"assistant","content":""}', TAILS[None]]
        if update.scores:
            parts.append(self._scored_event(update))
        elif update.chunk:
            parts += [opening, b'{"content":', encode_string(update.chunk).encode(), b"}", TAILS[None]]
        if update.last:
            parts += [opening, b"{}", TAILS[update.ending]]
        return b"".join(parts)

    def _scored_event(self, update: Update) -> bytes:
        choice = {
            "index": update.text.choice,
            "delta": {"content": update.chunk},
            "logprobs": self._logprobs(update.scores),
            "finish_reason": None,
            "ending": None,
        }
        return encode_event({**self._head, "choices": [choice]})

    def _logprobs(self, scores: Sequence[TokenScore]) -> dict[str, Any] | None:
        if self._alternatives is None:
            return None
        content = []
        for score in scores:
            # The likeliest tokens come first, and then the token itself if it is not one of them.
            top = islice((score.alternatives or {}).items(), self._alternatives)
            content.append(
                {
                    **_token_logprob(score.token, score.logprob),
                    "top_logprobs": [_token_logprob(token, logprob) for token, logprob in top],
                }
            )
        return {"content": content, "refusal": None}


def _token_logprob(token: str, logprob: float | None) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
