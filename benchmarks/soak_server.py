"""Run textgen-serve for an hour with clients of every kind, and end it by SIGTERM and SIGKILL in turn.

    python -m benchmarks.soak_server [MODEL] [--minutes 60] [--servers 12] [--clients 16] [--seed 0]

The servers run one after the other, for equal times. Each client sends one request at a time. The kinds are:

- whole: a text in one response;
- stream: a text in a stream of events;
- slow: a long stream, of which the client reads the beginning so slowly that the server waits;
- abort: a long stream, whose connection the client closes in the middle or before the response begins;
- refused: a request that is malformed, too long, or for something that does not exist.

Printed is a row for each server, with the number of its requests by outcome, and its resident memory. Further
outcomes are:

- 503: refused, because the server is about to stop;
- cut: a part of a response, or none, because the server was killed;
- closed: no response, because the server had ended when the request was sent;
- wrong: any other outcome, which is printed.

What arrives of a text must be equal to the text of ``Model.generate`` for the same seed. A request that was
sent before SIGTERM must be complete or get the status 503, and the server must then exit with 0. The server
may print only its first line and, after SIGTERM, its last one. Its memory must not grow by more than 8 MiB
between a quarter of its time and its signal. The exit code is 1 if a request or a server is wrong.
"""

import argparse
import asyncio
import contextlib
import json
import random
import re
import signal
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from time import perf_counter

import psutil
import textgen_runtime as textgen

from benchmarks.behind_proxy import ending
from benchmarks.serving import post, request_of, start_server, text_of

# How often a client chooses each kind.
KINDS = {"whole": 16, "stream": 16, "slow": 1, "abort": 8, "refused": 16}
OUTCOMES = [*KINDS, "503", "cut", "closed", "wrong"]

# Tokens of a text. A long one is longer than what the server and the system keep for a client that does not
# read, so the server must wait for a slow one.
LENGTH, LONG_LENGTH = 2_000, 400_000

# A client reads at most this number of bytes at a time.
PIECE = 2**14

# A slow client waits for this number of seconds after each piece, until it has this number of bytes.
PAUSE, SLOW_BYTES = 1.0, 2**15
# Bytes of its buffer, and of a packet to it. With larger ones, Linux takes megabytes of a response from the
# server at once.
SLOW_BUFFER, SLOW_SEGMENT = 2**12, 536

# A client that aborts has read one of these numbers of bytes.
ABORT_BYTES = (0, 1, 5_000, 50_000)

