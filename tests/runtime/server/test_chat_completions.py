"""Chat completions: the texts are those that continue the last message, in the shape of OpenAI's API."""

import json
from typing import Any

import pytest
import textgen_runtime as textgen

from tests.helpers.record_models import record_model
from tests.helpers.served import Served, asynchronous, served
from tests.runtime.server.test_bad_requests import check_error


@asynchronous
async def test_a_chat_continues_its_message(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.chat("dad ", max_tokens=300, seed=7, temperature=0.5)
    assert answer.status == 200
    body = answer.json
    assert body.pop("id") == "chatcmpl-" + answer.headers["x-request-id"]
    assert body.pop("created") > 0
    text = tiny.generate("dad ", length=300, seed=7, temperature=0.5)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": None,
        "finish_reason": "length",
        "ending": "length",
    }
    assert body == {
        "object": "chat.completion",
        "model": "tiny",
        "seed": 7,
        "choices": [choice],
        "usage": {"prompt_tokens": 4, "completion_tokens": 300, "total_tokens": 304},
    }


@pytest.mark.parametrize("length", [0, 9, 20_000])
@asynchronous
async def test_a_stream_has_the_role_then_the_text_then_the_reason(tiny: textgen.Model, length: int) -> None:
    async with served(tiny) as server:
        answer = await server.chat(
            "dad ", max_tokens=length, seed=7, n=2, stream=True, stream_options={"include_usage": True}
        )
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.texts == tiny.generate(["dad "] * 2, length=length, seed=7, temperature=1.0)
    *events, last = answer.events
    assert {event["object"] for event in answer.events} == {"chat.completion.chunk"}
    assert len({event["id"] for event in answer.events}) == 1
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 4 + 2 * length
    for index in range(2):
        choices = [event["choices"][0] for event in events if event["choices"][0]["index"] == index]
        deltas = [choice["delta"] for choice in choices]
        assert deltas[0] == {"role": "assistant", "content": ""}
        assert all(list(delta) == ["content"] for delta in deltas[1:-1])
        assert deltas[-1] == {}
        assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["length"]
        assert choices[-1]["ending"] == "length"


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [{"type": "text", "text": "d"}, {"type": "text", "text": "ad "}]}],
        [{"role": "system", "content": "Z"}, {"role": "user", "content": "a"}, {"content": "dad "}],
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "dad ", "refusal": None}],
        [None, {"role": "user", "content": "dad ", "name": "b"}],
    ],
    ids=["parts", "others", "assistant", "more fields"],
)
@asynchronous
async def test_only_the_text_of_the_last_message_has_an_effect(
    tiny: textgen.Model, messages: list[Any]
) -> None:
    async with served(tiny) as server:
        answer = await server.chat("", messages=messages, max_tokens=30, seed=7)
    assert answer.texts == [tiny.generate("dad ", length=30, seed=7, temperature=1.0)]


@asynchronous
async def test_a_chat_continues_a_message_without_characters_that_the_model_does_not_know(
    tiny: textgen.Model,
) -> None:
    async with served(tiny) as server:
        answer = await server.chat("dad \N{GRINNING FACE}", max_tokens=30, seed=7)
        stream = await server.chat("dad \N{GRINNING FACE}", max_tokens=30, seed=7, stream=True)
    assert answer.texts == stream.texts == [tiny.generate("dad ", length=30, seed=7, temperature=1.0)]
    warning = "1 prompt character is outside the vocabulary and was skipped: '\N{GRINNING FACE}' (U+1F600)"
    assert answer.json["warnings"] == stream.events[0]["warnings"] == [warning]


