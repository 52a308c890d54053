"""The running server: properties that only a clock would show, and its end."""

import asyncio
import json
import os
import socket
import sys
import threading
from collections import Counter
from types import SimpleNamespace

import pytest
import textgen_runtime as textgen
import uvicorn
from textgen_runtime.server import completions, running
from textgen_runtime.server.completion_request import CompletionRequest, Take, parse_request
from textgen_runtime.server.connections import Connection
from textgen_runtime.server.requests import Settings
from textgen_runtime.server.running import OTHER_FILES, listen

from tests.helpers.programs import run_python
from tests.helpers.serve_command import request
from tests.helpers.served import ENDLESS, PATIENCE, OpenCall, asynchronous, served, until


@asynchronous
async def test_an_event_does_not_wait_for_the_acknowledgment_of_the_one_before() -> None:
    options: asyncio.Queue[int] = asyncio.Queue()

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        options.put_nowait(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(accept, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await options.get() != 0
            writer.close()
            await writer.wait_closed()


class Hurried(Connection):
    """A connection whose client has no time."""

    client_timeout = 0.0


@asynchronous
async def test_a_request_that_was_there_in_time_is_answered(tiny: textgen.Model) -> None:
    """The time is over before a busy server reads the request."""
    loop = asyncio.get_running_loop()
    async with served(tiny) as server:
        config = uvicorn.Config(server.app, lifespan="off", log_config=None)
        config.load()
        with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()) as client:
            client.sendall(request(b'{"prompt": "a"}'))
            async with await loop.create_server(
                lambda: Hurried(config, uvicorn.server.ServerState(), {}), sock=listener
            ):
                client.setblocking(False)
                assert (await loop.sock_recv(client, 100)).startswith(b"HTTP/1.1 200 ")


def test_windows_has_its_own_options_and_no_limit_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, SO_REUSEADDR would let another program take the port."""
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setitem(sys.modules, "resource", None)
    assert running._max_connections() == 10_000
    with listen("127.0.0.1", 0) as listener:
        assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


UNLIMITED = -1


@pytest.mark.parametrize(
    ("soft", "hard", "largest", "expected"),
    [
        (1024, 4096, 4096, 4096 - OTHER_FILES),
        (1024, 500_000, 500_000, 10_000),
        (500_000, 500_000, 500_000, 10_000),
        (256, UNLIMITED, 10_240, 10_000),
        (256, UNLIMITED, 256, 256 - OTHER_FILES),
        (UNLIMITED, UNLIMITED, 0, 10_000),
        (OTHER_FILES, OTHER_FILES, OTHER_FILES, 1),
    ],
)
def test_the_limit_of_open_files_is_raised(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, largest: int, expected: int
) -> None:
    """A hard limit may be missing, as on macOS, which refuses a soft one above 10,240."""
    limits = [(soft, hard)]

    def change(_: int, changed: tuple[int, int]) -> None:
        if not 0 <= changed[0] <= largest or changed[1] != hard:
            raise ValueError("current limit exceeds maximum limit")
        limits.append(changed)

    # Windows does not have this module.
    resource = SimpleNamespace(
        RLIM_INFINITY=UNLIMITED, RLIMIT_NOFILE=7, getrlimit=lambda _: limits[-1], setrlimit=change
    )
    monkeypatch.setitem(sys.modules, "resource", resource)
    monkeypatch.setattr(os, "name", "posix")
    assert running._max_connections() == expected
    assert limits[-1][0] == UNLIMITED or limits[-1][0] >= min(soft, expected + OTHER_FILES)


def test_numpy_is_imported_before_the_first_request() -> None:
    program = "import sys, textgen_runtime.server.running; print('numpy' in sys.modules)"
    assert run_python(program) == "True\n"


@asynchronous
async def test_many_requests_at_once_leave_turns_for_events(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = 0
    parsed: Counter[int] = Counter()

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def parse_and_count(body: bytes, settings: Settings, take: Take, _: None) -> CompletionRequest:
        parsed[turn] += 1
        return parse_request(body, settings, take)

    monkeypatch.setattr(completions, "parse_request", parse_and_count)
    async with served(tiny) as server:
        counter = asyncio.create_task(count_turns())
        answers = await asyncio.gather(*(server.complete(prompt="a") for _ in range(100)))
        counter.cancel()
    assert {answer.status for answer in answers} == {200}
    assert parsed.total() == 100
    assert max(parsed.values()) <= completions.REQUESTS_PER_TURN


@asynchronous
async def test_a_draining_server_finishes_texts_and_refuses_new_ones(tiny: textgen.Model) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": 20_000, "seed": 1, "stream": True}).encode()
    go_on = threading.Event()
    async with served(tiny) as server:
        # The worker waits, so that the text does not end before the new one is refused.
        server.scheduler.worker.order(go_on.wait, PATIENCE)
        running = OpenCall(server.app, body)
        await until(lambda: server.scheduler.texts)
        server.scheduler.draining = True
        refused = await server.complete(prompt="a")
        health = await server.request("GET", "/health")
        go_on.set()
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
        await until(lambda: server.scheduler.worker.users)
        if stream:
            await running.beginning()
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
