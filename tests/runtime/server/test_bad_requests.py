"""Wrong requests get an error that names the field, and leave no text behind."""

import json
from typing import Any

import pytest
import textgen_runtime as textgen
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime.sampling import CONSTRAINTS

from tests.helpers.served import Answer, asynchronous, served


def error_of(answer: Answer) -> dict[str, Any]:
    """Check that a response is an error in the shape of OpenAI's API. Return the error."""
    assert answer.headers["content-type"] == "application/json"
    (error,) = answer.json.values()
    assert isinstance(error, dict)
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"]
    assert error["type"] == "invalid_request_error"
    return error


def check_error(answer: Answer, status: int, message: str, param: str | None = None) -> None:
    """Check the status and the fields of an error."""
    assert answer.status == status, answer.body
    error = error_of(answer)
    assert message in error["message"]
    assert error["param"] == param


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b'{"temperature": NaN}', "NaN is not JSON"),
        (b'{"temperature": 1e999}', "the number 1e999 is too large"),
        (b'{"seed": 1' + b"0" * 5000 + b"}", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON: it is nested too deeply"),
        (b"[]", "the body must be a JSON object, not a list"),
        (b"null", "the body must be a JSON object, not null"),
        (b'"prompt"', "the body must be a JSON object, not a string"),
    ],
)
@asynchronous
async def test_a_body_must_be_a_json_object(tiny: textgen.Model, body: bytes, message: str) -> None:
    async with served(tiny) as server:
        check_error(await server.post(body), 400, message)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"promt": "a"}, "unknown field 'promt': remove it, or start the server with --ignore-", "promt"),
    *[({"suffix": value}, "suffix is not supported: remove it", "suffix") for value in ("a", True)],
    ({"best_of": 2}, "best_of must be equal to n", "best_of"),
    ({"best_of": "1"}, "best_of must be an integer, not a string", "best_of"),
    ({"prompt": 1}, "prompt must be a string or a list of strings, not a number", "prompt"),
    ({"prompt": [1, 2]}, "prompt must be text: this server does not accept tokens", "prompt"),
    ({"prompt": ["a", None]}, "prompt must be a string or a list of strings, but has null", "prompt"),
    ({"prompt": []}, "prompt must have from 1 to 768 strings, not 0", "prompt"),
    # The fields are checked before the form of the response.
    ({"prompt": ["a", "Z"], "stream": True}, "not in the model's vocabulary: 'z'", "prompt"),
    ({"prompt": "\ud800"}, "not in the model's vocabulary", "prompt"),
    ({"prompt": "ZZ", "unknown": "skip"}, "none of its characters is in the vocabulary", "prompt"),
    ({"unknown": "keep"}, 'unknown must be "error" or "skip", not \'keep\'', "unknown"),
    ({"max_tokens": -1}, "max_tokens must be from 0 to 100000, not -1", "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens must be an integer, not a number", "max_tokens"),
    (
        {"max_completion_tokens": -1},
        "max_completion_tokens must be from 0 to 100000",
        "max_completion_tokens",
    ),
    ({"max_tokens": True}, "max_tokens must be an integer, not a boolean", "max_tokens"),
    ({"n": 0}, "n must be from 1 to 768, not 0", "n"),
    ({"n": 10**400}, "n must be from 1 to 768, not an integer of 1,329 bits", "n"),
    ({"prompt": ["a"] * 400, "n": 2}, "n and the number of prompts ask for 800 texts", "n"),
    ({"seed": -1}, "seed must be from 0 to 2**128 - 1, not -1", "seed"),
    ({"seed": 2**128}, "seed must be from 0 to 2**128 - 1", "seed"),
    ({"logprobs": 6}, "logprobs must be from 0 to 5, not 6", "logprobs"),
    ({"echo": "yes"}, "echo must be true or false, not a string", "echo"),
    (
        {"stream": True, "stream_options": {"include": True}},
        "unknown field 'stream_options.include'",
        "stream_options.include",
    ),
    ({"stream_options": {}}, 'stream_options is only for "stream": true', "stream_options"),
    ({"stop": ["a"] * 5}, "stop must have from 0 to 4 strings, not 5", "stop"),
    ({"stop": ["a" * 5000, "b" * 5001]}, "stop has 10001 characters: at most 10000", "stop"),
    ({"stop": [1]}, "stop must be a string or a list of strings, but has a number", "stop"),
    ({"temperature": -0.1}, "temperature must be a finite number, 0 or more", "temperature"),
    ({"temperature": "1"}, "temperature must be a number, not a string", "temperature"),
    ({"mirostat_tau": 2, "top_k": 3}, "mirostat_tau takes the place of top_k", "mirostat_tau"),
    ({"logit_bias": [1]}, "logit_bias must be an object of numbers by character", "logit_bias"),
    ({"logit_bias": {"a": "1"}}, "logit_bias must have a number for 'a'", "logit_bias"),
    ({"logit_bias": {"50256": -100}}, "logit_bias has characters outside the model's", "logit_bias"),
    ({"allowed": "Z"}, "allowed and banned leave no character", "allowed"),
    ({"choices": []}, "choices must have from 1 to", "choices"),
    ({"json_schema": []}, "json_schema must be a schema as an object or a string", "json_schema"),
]


