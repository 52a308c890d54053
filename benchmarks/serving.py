"""Measure textgen-serve under load: many streams at once, from a client that shares the machine.

    python benchmarks/serving.py [MODEL] [--streams 200] [--length 2000] [--rounds 5] [--threads 1]

The server runs in its own process. The client is this process: one thread with plain sockets, which notes the
time of each piece of a response and parses the responses after the last one has ended. In each round,
``Model.generate`` generates the same texts from a list in a third process, alone.

Printed are, for each round and as the median of all rounds:

- characters per second of all streams, from the first request to the end of the last response;
- its ratio to ``generate``;
- the longest time between two events of any stream;
- the time from sending a request to the first byte of its response: median and 99th percentile.
"""

import argparse
import json
import math
import os
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import textgen_runtime as textgen

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

BUSY_LOAD = 0.5


@dataclass
class Stream:
    """One request, and the pieces of its response with the time of each."""

    connection: socket.socket
    sent: float = 0.0
    times: list[float] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)

    def text(self) -> str:
        """Return the text of all events."""
        return text_of(b"".join(self.pieces))


@dataclass
class Load:
    """The figures of one round. Times are in seconds."""

    characters_per_second: float
    longest_gap: float
    first_bytes: list[float]
    events: int


def start_server(model: str, threads: int, *options: str) -> tuple[subprocess.Popen[str], int]:
    """Start the server on a free port with further options, and return its process and the port."""
    program = Path(sys.executable).with_name("textgen-serve")
    command = [str(program), model, "--port", "0", "--threads", str(threads), *options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = server.stderr.readline() if server.stderr else ""
    found = re.search(r":(\d+)/v1", line)
    if not found:
        raise SystemExit(f"the server did not start: {line}")
    return server, int(found[1])


def request_of(prompt: str, length: int, seed: int, *, stream: bool = True) -> bytes:
    """Return an HTTP request for a text, by default as a stream."""
    fields = {"prompt": prompt, "max_tokens": length, "seed": seed, "stream": stream}
    return post(json.dumps(fields).encode())


def post(body: bytes, path: str = "/v1/completions") -> bytes:
    """Return an HTTP request with this body. The server closes the connection after its response."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\nConnection: close\r\n\r\n" + body


def text_of(response: bytes) -> str:
    """Return the text of all events of a stream, of which each must be complete. An error has no text."""
    body = response.partition(b"\r\n\r\n")[2]
    events = map(json.loads, re.findall(rb"^data: (\{.*\})\r?$", body, re.MULTILINE))
    return "".join(event["choices"][0]["text"] for event in events if "choices" in event)


def run_load(port: int, prompts: list[str], length: int) -> Load:
    """Send all requests at once, and read the responses to their end."""
    requests = [request_of(prompt, length, seed) for seed, prompt in enumerate(prompts)]
    selector = selectors.DefaultSelector()
    streams = []
    start = perf_counter()
    for request in requests:
        connection = socket.create_connection(("127.0.0.1", port))
        stream = Stream(connection, perf_counter())
        connection.sendall(request)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, stream)
        streams.append(stream)
    while selector.get_map():
        for key, _ in selector.select():
            stream = key.data
            piece = stream.connection.recv(65536)
            if piece:
                stream.times.append(perf_counter())
                stream.pieces.append(piece)
            else:
                selector.unregister(stream.connection)
                stream.connection.close()
    end = max(stream.times[-1] for stream in streams)
    texts = [stream.text() for stream in streams]
    if any(len(text) != length for text in texts):
        raise SystemExit(f"a stream is incomplete: {streams[0].pieces[0][:300]!r}")
    gaps = [after - before for stream in streams for before, after in pairwise(stream.times)]
    return Load(
        sum(map(len, texts)) / (end - start),
        max(gaps),
        [stream.times[0] - stream.sent for stream in streams],
        len(gaps),
    )


def run_generate(model: str, threads: int, length: int, prompts: list[str]) -> float:
    """Return the characters per second of ``generate`` over the list, in a new process."""
    command = [sys.executable, "-P", "-c", GENERATE, model, str(threads), str(length), *prompts]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def percentile(values: list[float], percent: float) -> float:
    """Return a percentile: the smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def main() -> None:
    """Measure, and print a line per round and the medians."""
    parser = argparse.ArgumentParser(description="Measure textgen-serve with many streams at once.")
    parser.add_argument("model", metavar="MODEL", nargs="?", default="nietzsche-float32")
    parser.add_argument("--streams", metavar="N", type=int, default=200, help="default: 200")
    parser.add_argument("--length", metavar="N", type=int, default=2000, help="default: 2000")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="default: 5")
    parser.add_argument("--threads", metavar="N", type=int, default=1, help="default: 1")
    arguments = parser.parse_args()

    excerpts = textgen.load(arguments.model).prompts
    prompts = [excerpts[i % len(excerpts)] for i in range(arguments.streams)]
    print(f"load average before: {os.getloadavg()[0]:.2f}; {os.cpu_count()} processors")
    server, port = start_server(arguments.model, arguments.threads)
    try:
        run_load(port, prompts, arguments.length)
        rounds = []
        for _ in range(arguments.rounds):
            alone = run_generate(arguments.model, arguments.threads, arguments.length, prompts)
            load = run_load(port, prompts, arguments.length)
            rounds.append((load, load.characters_per_second / alone))
            print_round(load, load.characters_per_second / alone)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    print(
        f"median: {statistics.median(load.characters_per_second for load, _ in rounds):,.0f} characters/s, "
        f"{statistics.median(ratio for _, ratio in rounds):.2f} x generate; longest gap "
        f"{1e3 * statistics.median(load.longest_gap for load, _ in rounds):.1f} ms (worst "
        f"{1e3 * max(load.longest_gap for load, _ in rounds):.1f} ms); first byte "
        f"p50 {1e3 * statistics.median(percentile(load.first_bytes, 50) for load, _ in rounds):.1f} ms, "
        f"p99 {1e3 * statistics.median(percentile(load.first_bytes, 99) for load, _ in rounds):.1f} ms"
    )


def print_round(load: Load, ratio: float) -> None:
    """Print the figures of one round."""
    print(
        f"{load.characters_per_second:>9,.0f} characters/s, {ratio:.2f} x generate; longest gap "
        f"{1e3 * load.longest_gap:5.1f} ms; first byte p50 {1e3 * percentile(load.first_bytes, 50):5.1f} ms, "
        f"p99 {1e3 * percentile(load.first_bytes, 99):5.1f} ms; {load.events} events"
    )


if __name__ == "__main__":
    main()
