"""A server in a process of its own: connections of slow and broken clients, signals, and the end."""

import contextlib
import gc
import json
import os
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
from textgen_runtime.server.running import MAX_CONNECTIONS, OTHER_FILES, listen

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


def exchange(server: ServerProcess, sent: bytes) -> bytes:
    """Send bytes; return all that the server answers."""
    with server.connect() as connection, contextlib.suppress(ConnectionResetError):
        with server.suspended():
            connection.sendall(sent)
        return read_all(connection)
    return b""


def wait_until_idle(server: ServerProcess) -> None:
    """Wait until the server generates nothing."""
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    while b'"users":0,"waiting":0' not in exchange(server, head):
        pass


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"POST /v1/compl", b""),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ", b""),
        (COMPLETE[:-3], b"HTTP/1.1 408 "),
        (COMPLETE, b"HTTP/1.1 200 "),
        (COMPLETE + COMPLETE[:30], b"HTTP/1.1 200 "),
    ],
)
def test_a_connection_that_sends_nothing_more_is_closed(
    impatient: ServerProcess, sent: bytes, answer: bytes
) -> None:
    received = exchange(impatient, sent)
    assert received.startswith(answer) if answer else received == b""


def test_a_client_that_does_not_read_is_cut_off(impatient: ServerProcess) -> None:
    with impatient.slow_reader(STREAM) as stream, impatient.slow_reader(COMPLETE[-15:]):
        assert stream.recv(10) == b"HTTP/1.1 2"
        wait_until_idle(impatient)
        # What was sent can still be read, and then comes the end, regular or not.
        with contextlib.suppress(ConnectionResetError):
            read_all(stream)


def test_a_client_that_only_closes_its_side_frees_its_lane(server: ServerProcess) -> None:
    with server.slow_reader(STREAM) as connection:
        assert connection.recv(10) == b"HTTP/1.1 2"
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            read_all(connection)
    wait_until_idle(server)


NOT_HTTP = [
    b"\0\0\0\0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 1_000_000 + b"\r\n\r\n",
    *[
        b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        for path in (b"/%ff%fe", b"/v1/models/%ED%A0%80", b"/v1/models/%0d%0aX: y", b"/?\xff")
    ],
]


@pytest.mark.parametrize("sent", NOT_HTTP, ids=lambda sent: repr(sent[:40]))
def test_what_is_not_http_is_refused(server: ServerProcess, sent: bytes) -> None:
    with server.connect() as connection, contextlib.suppress(ConnectionResetError):
        connection.sendall(sent)
        assert read_all(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 431 "))


def test_requests_can_follow_each_other_before_their_responses(server: ServerProcess) -> None:
    answer = exchange(server, COMPLETE + COMPLETE + request(b'{"prompt": "a"}', "Connection: close"))
    assert answer.count(b"HTTP/1.1 200 ") == 3


def test_a_websocket_is_refused(server: ServerProcess) -> None:
    upgrade = (
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    )
    with server.connect() as connection:
        connection.sendall(
            b"GET /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n" + upgrade + b"\r\n\r\n"
        )
        assert connection.recv(13) == b"HTTP/1.1 405 "


def test_a_body_that_is_too_large_gets_its_error(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.sendall(request(b'"' + b"a" * 2**20 + b'"'))
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


def test_a_client_can_ask_whether_its_body_is_welcome(server: ServerProcess) -> None:
    body = b'{"prompt": "a"}'
    with server.connect() as connection:
        connection.sendall(request(body, "Expect: 100-continue", "Connection: close")[: -len(body)])
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"[:25]
        connection.sendall(body)
        assert b"HTTP/1.1 200 " in read_all(connection)


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


def test_windows_has_its_own_options_and_no_limit_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, SO_REUSEADDR would let another program take the port."""
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setitem(sys.modules, "resource", None)
    running.raise_file_limit()
    with listen("127.0.0.1", 0) as listener:
        assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


UNLIMITED, MOST = -1, MAX_CONNECTIONS + OTHER_FILES


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1024, 4096, [4096]),
        (1024, 500_000, [MOST]),
        (256, UNLIMITED, [MOST]),
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
    monkeypatch.setattr(os, "name", "posix")
    running.raise_file_limit()
    assert limits == [(limit, hard) for limit in raised]
