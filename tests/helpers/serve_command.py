"""``textgen-serve`` in a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.paths import TINY

PROGRAM = Path(sys.executable).with_name("textgen-serve")

# A test that waits for longer has failed.
PATIENCE = 60


class ServerProcess:
    """A running server.

    Attributes:
        process: The process.
        start: What the server printed at its start.
        port: The port that it listens on.
    """

    def __init__(self, process: subprocess.Popen[str], start: str) -> None:
        self.process = process
        self.start = start
        found = re.search(r"http://[\d.]+:(\d+)/v1 ", start)
        assert found, start
        self.port = int(found[1])

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.port}/v1"

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Suspend the process during the block. What clients send in the block is there when it goes on.

        Otherwise, a test on a busy machine could be too slow for the server.
        """
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def line(self) -> str:
        """The next line that the server prints."""
        assert self.process.stderr
        return self.process.stderr.readline()

    def slow_reader(self, body: bytes) -> socket.socket:
        """Send a request; return the connection, of whose response the system keeps only a little.

        With a larger buffer and larger packets, Linux takes megabytes at once.
        """
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", self.port))
        connection.sendall(request(body))
        return connection

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the exit code, and what the server printed after its start."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> tuple[int, str]:
        """Wait for the end of the server; return the exit code, and what the server printed since."""
        _, printed = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, printed


@contextmanager
def running_server(
    *options: str,
    model: str = str(TINY),
    environment: dict[str, str] | None = None,
    program: Sequence[str] = (str(PROGRAM),),
) -> Iterator[ServerProcess]:
    """Serve a model on a free port. The process ends with the block, if it has not ended before."""
    with subprocess.Popen(
        [*program, model, "--port", "0", *options],
        env={**os.environ, **(environment or {})},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stderr
            yield ServerProcess(process, process.stderr.readline())
        finally:
            process.kill()


def request(body: bytes, *headers: str, path: str = "/v1/completions") -> bytes:
    """Return an HTTP request, by default for completions."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)
