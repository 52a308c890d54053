"""Load textgen-serve with many streams at once, from a client that shares the machine.

    python -m benchmarks.serving [MODEL] [--streams 200] [--length 2000] [--rounds 5] [--threads 1]

The server runs in its own process. The client has one thread with plain sockets, and parses the responses
after the last one has ended. In each round, ``Model.generate`` also generates the same texts from a list in a
third process, alone.

The exit code is 1 if a text is not that of ``generate``, or if the memory of the server grows by more than
16 MiB after the first round.
"""

import argparse
import json
import re
import selectors
import socket
import statistics
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import psutil
import textgen_runtime as textgen
from textgen_runtime.bench.report import format_machine

GENERATE = """
import sys, time
import textgen_runtime as textgen
model = textgen.load(sys.argv[1], threads=int(sys.argv[2]))
prompts, length = sys.argv[4:], int(sys.argv[3])
model.generate(prompts, length=20, seed=1)
start = time.perf_counter()
texts = model.generate(prompts, length=length, seed=1, temperature=1.0)
print(sum(map(len, texts)) / (time.perf_counter() - start))
"""

MAX_GROWTH = 2**24


class Stream(NamedTuple):
    """A request, when it was sent, and the pieces of its response with the time of each."""

    connection: socket.socket
    sent: float
    pieces: list[tuple[float, bytes]]

    def text(self) -> str:
        """Return the text of all events."""
        response = b"".join(piece for _, piece in self.pieces)
        events = map(json.loads, re.findall(rb"^data: (\{.*\})\r?$", response, re.MULTILINE))
        return "".join(event["choices"][0]["text"] for event in events if "choices" in event)


def start_server(model: str, threads: int) -> tuple["subprocess.Popen[str]", int]:
    """Start the server on a free port, and return its process and the port."""
    program = str(Path(sys.executable).with_name("textgen-serve"))
    command = [program, model, "--port", "0", "--threads", str(threads)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = server.stderr.readline() if server.stderr else ""
    found = re.search(r":(\d+)/v1", line)
    if not found:
        raise SystemExit(f"the server did not start: {line}")
    return server, int(found[1])


def request(prompt: str, length: int, seed: int) -> bytes:
    """Return an HTTP request for a stream. The server closes the connection after its response."""
    body = json.dumps({"prompt": prompt, "max_tokens": length, "seed": seed, "stream": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\nConnection: close\r\n\r\n" + body


def run_load(port: int, prompts: Sequence[str], length: int) -> list[Stream]:
    """Send all requests at once, and read the responses to their end."""
    selector, streams = selectors.DefaultSelector(), []
    for seed, prompt in enumerate(prompts):
        connection = socket.create_connection(("127.0.0.1", port))
        streams.append(Stream(connection, perf_counter(), []))
        connection.sendall(request(prompt, length, seed))
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, streams[-1])
    while selector.get_map():
        for key, _ in selector.select():
            stream = key.data
            piece = stream.connection.recv(65536)
            stream.pieces.append((perf_counter(), piece))
            if not piece:
                selector.unregister(stream.connection)
                stream.connection.close()
    return streams


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a line per round and the medians, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", default="nietzsche-float32")
    for name, default in {"streams": 200, "length": 2000, "rounds": 5, "threads": 1}.items():
        parser.add_argument(f"--{name}", metavar="N", type=int, default=default, help=f"default: {default}")
    arguments = parser.parse_args(argv)
    model, length = textgen.load(arguments.model), arguments.length
    prompts = [model.prompts[i % len(model.prompts)] for i in range(arguments.streams)]
    # Every twentieth text is compared.
    expected = [
        model.generate(prompts[seed], length=length, seed=seed, temperature=1.0)
        for seed in range(0, len(prompts), 20)
    ]
    print(format_machine(), flush=True)
    server, port = start_server(arguments.model, arguments.threads)
    command = [arguments.model, str(arguments.threads), str(length), *prompts]
    figures, memory, wrong = [], [], 0
    with server:
        try:
            for _ in range(arguments.rounds + 1):
                alone = subprocess.run(
                    [sys.executable, "-P", "-c", GENERATE, *command], check=True, stdout=subprocess.PIPE
                )
                streams = run_load(port, prompts, length)
                memory.append(psutil.Process(server.pid).memory_info().rss)
                texts = [stream.text() for stream in streams]
                wrong += [*texts[::20]] != expected
                ends = [stream.pieces[-1][0] for stream in streams]
                speed = sum(map(len, texts)) / (max(ends) - min(stream.sent for stream in streams))
                first = sorted(stream.pieces[0][0] - stream.sent for stream in streams)
                gap = max(b[0] - a[0] for stream in streams for a, b in pairwise(stream.pieces))
                row = (gap, first[len(first) // 2], first[len(first) * 99 // 100])
                figures.append((speed, speed / float(alone.stdout), *(1e3 * seconds for seconds in row)))
                print(describe(figures[-1]), flush=True)
        finally:
            server.terminate()
    # The first round warms up.
    print(f"median: {describe([statistics.median(column) for column in zip(*figures[1:], strict=True)])}")
    growth = memory[-1] - memory[0]
    print(f"{wrong} wrong rounds; the memory of the server grew by {growth / 2**20:.1f} MiB")
    return int(wrong > 0 or growth > MAX_GROWTH)


def describe(figures: Sequence[float]) -> str:
    """Return a line for the figures of a round."""
    speed, ratio, gap, half, most = figures
    return (
        f"{speed:>9,.0f} characters/s, {ratio:.2f} x generate; longest gap {gap:5.1f} ms; "
        f"first byte p50 {half:5.1f} ms, p99 {most:5.1f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