@asynchronous
async def test_an_empty_message_lets_the_model_choose_a_prompt(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.chat("", max_tokens=30, seed=7)
    assert answer.texts == [tiny.generate(length=30, seed=7, temperature=1.0)]


@pytest.mark.parametrize(("max_length", "length"), [(100_000, 400), (50, 50)])
@asynchronous
async def test_the_default_length_is_that_of_the_model(
    tiny: textgen.Model, max_length: int, length: int
) -> None:
    async with served(tiny, max_length=max_length) as server:
        answer = await server.chat("dad ", seed=7)
    assert answer.texts == [tiny.generate("dad ", length=length, seed=7, temperature=1.0)]


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_log_probabilities_are_those_of_the_other_endpoint(stream: bool) -> None:
    fields: dict[str, Any] = {"max_tokens": 300, "seed": 4}
    async with served(record_model()) as server:
        answer = await server.chat("cab", logprobs=True, top_logprobs=2, stream=stream, **fields)
        alone = await server.chat("cab", logprobs=True, **fields)
        other = (await server.complete(prompt="cab", logprobs=2, **fields)).json["choices"][0]
    parts = [part["choices"][0] for part in (answer.events if stream else [answer.json])]
    scores = [score for part in parts if part["logprobs"] for score in part["logprobs"]["content"]]
    assert [score["token"] for score in scores] == [*answer.texts[0], ""] == other["logprobs"]["tokens"]
    assert [score["bytes"] for score in scores] == [list(score["token"].encode()) for score in scores]
    assert [score["logprob"] for score in scores] == other["logprobs"]["token_logprobs"]
    for score, expected in zip(scores, other["logprobs"]["top_logprobs"], strict=True):
        top = {one["token"]: one["logprob"] for one in score["top_logprobs"]}
        assert len(top) == 2
        assert top == dict(list(expected.items())[:2])
    assert (parts[-1]["finish_reason"], parts[-1]["ending"]) == ("stop", "end")
    assert all(not score["top_logprobs"] for score in alone.json["choices"][0]["logprobs"]["content"])


async def chat_with(server: Served, fields: dict[str, Any]) -> Any:
    """Send a request that has these fields, too."""
    return await server.chat("a", **({"max_tokens": 5} | fields))


def message(content: object) -> dict[str, Any]:
    """The field ``messages`` with one message."""
    return {"messages": [{"role": "user", "content": content}]}


MESSAGES = "must be a list of messages: the model continues the last one"
NO_TOOLS = "is not supported: the model continues texts and calls no tools"


@pytest.mark.parametrize("ignore", [False, True])
@pytest.mark.parametrize(
    ("fields", "text", "param"),
    [
        ({"messages": None}, f"messages {MESSAGES}", "messages"),
        ({"messages": []}, f"messages {MESSAGES}", "messages"),
        ({"messages": ["a"]}, f"messages {MESSAGES}", "messages"),
        ({"messages": "a"}, "messages must be a list, not a string", "messages"),
        (message(None), "messages[0].content must be a text, or a list of parts", "messages[0].content"),
        (message(3), "content must be a string or a list of parts, not a number", "messages[0].content"),
        (message([]), "must be a text, or a list of parts of the type text", "messages[0].content"),
        (
            message([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]),
            "must be a text, or a list of parts of the type text",
            "messages[0].content",
        ),
        (message("Z"), "none of its characters is in the vocabulary", "messages"),
        (message("aZ") | {"unknown": "error"}, "not in the model's vocabulary: 'z'", "messages"),
        ({"prompt": "a"}, "prompt is a field of POST /v1/completions", "prompt"),
        ({"tools": [{"type": "function"}]}, f"tools {NO_TOOLS}", "tools"),
        ({"tool_choice": "required"}, f"tool_choice {NO_TOOLS}", "tool_choice"),
        ({"functions": [{"name": "f"}]}, f"functions {NO_TOOLS}", "functions"),
        ({"function_call": {"name": "f"}}, f"function_call {NO_TOOLS}", "function_call"),
        ({"modalities": ["text", "audio"]}, 'modalities must be ["text"]', "modalities"),
        ({"audio": {"voice": "a"}}, "audio is not supported: remove it", "audio"),
        ({"web_search_options": {}}, "web_search_options is not supported", "web_search_options"),
        ({"logprobs": 2}, "logprobs must be true or false, not a number", "logprobs"),
        ({"top_logprobs": 2}, 'top_logprobs is only for "logprobs": true', "top_logprobs"),
    ],
    ids=lambda value: str(value)[:40],
)
@asynchronous
async def test_what_cannot_be_done_is_refused_also_where_unknown_fields_are_ignored(
    tiny: textgen.Model, fields: dict[str, Any], text: str, param: str, ignore: bool
) -> None:
    async with served(tiny, ignore_unknown_fields=ignore) as server:
        check_error(await chat_with(server, fields), 400, text, param)


@asynchronous
async def test_fields_that_ask_for_nothing_have_no_effect(tiny: textgen.Model) -> None:
    tools = {"tools": [], "tool_choice": "auto", "functions": [], "function_call": "none"}
    others = {"modalities": ["text"], "audio": None, "logprobs": False, "top_logprobs": 0, "user": "b"}
    async with served(tiny) as server:
        answer = await chat_with(server, {"seed": 7, "response_format": {"type": "text"}, **tools, **others})
    assert answer.texts == [tiny.generate("a", length=5, seed=7, temperature=1.0)]


@asynchronous
async def test_messages_of_a_request_for_completions_are_refused(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.post(json.dumps(message("a")).encode())
    check_error(answer, 400, "messages is a field of POST /v1/chat/completions", "messages")
