"""Properties of the running server that only a clock would show."""

import asyncio
import socket
from collections import Counter

import pytest
import textgen_runtime as textgen
from textgen_runtime.server import completions
from textgen_runtime.server.completion_request import CompletionRequest, parse_request
from textgen_runtime.server.running import listen
from textgen_runtime.server.settings import Settings

from tests.helpers.programs import run_python
from tests.helpers.served import asynchronous, served


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

    def parse_and_count(body: bytes, settings: Settings) -> CompletionRequest:
        parsed[turn] += 1
        return parse_request(body, settings)

    monkeypatch.setattr(completions, "parse_request", parse_and_count)
    async with served(tiny) as server:
        counter = asyncio.create_task(count_turns())
        answers = await asyncio.gather(*(server.complete(prompt="a") for _ in range(100)))
        counter.cancel()
    assert {answer.status for answer in answers} == {200}
    assert parsed.total() == 100
    assert max(parsed.values()) <= completions.REQUESTS_PER_TURN
