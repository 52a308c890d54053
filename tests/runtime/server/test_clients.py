"""Clients that leave, read slowly, or send long prompts do not disturb the others."""

import json
import threading
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime.server import completions, scheduler
from textgen_runtime.server.text import Prompt

from tests.helpers.served import ENDLESS, OpenCall, Served, asynchronous, served, until


def call(server: Served, **fields: Any) -> OpenCall:
    """Send a request, whose response the test reads itself."""
    return OpenCall(server.app, json.dumps({"prompt": "a", "max_tokens": ENDLESS, **fields}).encode())


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_a_client_that_leaves_frees_its_lanes(tiny: textgen.Model, stream: bool) -> None:
    async with served(tiny, max_length=ENDLESS) as server:
        gone = call(server, stream=stream, n=3)
        await until(lambda: server.scheduler.worker.users == 3)
        gone.leave()
        await server.scheduler.idle()
        assert server.scheduler.worker.users == 0
        await gone.task


@asynchronous
async def test_a_client_can_leave_while_its_texts_wait(tiny: textgen.Model) -> None:
    async with served(tiny, max_users=1, max_length=ENDLESS) as server:
        running = call(server, stream=True)
        await running.beginning()
        waiting = call(server, n=2)
        await until(lambda: server.scheduler.texts == 3)
        waiting.leave()
        await until(lambda: server.scheduler.texts == 1)
        running.leave()


@asynchronous
async def test_a_client_can_leave_before_its_request_is_complete(tiny: textgen.Model) -> None:
    async with served(tiny) as server:
        gone = OpenCall(server.app, b'{"prompt": ', complete=False)
        gone.leave()
        await gone.task
        assert gone.messages.empty()


@asynchronous
async def test_a_slow_reader_stops_only_its_own_text(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "MAX_PENDING", 1000)
    async with served(tiny, max_length=ENDLESS) as server:
        slow = call(server, stream=True, seed=4)
        slow.stop_reading()
        await until(lambda: server.scheduler.worker.paused)
        # Others go on, and the paused text does not.
        assert (await server.complete(prompt="a", max_tokens=5_000)).status == 200
        assert (server.scheduler.worker.paused, server.scheduler.texts) == (1, 1)
        slow.read_on()
        text = await slow.beginning(50_000)
        slow.leave()
    assert text == tiny.generate("a", length=len(text), seed=4, temperature=1.0)


@asynchronous
async def test_a_slow_reader_also_stops_its_texts_whose_prompts_are_still_fed(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "MAX_PENDING", 1000)
    async with served(tiny, max_length=ENDLESS, max_body=10**8) as server:
        slow = call(server, prompt=["a", "abcd" * 40_000], stream=True)
        slow.stop_reading()
        await until(lambda: server.scheduler.worker.paused)
        await until(lambda: server.scheduler.worker.paused == 2)
        assert server.scheduler.worker.users == 2
        # It can leave.
        slow.leave()
        slow.read_on()
        await server.scheduler.idle()


@pytest.mark.parametrize("stream", [False, True])
@asynchronous
async def test_a_large_response_is_sent_in_pieces_so_that_others_get_their_turn(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    monkeypatch.setattr(completions, "PIECE_BYTES", 1000)
    async with served(tiny) as server:
        large = call(server, prompt="abcd" * 500, echo=True, n=6, max_tokens=5, seed=4, stream=stream)
        await large.task
        messages = [large.messages.get_nowait() for _ in range(large.messages.qsize())]
        for message in messages:
            large.messages.put_nowait(message)
        answer = await large.answer()
    sizes = [len(message.get("body", b"")) for message in messages]
    # A piece of a stream has less than 1000 bytes and then one event.
    assert len(sizes) > 6
    assert max(sizes) < 3500
    expected = tiny.generate(["abcd" * 500] * 6, length=5, seed=4, temperature=1.0)
    assert answer.texts == ["abcd" * 500 + text for text in expected]


@asynchronous
async def test_a_long_prompt_does_not_delay_other_texts_until_its_end(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, is_over = Prompt.feed, threading.Event()

    def feed_again(prompt: Prompt) -> bool:
        """Feed a piece, and begin a long prompt again after its end, until the test is over."""
        is_complete = feed(prompt)
        if len(prompt.tokens) == 1 or is_over.is_set():
            return is_complete
        prompt._fed %= len(prompt.tokens)
        return False

    monkeypatch.setattr(Prompt, "feed", feed_again)
    async with served(tiny) as server:
        long = call(server, prompt="abcd" * 1000, max_tokens=1)
        try:
            await until(lambda: server.scheduler.worker.users)
            assert (await server.complete(prompt="a", max_tokens=100)).status == 200
            assert not long.task.done()
            # A client can leave while its prompt is fed.
            long.leave()
            await server.scheduler.idle()
        finally:
            is_over.set()
