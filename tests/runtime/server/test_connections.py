"""Connections of slow and broken clients to a server in a process of its own."""

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest

from tests.helpers.programs import posix_only
from tests.helpers.serve_command import ServerProcess, read_all, request, running_server

pytestmark = posix_only

ENDLESS = 10**9


@contextlib.contextmanager
def serving(seconds: float) -> Iterator[ServerProcess]:
    """A server that waits for its clients for this number of seconds."""
    with running_server("--client-timeout", str(seconds), "--max-length", str(ENDLESS)) as started:
        yield started
        code, printed = started.stop()
        # No traceback, whatever the clients did.
        assert (code, printed) == (0, "textgen-serve: stops now\n")


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


def health(server: ServerProcess) -> dict[str, object]:
    """The state of the server."""
    with contextlib.ExitStack() as stack:
        with server.suspended():
            connection = stack.enter_context(server.connect())
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        state = json.loads(read_all(connection).partition(b"\r\n\r\n")[2])
        assert isinstance(state, dict)
        return state


def wait_until_idle(server: ServerProcess) -> None:
    """Wait until the server generates nothing."""
    while health(server) != {"status": "ok", "users": 0, "waiting": 0}:
        pass


PARTS = [b"", b"POST /v1/compl", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "]
COMPLETE = request(b'{"prompt": "a"}')


@pytest.fixture(scope="module")
def silent(impatient: ServerProcess) -> Iterator[dict[bytes, socket.socket]]:
    """Connections that have sent a request or a part of it, and wait at the same time."""
    with contextlib.ExitStack() as stack:
        with impatient.suspended():
            connections = {
                sent: stack.enter_context(impatient.connect()) for sent in (*PARTS, COMPLETE[:-3], COMPLETE)
            }
            for sent, connection in connections.items():
                connection.sendall(sent)
        yield connections


@pytest.mark.parametrize("sent", PARTS)
def test_a_connection_without_a_complete_request_is_closed(
    silent: dict[bytes, socket.socket], sent: bytes
) -> None:
    assert read_all(silent[sent]) == b""


def test_a_connection_without_a_complete_body_gets_an_error(silent: dict[bytes, socket.socket]) -> None:
    assert read_all(silent[COMPLETE[:-3]]).startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_is_not_used_again_is_closed(silent: dict[bytes, socket.socket]) -> None:
    answer = read_all(silent[COMPLETE])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" not in answer


def test_requests_can_follow_each_other_before_their_responses(server: ServerProcess) -> None:
    with server.connect() as connection:
        body = b'{"prompt": "a", "seed": 1}'
        connection.sendall(request(body) + request(body) + request(body, "Connection: close"))
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200 ") == 3


def test_a_client_that_does_not_read_is_cut_off(impatient: ServerProcess) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": ENDLESS, "stream": True}).encode()
    with socket.socket() as connection:
        # A small buffer and small packets, so that the server soon cannot send.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        with impatient.suspended():
            connection.connect(("127.0.0.1", impatient.port))
            connection.sendall(request(body))
        assert connection.recv(10) == b"HTTP/1.1 2"
        wait_until_idle(impatient)
        # What was sent can still be read, and then comes the end, regular or not.
        with contextlib.suppress(ConnectionResetError):
            read_all(connection)


def test_a_client_that_only_closes_its_side_frees_its_lane(server: ServerProcess) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": ENDLESS}).encode()
    with server.connect() as connection:
        connection.sendall(request(body))
        while not health(server)["users"]:
            pass
        connection.shutdown(socket.SHUT_WR)
        wait_until_idle(server)


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 1_000_000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(server: ServerProcess, sent: bytes) -> None:
    with server.connect() as connection, contextlib.suppress(ConnectionResetError):
        connection.sendall(sent)
        assert read_all(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))


@pytest.mark.parametrize("path", [b"/%ff%fe", b"/v1/models/%ED%A0%80", b"/v1/models/%0d%0aX: y", b"/?\xff"])
def test_strange_paths_are_refused(server: ServerProcess, path: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_all(connection).startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))


def test_a_websocket_is_refused(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.sendall(
            b"GET /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert connection.recv(13) == b"HTTP/1.1 405 "


def test_a_body_that_is_too_large_gets_its_error(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.sendall(request(b'"' + b"a" * 2**20 + b'"'))
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"the body is larger than 262144 bytes" in answer


def test_a_client_can_ask_whether_its_body_is_welcome(server: ServerProcess) -> None:
    body = b'{"prompt": "a"}'
    head = request(body, "Expect: 100-continue", "Connection: close")[: -len(body)]
    with server.connect() as connection:
        connection.sendall(head)
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"[:25]
        connection.sendall(body)
        assert b"HTTP/1.1 200 " in read_all(connection)
