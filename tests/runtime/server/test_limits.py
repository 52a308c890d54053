"""Limits on requests, texts, users and the queue, and the status of each."""

import json
from collections.abc import AsyncIterator

import pytest
import textgen_runtime as textgen
from textgen_runtime.server import completions

from tests.helpers.served import ENDLESS, OpenCall, Served, asynchronous, served, until

STREAM = json.dumps({"prompt": "a", "max_tokens": ENDLESS, "stream": True}).encode()


def endless(server: Served) -> OpenCall:
    """Request a text that does not end."""
    return OpenCall(server.app, STREAM)


@pytest.mark.parametrize("declared", [True, False])
@asynchronous
async def test_a_body_that_is_too_large_is_refused(tiny: textgen.Model, declared: bool) -> None:
    body = json.dumps({"prompt": "a" * 1000}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10):
            yield body[start : start + 10]

    async with served(tiny, max_body=len(body) - 1) as server:
        answer = await server.post(body if declared else pieces())
        assert answer.status == 413
        assert answer.headers["connection"] == "close"
        assert answer.json["error"]["code"] == "body_too_large"
    async with served(tiny, max_body=len(body)) as server:
        assert (await server.post(body if declared else pieces())).status == 200


@asynchronous
async def test_a_body_that_does_not_end_is_not_read_to_its_end(tiny: textgen.Model) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1000

    async with served(tiny, max_body=10_000) as server:
        assert (await server.post(pieces())).status == 413


@asynchronous
async def test_a_body_that_does_not_arrive_is_given_up(tiny: textgen.Model) -> None:
    async with served(tiny, client_timeout=0.001) as server:
        answer = await OpenCall(server.app, b'{"prompt": ', complete=False).answer()
    assert answer.status == 408
    assert answer.json["error"]["message"] == "the request took longer than 0.001 seconds to arrive"
    assert answer.headers["connection"] == "close"


@asynchronous
async def test_a_text_may_have_the_maximum_length_and_not_more(tiny: textgen.Model) -> None:
    async with served(tiny, max_length=20) as server:
        assert len((await server.complete(prompt="a", max_tokens=20)).texts[0]) == 20
        answer = await server.complete(prompt="a", max_tokens=21)
    assert answer.status == 400
    assert answer.json["error"]["param"] == "max_tokens"


@asynchronous
async def test_texts_beyond_the_users_wait_until_others_have_ended(tiny: textgen.Model) -> None:
    async with served(tiny, max_users=1, max_length=ENDLESS) as server:
        first = endless(server)
        await first.beginning()
        second = endless(server)
        third = endless(server)
        await until(lambda: server.scheduler.texts == 3)
        health = (await server.request("GET", "/health")).json
        assert health == {"status": "ok", "users": 1, "waiting": 2}
        first.leave()
        await second.beginning()
        assert third.messages.empty()
        second.leave()
        await third.beginning()
        third.leave()


@asynchronous
async def test_a_request_beyond_the_queue_is_asked_to_come_back(tiny: textgen.Model) -> None:
    async with served(tiny, max_users=1, max_queue=1, max_length=ENDLESS) as server:
        calls = [endless(server), endless(server)]
        await until(lambda: server.scheduler.texts == 2)
        answer = await server.complete(prompt="a")
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json["error"]["code"] == "queue_full"
        assert answer.json["error"]["type"] == "rate_limit_error"
        calls[0].leave()
        await calls[1].beginning()
        assert (await server.complete(prompt="a", n=2)).status == 429
        calls[1].leave()
        await server.scheduler.idle()
        assert (await server.complete(prompt="a", n=2)).status == 200


@asynchronous
async def test_the_prompts_of_all_requests_have_a_limit(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "MAX_CHARACTERS", 10)
    async with served(tiny, max_users=1, max_length=ENDLESS) as server:
        call = endless(server)
        await call.beginning()
        assert (await server.complete(prompt="a" * 10)).status == 429
        call.leave()
        await call.task
        # A single prompt is never too long.
        assert (await server.complete(prompt="a" * 11)).status == 200


@asynchronous
async def test_the_number_of_scored_tokens_has_a_limit(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        for fields, status in (
            ({"n": 10, "max_tokens": 1000}, 200),
            ({"n": 10, "max_tokens": 1001}, 400),
            ({"prompt": "a" * 9984, "echo": True}, 200),
            ({"prompt": "a" * 9985, "echo": True}, 400),
            # The prompt is part of each choice.
            ({"prompt": "a" * 4984, "echo": True, "n": 2}, 200),
            ({"prompt": "a" * 4985, "echo": True, "n": 2}, 400),
        ):
            answer = await server.complete(**{"prompt": "a", "logprobs": 0, "stream": True, **fields})
            assert answer.status == status
    assert answer.json["error"]["param"] == "logprobs"


@asynchronous
async def test_a_refused_request_takes_no_place_in_the_queue(tiny: textgen.Model) -> None:
    async with served(tiny, max_users=1, max_queue=0) as server:
        for _ in range(3):
            assert (await server.complete(prompt="Z")).status == 400
            assert (await server.complete(prompt="a", match="(")).status == 400
        assert (await server.complete(prompt="a")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/", 404, "there is no GET /"),
        ("POST", "/v1/completions/", 404, "there is no POST /v1/completions/"),
        ("POST", "/completions", 404, "use /v1/completions"),
        ("POST", "/chat/completions", 404, "use /v1/chat/completions"),
        ("GET", "/metrics", 404, "start the server with --metrics"),
        ("GET", "/v1/completions", 405, "use POST"),
        ("DELETE", "/v1/models", 405, "use GET"),
        ("POST", "/health", 405, "use GET"),
        ("GET", "/v1/models/other", 404, "there is no model 'other'"),
    ],
)
@asynchronous
async def test_other_paths_and_methods_are_refused(
    tiny_path: object, method: str, path: str, status: int, message: str
) -> None:
    async with served(textgen.load(str(tiny_path))) as server:
        answer = await server.request(method, path)
    assert answer.status == status
    assert message in answer.json["error"]["message"]
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert ("allow" in answer.headers) == (status == 405)


@asynchronous
async def test_the_model_is_listed(tiny: textgen.Model) -> None:
    async with served(tiny, model_name="a/b") as server:
        listed = await server.request("GET", "/v1/models")
        described = await server.request("GET", "/v1/models/a/b")
        health = await server.request("GET", "/health")
    assert (listed.status, described.status) == (200, 200)
    assert listed.json == {"object": "list", "data": [described.json]}
    assert (described.json["id"], described.json["object"]) == ("a/b", "model")
    assert (health.status, health.json) == (200, {"status": "ok", "users": 0, "waiting": 0})
