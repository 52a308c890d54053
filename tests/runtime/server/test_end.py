"""The end of the server: running texts are finished, new ones are refused."""

import json

import pytest
import textgen_runtime as textgen

from tests.helpers.served import ENDLESS, OpenCall, asynchronous, served, until


@asynchronous
async def test_a_draining_server_finishes_texts_and_refuses_new_ones(tiny: textgen.Model) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": 20_000, "seed": 1, "stream": True}).encode()
    async with served(tiny) as server:
        running = OpenCall(server.app, body)
        await until(lambda: server.scheduler.texts)
        server.scheduler.drain()
        refused = await server.complete(prompt="a")
        health = await server.request("GET", "/health")
        await server.scheduler.idle()
        answer = await running.answer()
    assert refused.status == 503
    assert "retry-after" in refused.headers
    assert refused.json["error"]["type"] == "server_error"
    assert (health.status, health.json["status"]) == (503, "stopping")
    assert answer.texts == [tiny.generate("a", length=20_000, seed=1, temperature=1.0)]


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_texts_that_are_still_running_at_the_end_fail(tiny: textgen.Model, stream: bool) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": ENDLESS, "stream": stream}).encode()
    async with served(tiny, max_users=1, max_length=ENDLESS) as server:
        running = OpenCall(server.app, body)
        await until(lambda: server.scheduler.users)
        if stream:
            await running.first_text()
        waiting = OpenCall(server.app, body)
        await until(lambda: server.scheduler.texts == 2)
        await server.scheduler.stop()
        message = "the server stopped before the text was complete"
        late = await waiting.answer()
        assert (late.status, late.json["error"]["message"]) == (503, message)
        if stream:
            await running.task
            parts = [running.messages.get_nowait() for _ in range(running.messages.qsize())]
            events = b"".join([part["body"] for part in parts])
            last = events.decode().removesuffix("\n\n").split("\n\n")[-1]
            assert json.loads(last.removeprefix("data: "))["error"]["message"] == message
        else:
            assert (await running.answer()).status == 503
