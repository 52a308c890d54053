"""Requests that are prepared in a thread: their clients can leave, and the server can stop."""

import json
import threading
from collections.abc import Iterator

import pytest
import textgen_runtime as textgen
from textgen_runtime.server import completions, preparation
from textgen_runtime.server.completion_request import CompletionRequest

from tests.helpers.served import OpenCall, Served, asynchronous, served, until

PREPARE = preparation.prepare


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
        return PREPARE(model, request, deliver)  # type: ignore[arg-type]


@pytest.fixture
def slow_preparation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Preparation]:
    """The preparation of all requests in a thread."""
    slow = Preparation()
    monkeypatch.setattr(completions, "is_quick", lambda _: False)
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