@pytest.mark.parametrize(("fields", "message", "param"), WRONG, ids=lambda value: str(value)[:40])
@asynchronous
async def test_a_wrong_field_is_named(
    tiny: textgen.Model, fields: dict[str, Any], message: str, param: str
) -> None:
    async with served(tiny) as server:
        answer = await server.complete(**({"prompt": "a"} | fields))
    check_error(answer, 400, message, param)


@asynchronous
async def test_a_length_with_both_of_its_names_is_refused(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.complete(prompt="a", max_tokens=5, max_completion_tokens=5)
    message = "max_tokens and max_completion_tokens are two names of one field: send only one"
    check_error(answer, 400, message, "max_tokens")
    assert answer.json["error"]["code"] == "invalid_parameter_combination"


@asynchronous
async def test_a_request_for_another_model_is_refused(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        answer = await server.complete(model="gpt-4", prompt="a")
        assert (await server.complete(model="tiny", prompt="a")).status == 200
    check_error(answer, 404, "there is no model 'gpt-4': this server has 'tiny'", "model")
    assert answer.json["error"]["code"] == "model_not_found"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-2, 6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-1, 2)
    | st.text("abd é€Z0\0\ud800", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.text("abZ1", max_size=2) | st.sampled_from(["include_usage", "content", "type", "text"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
PLAIN_NAMES = [name for name in textgen.PARAMETERS if name not in CONSTRAINTS]
SHARED_NAMES = (
    "n",
    "seed",
    "logprobs",
    "stream",
    "stream_options",
    "response_format",
    "unknown",
    *PLAIN_NAMES,
)
TEXT_NAMES = ("prompt", "echo", "messages", *SHARED_NAMES)
CHAT_NAMES = ("messages", "top_logprobs", "tools", "tool_choice", "modalities", "prompt", *SHARED_NAMES)


def check_answer(model: textgen.Model, path: str, body: Any) -> None:
    """Check that a body gets texts, or an error."""

    @asynchronous
    async def check() -> None:
        async with served(model) as server:
            answer = await server.request("POST", path, json.dumps(body).encode())
        assert answer.status in (200, 400), answer.body
        assert answer.status == 200 or error_of(answer)["message"]

    check()


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
@given(data=st.data())
def test_no_field_of_any_value_is_a_defect(tiny: textgen.Model, path: str, data: st.DataObject) -> None:
    names = TEXT_NAMES if path == "/v1/completions" else CHAT_NAMES
    first: Any = {"prompt": "a"} if path == "/v1/completions" else {"messages": [{"content": "a"}]}
    fields = data.draw(st.dictionaries(st.sampled_from([*names, "", "a"]), VALUES, max_size=4))
    check_answer(tiny, path, first | {"max_tokens": 5} | fields)


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
@given(body=VALUES)
def test_no_body_is_a_defect(tiny: textgen.Model, path: str, body: Any) -> None:
    check_answer(tiny, path, body)
