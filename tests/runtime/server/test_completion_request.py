"""From the body of a request to its texts: sampling fields, and the preparation in a thread."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime import PARAMETERS, Sampling
from textgen_runtime.server import completions
from textgen_runtime.server.completion_request import CompletionRequest, parse_request
from textgen_runtime.server.fields import Fields
from textgen_runtime.server.preparation import prepare
from textgen_runtime.server.requests import Settings
from textgen_runtime.server.sampling_fields import take_sampling
from textgen_runtime.server.text_completions import take_text_request

from tests.helpers.served import OpenCall, Served, asynchronous, served, until

# A value in JSON, and in `Sampling`, by the kind of the parameter.
VALUES: dict[str, tuple[Any, Any]] = {
    "number": (0.25, 0.25),
    "whole": (3, 3),
    "switch": (True, True),
    "text": ("a b|c", "a b|c"),
    "characters": ("ab\n", ("a", "b", "\n")),
    "texts": (["a b", "\n"], ("a b", "\n")),
    "biases": ({"e": -2, "a": 1.5}, (("a", 1.5), ("e", -2.0))),
    "choices": (["a b", "c"], ("a b", "c")),
    "schema": ({"enum": [2]}, '{"enum": [2]}'),
}
NEEDED: dict[str, dict[str, Any]] = {"resample": {"match": "a"}}


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_a_field(name: str) -> None:
    given, value = VALUES[PARAMETERS[name].kind]
    others = NEEDED.get(name, {})
    fields = Fields(others | {name: given})
    assert take_sampling(fields) == Sampling(**{"temperature": 1.0} | others | {name: value})
    fields.finish()


def test_without_fields_only_the_temperature_differs_from_that_of_python() -> None:
    assert take_sampling(Fields(dict.fromkeys(PARAMETERS))) == Sampling(temperature=1.0)


@pytest.mark.parametrize(
    ("fields", "quick"),
    [
        ({}, True),
        ({"stop": ["\n", "the end"], "n": 16, "temperature": 0.5}, True),
        ({"n": 17}, False),
        ({"prompt": "a" * 20_001}, False),
        ({"stop": ["a" * 250, "b" * 251]}, False),
        ({"match": "a"}, False),
        ({"choices": ["a"]}, False),
        ({"json_schema": {}}, False),
        ({"max_copy": 5}, False),
    ],
)
def test_only_cheap_requests_are_prepared_by_the_event_loop(fields: dict[str, object], quick: bool) -> None:
    body = json.dumps({"prompt": "a", **fields}).encode()
    assert parse_request(body, Settings("tiny"), take_text_request).is_quick == quick


class Preparation:
    """The preparation of requests, which takes until ``release`` is called.

    Attributes:
        prepared: The seeds of the requests whose preparation has begun.
    """

    def __init__(self) -> None:
        self.prepared: list[int] = []
        self._released = threading.Event()

    def release(self) -> None:
        """Let all preparations end."""
        self._released.set()

    def __call__(self, model: textgen.Model, request: CompletionRequest, deliver: object) -> object:
        """Prepare a request."""
        self.prepared.append(request.seed)
        self._released.wait()
        return prepare(model, request, deliver)  # type: ignore[arg-type]


@pytest.fixture
def slow_preparation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Preparation]:
    """The preparation of all requests in a thread."""
    slow = Preparation()
    monkeypatch.setattr(CompletionRequest, "is_quick", False)
    monkeypatch.setattr(completions, "prepare", slow)
    yield slow
    slow.release()


def call(server: Served, seed: int) -> OpenCall:
    """Send a request."""
    return OpenCall(server.app, json.dumps({"prompt": "a", "seed": seed}).encode())


@asynchronous
async def test_a_request_whose_client_has_left_is_not_prepared(
    tiny: textgen.Model, slow_preparation: Preparation
) -> None:
    async with served(tiny) as server:
        first, second, third = [call(server, seed) for seed in (1, 2, 3)]
        await until(lambda: slow_preparation.prepared and server.scheduler.texts == 3)
        for gone in (first, second):
            gone.leave()
            await gone.task
            assert gone.messages.empty()
        assert server.scheduler.texts == 1
        slow_preparation.release()
        assert (await third.answer()).texts == [tiny.generate("a", length=16, seed=3, temperature=1.0)]
    assert slow_preparation.prepared == [1, 3]


@asynchronous
async def test_the_end_of_the_server_does_not_wait_for_preparations(
    tiny: textgen.Model, slow_preparation: Preparation
) -> None:
    async with served(tiny) as server:
        calls = [call(server, seed) for seed in (1, 2, 3)]
        await until(lambda: slow_preparation.prepared and server.scheduler.texts == 3)
        await server.scheduler.stop()
        answers = [await late.answer() for late in calls]
    assert [answer.status for answer in answers] == [503, 503, 503]
    assert slow_preparation.prepared == [1]
