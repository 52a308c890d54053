"""Wrong requests get an error that names the field, and leave no text behind."""

import json
from typing import Any

import pytest
import textgen_runtime as textgen
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime.sampling import CONSTRAINTS

from tests.helpers.record_models import record_model
from tests.helpers.served import CHAT, TEXT, asynchronous, served

NOT_OBJECTS: list[bytes] = [
    *(b"", b"{", b"\xff", b"[]", b"null", b'"prompt"', b"[" * 100_000),
    *(b'{"temperature": NaN}', b'{"temperature": 1e999}', b'{"seed": 1' + b"0" * 5000 + b"}"),
]


@pytest.mark.parametrize("path", [TEXT, CHAT])
@asynchronous
async def test_a_body_must_be_a_json_object(tiny: textgen.Model, path: str) -> None:
    async with served(tiny) as server:
        for body in NOT_OBJECTS:
            answer = await server.request(path, body)
            assert (answer.error, answer.json["error"]["code"]) == ((400, None), "invalid_json")


FORMAT = "response_format"


def each(name: str, *values: Any, **others: Any) -> list[tuple[dict[str, Any], str]]:
    """Requests with each of these values of a field, which the error must name."""
    return [({**others, name: value}, name) for value in values]


WRONG = [
    *(*each("promt", "a"), *each("model", 1), *each("unknown", "keep", 1), *each("user", 1)),
    *(*each("max_tokens", -1, 1.5, True, "9", 100_001), *each("max_completion_tokens", -1, 0.5)),
    *(*each("n", 0, 769, 10**400, "1"), *each("seed", -1, 2**128, 0.5), *each("stream", 1)),
    *each("stream_options", []),
    ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    *each("stop", [1], 1, [""], ["a" * 5000, "b" * 5001], "a" * 10_001),
    *(*each("temperature", -0.1, "1", []), *each("top_p", 0), *each("top_k", 1.5)),
    *(*each("keep_stop", "no"), *each("mirostat_tau", 2, top_k=3), *each("allowed", "Z")),
    *each("logit_bias", [1], {"a": "1"}, {"a": 101}, {"50256": -100}, {"": 1}),
    *(*each("min_length", 3), *each("resample", 3), *each("choices", [], ["abc", "XYZ"], [1], {})),
    *(*each("match", "(", "Z", 1), *each("json_schema", [], {"type": "banana"}, "{")),
    *(*each("max_tokens", 16, match="a{50}"), ({"max_completion_tokens": 9, "match": "a{50}"}, "max_tokens")),
    *(*each(FORMAT, []), *each(FORMAT, {"type": "json_object"}, json_schema={})),
    *each(FORMAT, {}, {"type": "xml"}, {"type": 1}, {"type": "json_schema"}),
    *each(FORMAT, *({"type": "json_schema", "json_schema": value} for value in (1, {}, {"schema": 1}))),
]
WRONG_TEXT = [
    *each("prompt", 1, [1, 2], ["a", None], [], ["a"] * 769, "Z", "\ud800", ["a", "Z"]),
    *(*each("prompt", "ZZ", unknown="skip"), *each("n", 2, prompt=["a"] * 400)),
    *(*each("suffix", "a", True), *each("best_of", 2, "1"), *each("echo", "yes"), *each("messages", [])),
    *(*each("logprobs", 1, True, -1), *each("echo", True, logprobs=0)),
    *each("logprobs", 0, n=10, max_tokens=1001),
]
IMAGE = {"type": "image", "text": "a"}
WRONG_CHAT = [
    *(*each("messages", [], {}, ["a"], "a", [[]], [{"content": "Z"}]), *each("audio", {})),
    *each("messages", [{"content": "aZ"}], unknown="error"),
    *[
        ({"messages": [{}, {"content": value}]}, "messages[1].content")
        for value in (None, 1, [], [1], [IMAGE])
    ],
    *(*each("tools", [{}]), *each("tool_choice", "required"), *each("prompt", "a")),
    *(*each("modalities", ["audio"]), *each("echo", True), *each("best_of", 1), *each("logprobs", 1)),
    *each("top_logprobs", 1, logprobs=True),
    *each("logprobs", True, n=10, max_tokens=1001),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "wrong"), [(TEXT, WRONG + WRONG_TEXT), (CHAT, WRONG + WRONG_CHAT)])
@asynchronous
async def test_a_wrong_field_is_named(tiny: textgen.Model, path: str, wrong: Any, stream: bool) -> None:
    # There is no place in the queue that a wrong request could leave taken.
    async with served(tiny, max_users=768, max_queue=0) as server:
        for fields, param in wrong:
            answer = await server.ask(path, "a", **{"stream": stream, **fields})
            assert answer.error == ((400, param)), fields
            assert server.worker.texts == 0
        assert (await server.ask(path, "a", n=768, max_tokens=1)).status == 200


@asynchronous
async def test_fields_that_a_client_relies_on_are_refused_where_unknown_ones_are_ignored(
    tiny: textgen.Model,
) -> None:
    async with served(tiny, ignore_unknown_fields=True) as server:
        assert (await server.complete(prompt="a", suffix="b")).error == (400, "suffix")
        assert (await server.ask(CHAT, "a", tools=[{}])).error == (400, "tools")


@pytest.mark.parametrize("path", [TEXT, CHAT])
@asynchronous
async def test_a_request_for_another_model_is_refused(tiny: textgen.Model, path: str) -> None:
    async with served(tiny) as server:
        answer = await server.ask(path, "a", model="gpt-4")
    assert (answer.error, answer.json["error"]["code"]) == ((404, "model"), "model_not_found")


@pytest.mark.parametrize("level", ["byte", "word"])
@asynchronous
async def test_log_probabilities_of_other_levels_are_refused(level: str) -> None:
    async with served(record_model(level)) as server:
        assert (await server.complete(prompt="cab", logprobs=0)).error == (400, "logprobs")


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
SHARED_NAMES = [
    "n",
    "seed",
    "logprobs",
    "stream",
    "stream_options",
    FORMAT,
    "unknown",
    "messages",
    "prompt",
    "",
    "a",
]
TEXT_NAMES = ["echo", "best_of", *SHARED_NAMES, *PLAIN_NAMES]
CHAT_NAMES = ["top_logprobs", "tools", "tool_choice", "modalities", *SHARED_NAMES, *PLAIN_NAMES]


def check_answer(model: textgen.Model, path: str, body: Any) -> None:
    """Check that a body gets texts, or an error of the client."""

    @asynchronous
    async def check() -> None:
        async with served(model) as server:
            answer = await server.request(path, json.dumps(body))
        assert answer.status == 200 or answer.error[0] == 400, answer.body

    check()


@pytest.mark.parametrize(("path", "names"), [(TEXT, TEXT_NAMES), (CHAT, CHAT_NAMES)])
@given(data=st.data())
def test_no_field_of_any_value_is_a_defect(
    tiny: textgen.Model, path: str, names: list[str], data: st.DataObject
) -> None:
    first: Any = {"prompt": "a"} if path == TEXT else {"messages": [{"content": "a"}]}
    fields = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=4))
    check_answer(tiny, path, {**first, "max_tokens": 5, **fields})


@pytest.mark.parametrize("path", [TEXT, CHAT])
@given(body=VALUES)
def test_no_body_is_a_defect(tiny: textgen.Model, path: str, body: Any) -> None:
    check_answer(tiny, path, body)
