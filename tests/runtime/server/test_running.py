"""A server in a process of its own: connections of slow and broken clients, signals, and the end."""

import contextlib
import gc
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import textgen_runtime as textgen
import uvicorn
from textgen_runtime.server import running
from textgen_runtime.server.requests import Settings
from textgen_runtime.server.running import MAX_FILES, listen

from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only
from tests.helpers.serve_command import ServerProcess, read_all, request, running_server

pytestmark = posix_only

ENDLESS = 10**9
STREAM = json.dumps({"prompt": "a", "max_tokens": ENDLESS, "seed": 1, "stream": True}).encode()
COMPLETE = request(b'{"prompt": "a"}')


@contextlib.contextmanager
def serving(seconds: float) -> Iterator[ServerProcess]:
    """A server that waits for its clients for this number of seconds."""
    with running_server("--client-timeout", str(seconds), "--max-length", str(ENDLESS)) as started:
        yield started
        # No traceback, whatever the clients did.
        assert started.stop() == (0, "textgen-serve: stops now\n")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """A server with more patience than any client needs."""
    with serving(600) as started:
        yield started


@pytest.fixture(scope="module")
def impatient() -> Iterator[ServerProcess]:
    """A server with little patience. Suspend it while a client sends."""
    with serving(0.5) as started:
        yield started


def read_until_closed(connection: socket.socket) -> bytes:
    """Read until the server closes the connection, regularly or not."""
    with contextlib.suppress(ConnectionResetError):
        return read_all(connection)
    return b""


def exchange(server: ServerProcess, sent: bytes) -> bytes:
    """Send bytes; return all that the server answers."""
    with server.connect() as connection:
        with server.suspended():
            connection.sendall(sent)
        return read_until_closed(connection)


def wait_until_idle(server: ServerProcess) -> None:
    """Wait until the server generates nothing."""
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    while b'"users":0,"waiting":0' not in exchange(server, head):
        pass


CUT_SHORT = {
    b"": b"",
    b"POST /v1/compl": b"",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ": b"",
    COMPLETE[:-3]: b"HTTP/1.1 408 ",
    COMPLETE: b"HTTP/1.1 200 ",
    COMPLETE + COMPLETE[:30]: b"HTTP/1.1 200 ",
}


def test_a_connection_that_sends_nothing_more_is_closed(impatient: ServerProcess) -> None:
    with contextlib.ExitStack() as opened:
        connections = [opened.enter_context(impatient.connect()) for _ in CUT_SHORT]
        with impatient.suspended():
            for connection, sent in zip(connections, CUT_SHORT, strict=True):
                connection.sendall(sent)
        received = [read_until_closed(connection) for connection in connections]
    assert [answer[:13] for answer in received] == [*CUT_SHORT.values()]


def test_a_client_that_does_not_read_is_cut_off(impatient: ServerProcess) -> None:
    with impatient.slow_reader(STREAM) as stream, impatient.slow_reader(COMPLETE[-15:]):
        assert stream.recv(10) == b"HTTP/1.1 2"
        wait_until_idle(impatient)
        # What was sent can still be read, and then comes the end.
        read_until_closed(stream)


def test_a_client_that_only_closes_its_side_frees_its_lane(server: ServerProcess) -> None:
    with server.slow_reader(STREAM) as connection:
        assert connection.recv(10) == b"HTTP/1.1 2"
        connection.shutdown(socket.SHUT_WR)
        read_until_closed(connection)
    wait_until_idle(server)


def raw(*lines: str) -> bytes:
    """A request with these lines."""
    return "\r\n".join([*lines, "Host: x", "", ""]).encode()


UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AA==",
)
ODD = {
    "binary": (b"\0\0\0\0\r\n\r\n", [400]),
    "no chunk": (raw("POST /v1/completions HTTP/1.1", "Transfer-Encoding: chunked") + b"ZZ\r\n", [400]),
    "no UTF-8": (raw("GET /%ff%fe HTTP/1.1"), [404]),
    "line end in a name": (raw("GET /v1/models/%0d%0aX: y HTTP/1.1"), [400]),
    "websocket": (raw("GET /v1/completions HTTP/1.1", *UPGRADE), [405]),
    "large body": (request(b'"' + b"a" * 2**20 + b'"'), [413]),
    "three requests at once": (COMPLETE * 3, [200, 200, 200]),
}