# Requests that must be refused, with the status.
REFUSED = (
    (400, b"GET\r\n\r\n"),
    (400, post(b"{")),
    (400, post(b'{"prompt": 7}')),
    (400, post(b'{"top_p": 7}')),
    (400, post(b'{"a field": 7}')),
    (400, post(b'{"max_tokens": 1000000}')),
    (400, post(b'{"n": 1000000}')),
    (404, post(b'{"model": "another"}')),
    (404, post(b"{}", "/v2/completions")),
    (405, b"GET /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    (413, post(b" " * 300_000)),
)

# The memory is measured after these parts of the time of a server.
MEASURED_PARTS = (0.25, 1.0)
MAX_GROWTH = 2**23

# Bytes of a wrong response that are shown, from its beginning and from its end.
SHOWN = 300

# Seconds within which a request must end, and a server after its signal: enough for a busy machine.
PATIENCE = 300


class WrongError(Exception):
    """The response to a request is wrong."""


class ServerSoak:
    """One server, from its start to its end.

    Args:
        model: The name of the model.
        number: The signal that ends the server.
        seconds: How long the server runs before the signal.
        requests: The signal is sent after this number of requests, if this is earlier.

    Attributes:
        outcomes: The number of requests by outcome.
    """

    def __init__(self, model: str, number: signal.Signals, seconds: float, requests: int) -> None:
        self._model, self._signal = textgen.load(model), number
        self._seconds, self._requests = seconds, requests
        self._server, self._port = start_server(
            model, 1, "--max-length", str(LONG_LENGTH), "--grace", str(PATIENCE)
        )
        self._start = perf_counter()
        self._memory: list[int] = []
        self.outcomes: Counter[str] = Counter()

    async def run(self, clients: int, rng: random.Random) -> None:
        """Let clients send requests until the server has ended."""
        try:
            await asyncio.gather(*(self._send_all(rng) for _ in range(clients)))
            _, printed = self._server.communicate(timeout=PATIENCE)
        finally:
            self._server.kill()
            self._server.wait()
        code, line = (0, r"textgen-serve: stops .*\n") if self._is_terminated else (-signal.SIGKILL, "")
        if self._server.returncode != code:
            self._report(f"the server exited with {self._server.returncode}")
        if not re.fullmatch(line, printed):
            self._report(f"the server printed {printed!r}")
        if (growth := self._memory[1] - self._memory[0]) > MAX_GROWTH:
            self._report(f"the memory has grown by {growth / 2**20:.1f} MiB")

    def row(self) -> list[str]:
        """Return the cells of the row of the table."""
        counts = [f"{self.outcomes[outcome]:,}" for outcome in OUTCOMES]
        return [self._signal.name, *counts, *(f"{memory / 2**20:.1f}" for memory in self._memory)]

    @property
    def _is_signaled(self) -> bool:
        return len(self._memory) == len(MEASURED_PARTS)

    @property
    def _is_terminated(self) -> bool:
        return self._is_signaled and self._signal == signal.SIGTERM

    async def _send_all(self, rng: random.Random) -> None:
        """Send one request after the other. The last one is sent after the signal."""
        is_last = False
        while not is_last:
            self._watch()
            is_last = self._is_signaled
            try:
                outcome = await self._send(rng)
            except WrongError as error:
                self._report(str(error))
            else:
                self.outcomes[outcome] += 1

    def _watch(self) -> None:
        """Measure the memory and send the signal, each when it is time."""
        spent = (perf_counter() - self._start) / self._seconds
        part = max(spent, self.outcomes.total() / self._requests)
        while not self._is_signaled and part >= MEASURED_PARTS[len(self._memory)]:
            if self._server.poll() is not None:
                _, printed = self._server.communicate()
                raise SystemExit(f"{printed}the server has ended by itself, with {self._server.returncode}")
            self._memory.append(psutil.Process(self._server.pid).memory_info().rss)
            if self._is_signaled:
                self._server.send_signal(self._signal)

    async def _send(self, rng: random.Random) -> str:
        """Send a request, and return its outcome.

        Raises:
            WrongError: If the response is wrong.
        """
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "refused":
            status, request = rng.choice(REFUSED)
            found, is_late = await self._receive(request)
            is_right = found.startswith(f"HTTP/1.1 {status} ".encode())
        else:
            is_right, found, is_late = await self._send_for_text(kind, rng)
        if is_right:
            return kind
        if self._is_terminated and found.startswith(b"HTTP/1.1 503 "):
            return "503"
        if is_late and not found:
            return "closed"
        if self._is_signaled and self._signal == signal.SIGKILL:
            return "cut"
        # The end of a stream may be an error.
        raise WrongError(
            f"the response to a request of the kind {kind} is {found[:SHOWN]!r}"
            + (f", and its end {found[SHOWN:][-SHOWN:]!r}" if found[SHOWN:] else "")
        )

    async def _send_for_text(self, kind: str, rng: random.Random) -> tuple[bool, bytes, bool]:
        """Request a text. Return whether the client got all that it wanted, and what ``_receive`` returns."""
        prompt, seed = rng.choice(self._model.prompts), rng.randrange(2**32)
        length = LONG_LENGTH if kind in {"slow", "abort"} else rng.randint(1, LENGTH)
        wanted = rng.choice(ABORT_BYTES) if kind == "abort" else sys.maxsize
        request = request_of(prompt, length, seed, stream=kind != "whole")
        response, is_late = await self._receive(request, wanted, PAUSE if kind == "slow" else 0.0)
        text, is_complete = "", False
        if response.startswith(b"HTTP/1.1 200 "):
            text, is_complete = read_text(response, is_stream=kind != "whole")
        received = length if is_complete else len(text)
        if text != self._model.generate(prompt, length=received, seed=seed, temperature=1.0):
            raise WrongError(
                f"the text of the seed {seed}, the prompt {prompt!r} and the kind {kind} is {text!r}"
            )
        return is_complete or len(response) >= wanted, response, is_late

    async def _receive(
        self, request: bytes, wanted: int = sys.maxsize, pause: float = 0.0
    ) -> tuple[bytes, bool]:
        """Send a request.

        Returns:
            The response, or a beginning of it that has the wanted length; and whether the request was sent
            after the signal.

        Raises:
            WrongError: If the response takes too long.
        """
        response, is_late, loop = b"", None, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE):
                with socket.socket() as connection, contextlib.suppress(ConnectionError):
                    connection.setblocking(False)
                    if pause:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BUFFER)
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SLOW_SEGMENT)
                    await loop.sock_connect(connection, ("127.0.0.1", self._port))
                    await loop.sock_sendall(connection, request)
                    is_late = self._is_signaled
                    while len(response) < wanted and (piece := await loop.sock_recv(connection, PIECE)):
                        response += piece
                        await asyncio.sleep(pause if len(response) < SLOW_BYTES else 0.0)
        except TimeoutError:
            raise WrongError(
                f"after {PATIENCE} s, {len(response):,} bytes have come for {request[:300]!r}"
            ) from None
        return response, self._is_signaled if is_late is None else is_late

    def _report(self, reason: str) -> None:
        print(reason, file=sys.stderr)
        self.outcomes["wrong"] += 1


def read_text(response: bytes, *, is_stream: bool) -> tuple[str, bool]:
    """Return the text of a response that may be cut anywhere, and whether it is complete."""
    if is_stream:
        return text_of(response.rpartition(b"\n\n")[0]), ending(response) == "complete"
    try:
        body = json.loads(response.partition(b"\r\n\r\n")[2])
    except ValueError:
        return "", False
    return body["choices"][0]["text"], True


def main(argv: Sequence[str] | None = None) -> int:
    """Run the servers, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", default="nietzsche", help="default: nietzsche")
    parser.add_argument("--minutes", metavar="N", type=float, default=60.0, help="default: 60")
    parser.add_argument("--servers", metavar="N", type=int, default=12, help="default: 12")
    parser.add_argument("--clients", metavar="N", type=int, default=16, help="default: 16")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--requests",
        metavar="N",
        type=int,
        default=10**6,
        help="largest number before the signal of a server; default: 1000000",
    )
    arguments = parser.parse_args(argv)
    if not textgen.load(arguments.model).prompts:
        parser.error(f"{arguments.model} has no prompts")
    rng = random.Random(arguments.seed)
    columns = ["ended by", *OUTCOMES, *(f"MiB at {part:.0%}" for part in MEASURED_PARTS)]
    print("".join(f"{column:>13}" for column in columns), flush=True)
    wrong = 0
    for i in range(arguments.servers):
        number = (signal.SIGTERM, signal.SIGKILL)[i % 2]
        soak = ServerSoak(
            arguments.model, number, 60 * arguments.minutes / arguments.servers, arguments.requests
        )
        asyncio.run(soak.run(arguments.clients, rng))
        print("".join(f"{cell:>13}" for cell in soak.row()), flush=True)
        wrong += soak.outcomes["wrong"]
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
