"""Constraints in requests."""

import asyncio
import json
import re
from typing import Any

import pytest
import textgen_runtime as textgen

from tests.helpers.make_tiny_model import make_model
from tests.helpers.served import ENDLESS, OpenCall, asynchronous, served
from tests.runtime.server.test_bad_requests import check_error

CONSTRAINTS: list[dict[str, Any]] = [
    {"match": "[abc]+ (dad|é€)+"},
    {"match": "(ab|ba)*", "resample": 50},
]


@pytest.mark.parametrize(("constraint", "stream"), [*zip(CONSTRAINTS, [False, True], strict=True)], ids=str)
@asynchronous
async def test_constrained_texts_are_those_of_generate(
    tiny_path: object, constraint: dict[str, Any], stream: bool
) -> None:
    model = textgen.load(str(tiny_path))
    prompts = ["a", "dad ", "é", "b"]
    async with served(model) as server:
        answer = await server.complete(prompt=prompts, max_tokens=30, seed=3, stream=stream, **constraint)
    assert answer.status == 200, answer.body
    assert answer.texts == model.generate(prompts, length=30, seed=3, **({"temperature": 1.0} | constraint))
    if "match" in constraint:
        assert all(re.fullmatch(constraint["match"], text) for text in answer.texts)
    parts = answer.events if stream else [answer.json]
    choices = [choice for part in parts for choice in part["choices"] if choice["ending"]]
    assert len(choices) == 4
    for choice in choices:
        assert choice["finish_reason"] == ("length" if choice["ending"] == "length" else "stop")


@asynchronous
async def test_a_text_whose_trials_fail_says_so(tiny_path: object) -> None:
    async with served(textgen.load(str(tiny_path))) as server:
        answer = await server.complete(prompt="a", seed=3, match="dadadadada", resample=2)
    (choice,) = answer.json["choices"]
    assert (choice["text"], choice["finish_reason"], choice["ending"]) == ("dadadadada", "stop", "masked")


@pytest.mark.parametrize(
    ("fields", "message", "param"),
    [
        ({"match": "("}, "", "match"),
        ({"choices": ["abc", "XYZ"]}, "", "choices"),
        ({"json_schema": {"type": "banana"}}, "", "json_schema"),
        (
            {"match": "a{50}"},
            "at least 50 tokens, but the length is 16: use a greater max_tokens",
            "max_tokens",
        ),
        (
            {"match": "a{50}", "max_completion_tokens": 9},
            "at least 50 tokens, but the length is 9: use a greater max_completion_tokens",
            "max_completion_tokens",
        ),
    ],
)
@asynchronous
async def test_a_constraint_that_cannot_be_met_is_refused(
    tiny_path: object, fields: dict[str, Any], message: str, param: str
) -> None:
    async with served(textgen.load(str(tiny_path))) as server:
        answer = await server.complete(prompt="a", **fields)
    assert answer.status == 400, answer.body
    error = answer.json["error"]
    assert message in error["message"]
    assert "\n" not in error["message"]
    assert error["param"] == param


@asynchronous
async def test_expensive_expressions_do_not_stop_running_texts(tiny_path: object) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": ENDLESS, "stream": True}).encode()
    async with served(textgen.load(str(tiny_path)), max_length=ENDLESS) as server:
        running = OpenCall(server.app, body)
        await running.beginning()
        exploding = [
            asyncio.create_task(server.complete(prompt="a", match=f"(a|b)*a(a|b){{{size}}}c"))
            for size in (30, 31, 32)
        ]
        events = 0
        while not all(task.done() for task in exploding):
            await running.messages.get()
            events += 1
        for task in exploding:
            answer = await task
            assert (answer.status, answer.json["error"]["param"]) == (400, "match")
        assert events > 1
        running.leave()