@pytest.mark.parametrize(("sent", "statuses"), ODD.values(), ids=ODD)
def test_odd_requests_get_an_answer(server: ServerProcess, sent: bytes, statuses: list[int]) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        received = b""
        while len(found := re.findall(rb"HTTP/1\.1 (\d+) ", received)) < len(statuses):
            received += connection.recv(2**16) or pytest.fail(repr(received[:200]))
    assert [*map(int, found)] == statuses


# The server, but it does not cut off a client that is slow to read its end.
PATIENT = """
import sys
from textgen_runtime.cli import serve
from textgen_runtime.server import running
running.MIN_CLOSING_SECONDS = 600
sys.exit(serve.main())
"""
STOPS = "textgen-serve: stops when 1 text is complete\n"


@contextlib.contextmanager
def running_text(*options: str, length: int = ENDLESS) -> Iterator[tuple[ServerProcess, socket.socket]]:
    """A server that sends a text, and the connection of its client, which has read a little.

    If the text is longer than what the system keeps for the client, it does not end before the client reads.
    """
    options = ("--max-length", str(length), "--client-timeout", "600", *options)
    body = STREAM.replace(str(ENDLESS).encode(), str(length).encode())
    program = (sys.executable, "-c", PATIENT)
    with running_server(*options, program=program) as server, server.slow_reader(body) as connection:
        assert len(connection.recv(10)) == 10
        yield server, connection


def test_a_signal_lets_running_texts_end() -> None:
    with running_text("--grace", "600", length=400_000) as (server, connection):
        server.process.send_signal(signal.SIGINT)
        assert server.line() == STOPS
        assert read_all(connection).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert server.end() == (130, "")


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_stops_refuses_new_requests_and_ends_at_a_second_signal(second: int) -> None:
    with running_text() as (server, _):
        server.process.send_signal(signal.SIGTERM)
        assert server.line() == STOPS
        answer = exchange(server, request(b'{"prompt": "a"}', "Connection: close"))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in answer
        assert server.stop(second) == (-second, "")


def test_after_the_grace_time_running_texts_end_with_an_error() -> None:
    with running_text("--grace", "0.1") as (server, connection):
        server.process.send_signal(signal.SIGTERM)
        answer = read_all(connection)
        assert server.end() == (0, STOPS)
    assert b'"type": "server_error"' in answer or b'"type":"server_error"' in answer
    assert b"[DONE]" not in answer


def test_a_port_is_taken_from_the_start_on() -> None:
    """Two servers that start at the same time must not both believe that they have the port."""
    with listen("127.0.0.1", 0) as first, pytest.raises(running.ServerError):
        listen("127.0.0.1", first.getsockname()[1])


def test_a_server_whose_sockets_fail_does_not_wait_for_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise OSError("no sockets")

    monkeypatch.setattr(uvicorn.Server, "startup", fail)
    interval = sys.getswitchinterval()
    with listen("127.0.0.1", 0) as listener, pytest.raises(OSError, match="no sockets"):
        running.serve(textgen.load(TINY), Settings("tiny"), listener)
    sys.setswitchinterval(interval)
    gc.unfreeze()


def test_windows_shares_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, SO_REUSEADDR would let another program take the port."""
    monkeypatch.setattr(os, "name", "nt")
    with listen("127.0.0.1", 0) as listener:
        assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


UNLIMITED = -1


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1024, 4096, [4096]),
        (256, UNLIMITED, [MAX_FILES]),
        (500_000, 500_000, []),
        (UNLIMITED, UNLIMITED, []),
    ],
)
def test_the_limit_of_open_files_is_raised(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: list[int]
) -> None:
    """A hard limit may be missing, as on macOS, and the system may refuse the change."""
    limits = []

    def change(_: int, changed: tuple[int, int]) -> None:
        limits.append(changed)
        raise ValueError("current limit exceeds maximum limit")

    # Windows does not have this module.
    resource = SimpleNamespace(
        RLIM_INFINITY=UNLIMITED, RLIMIT_NOFILE=7, getrlimit=lambda _: (soft, hard), setrlimit=change
    )
    monkeypatch.setitem(sys.modules, "resource", resource)
    running.raise_file_limit()
    assert limits == [(limit, hard) for limit in raised]