@asynchronous
async def test_max_copy_needs_a_server_with_a_corpus(tiny_path: object) -> None:
    plain = textgen.load(str(tiny_path))
    likely = plain.generate("abc", length=100, temperature=0)
    fields: dict[str, Any] = {"prompt": "abc", "max_tokens": 20, "temperature": 0, "max_copy": 5}
    async with served(plain.with_novel(likely)) as server:
        answer = await server.complete(**fields)
    assert answer.texts[0][:5] == likely[:5]
    assert answer.texts[0][:6] != likely[:6]
    async with served(plain) as server:
        answer = await server.complete(**fields)
    assert answer.status == 400
    assert answer.json["error"]["param"] == "max_copy"
    assert answer.json["error"]["message"].endswith("pass it as --novel of textgen-serve")


@pytest.fixture(scope="module")
def ascii_model() -> textgen.Model:
    """A model that can write JSON."""
    return textgen.load(make_model([chr(code) for code in range(32, 127)]).SerializeToString())


PET = {"type": "object", "properties": {"pet": {"enum": ["cat", "dog"]}}, "required": ["pet"]}
# As clients send it.
NAMED = {"name": "Pet", "strict": True, "description": "a pet", "schema": PET}


@pytest.mark.parametrize(
    ("response_format", "schema"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "object"}),
        ({"type": "json_schema", "json_schema": NAMED}, PET),
    ],
    ids=["text", "json_object", "json_schema"],
)
@asynchronous
async def test_a_response_format_is_a_json_schema(
    ascii_model: textgen.Model, response_format: dict[str, Any], schema: dict[str, Any] | None
) -> None:
    fields: dict[str, Any] = {"max_tokens": 60, "seed": 3}
    async with served(ascii_model) as server:
        chat = await server.chat("a", response_format=response_format, **fields)
        text = await server.complete(prompt="a", response_format=response_format, **fields)
    constraint: dict[str, Any] = {} if schema is None else {"json_schema": json.dumps(schema)}
    expected = ascii_model.generate("a", length=60, seed=3, temperature=1.0, **constraint)
    assert chat.texts == text.texts == [expected]


@pytest.mark.parametrize(
    ("fields", "message", "param"),
    [
        (
            {"response_format": {"type": "xml"}},
            'response_format.type must be "text", "json_object" or "json_schema", not \'xml\'',
            "response_format.type",
        ),
        ({"response_format": {}}, "not None", "response_format.type"),
        (
            {"response_format": {"type": "json_schema"}},
            'response_format.json_schema must be an object with the field "schema"',
            "response_format.json_schema",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            'response_format.json_schema must be an object with the field "schema"',
            "response_format.json_schema",
        ),
        (
            {"response_format": {"type": "json_object"}, "json_schema": {}},
            "response_format and json_schema are two schemas: send only one",
            "response_format",
        ),
        (
            {"response_format": {"type": "text", "json_schema": NAMED}},
            'response_format.json_schema is only for "type": "json_schema"',
            "response_format.json_schema",
        ),
    ],
    ids=["type", "no type", "no schema", "empty schema", "two schemas", "schema of a text"],
)
@asynchronous
async def test_a_wrong_response_format_is_refused(
    tiny_path: object, fields: dict[str, Any], message: str, param: str
) -> None:
    async with served(textgen.load(str(tiny_path)), ignore_unknown_fields=True) as server:
        answer = await server.chat("a", **fields)
    assert answer.status == 400
    assert message in answer.json["error"]["message"]
    assert answer.json["error"]["param"] == param


@pytest.mark.parametrize(
    ("response_format", "name"),
    [
        ({"type": "json_object", "schema": {"type": "integer"}}, "response_format.schema"),
        (
            {"type": "json_schema", "json_schema": {"schema": {"const": 1}, "scheme": {}}},
            "response_format.json_schema.scheme",
        ),
    ],
    ids=["format", "schema"],
)
@asynchronous
async def test_unknown_fields_of_a_response_format_are_refused_or_logged(
    ascii_model: textgen.Model, caplog: pytest.LogCaptureFixture, response_format: dict[str, Any], name: str
) -> None:
    fields = {"max_tokens": 9, "response_format": response_format}
    async with served(ascii_model) as server:
        check_error(await server.complete(prompt="a", **fields), 400, f"unknown field '{name}'", name)
    async with served(ascii_model, ignore_unknown_fields=True) as server:
        assert (await server.complete(prompt="a", **fields)).status == 200
    assert caplog.messages == [f"ignores unknown fields of requests: '{name}'"]
