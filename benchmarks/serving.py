"""Load textgen-serve with many streams at once, from a client that shares the machine.

    python -m benchmarks.serving [MODEL] [--streams 200] [--length 2000] [--rounds 5] [--threads 1]

The server runs in its own process. The client has one thread with plain sockets, and parses the responses
after the last one has ended. In each round, ``Model.generate`` also generates the same texts from a list in a
third process, alone. A tenth of the clients leaves early, and a tenth sends what the server refuses.

The exit code is 1 if a text is not that of ``generate``, if a response has another status than expected, or
if the memory of the server grows by more than 16 MiB after the first round.
"""

import argparse
import json
import math
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import psutil
import textgen_runtime as textgen
from textgen_runtime.bench.report import format_machine

GENERATE = """
import json, sys, time
import textgen_runtime as textgen
model = textgen.load(sys.argv[1], threads=int(sys.argv[2]))
prompts, length = sys.argv[4:], int(sys.argv[3])
model.generate(prompts, length=20, seed=1)
start = time.perf_counter()
texts = model.generate(prompts, length=length, seed=1, temperature=1.0)
print(sum(map(len, texts)) / (time.perf_counter() - start))
"""

MAX_GROWTH = 2**24
WHOLE, LEAVES, REFUSED = "whole", "leaves", "refused"


@dataclass
class Client:
    """One request, and the pieces of its response with the time of each."""

    kind: str
    connection: socket.socket
    sent: float
    times: list[float] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def response(self) -> bytes:
        return b"".join(self.pieces)

    def text(self) -> str:
        """Return the text of all events."""
        events = map(json.loads, re.findall(rb"^data: (\{.*\})\r?$", self.response, re.MULTILINE))
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


def request(prompt: str, length: int, seed: int, kind: str) -> bytes:
    """Return an HTTP request for a stream. The server closes the connection after its response."""
    fields = {"prompt": prompt, "max_tokens": -1 if kind == REFUSED else length, "seed": seed, "stream": True}
    body = json.dumps(fields).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\nConnection: close\r\n\r\n" + body


def run_load(port: int, prompts: Sequence[str], length: int) -> list[Client]:
    """Send all requests at once, and read the responses to their end."""
    selector, clients = selectors.DefaultSelector(), []
    for seed, prompt in enumerate(prompts):
        kind = {3: LEAVES, 7: REFUSED}.get(seed % 10, WHOLE)
        connection = socket.create_connection(("127.0.0.1", port))
        client = Client(kind, connection, perf_counter())
        connection.sendall(request(prompt, length, seed, kind))
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, client)
        clients.append(client)
    while selector.get_map():
        for key, _ in selector.select():
            client = key.data
            piece = client.connection.recv(65536)
            client.times.append(perf_counter())
            client.pieces.append(piece)
            if not piece or client.kind == LEAVES:
                selector.unregister(client.connection)
                client.connection.close()
    return clients


def wrong_responses(
    clients: Sequence[Client], model: textgen.Model, prompts: Sequence[str], length: int
) -> int:
    """Return how many responses are wrong. Every twentieth text is generated again."""
    wrong = 0
    for seed, client in enumerate(clients):
        status = b" 400 " if client.kind == REFUSED else b" 200 "
        is_wrong = status not in client.response[:20]
        if client.kind == WHOLE:
            is_wrong |= b"data: [DONE]" not in client.response
            if seed % 20 == 0:
                is_wrong |= client.text() != model.generate(
                    prompts[seed], length=length, seed=seed, temperature=1.0
                )
        if is_wrong:
            print(f"request {seed}, {client.kind}: {client.response[:200]!r}", file=sys.stderr)
        wrong += is_wrong
    return wrong


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile: the smallest value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a line per round and the medians, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", default="nietzsche-float32")
    parser.add_argument("--streams", metavar="N", type=int, default=200, help="default: 200")
    parser.add_argument("--length", metavar="N", type=int, default=2000, help="default: 2000")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="default: 5")
    parser.add_argument("--threads", metavar="N", type=int, default=1, help="default: 1")
    arguments = parser.parse_args(argv)
    model = textgen.load(arguments.model)
    prompts = [model.prompts[i % len(model.prompts)] for i in range(arguments.streams)]
    print(format_machine(), flush=True)
    server, port = start_server(arguments.model, arguments.threads)
    words = [arguments.model, str(arguments.threads), str(arguments.length), *prompts]
    figures, memory, wrong = [], [], 0
    with server:
        try:
            for _ in range(arguments.rounds + 1):
                output = subprocess.run(
                    [sys.executable, "-P", "-c", GENERATE, *words], check=True, stdout=subprocess.PIPE
                )
                clients = run_load(port, prompts, arguments.length)
                wrong += wrong_responses(clients, model, prompts, arguments.length)
                memory.append(psutil.Process(server.pid).memory_info().rss)
                texts = [client for client in clients if client.kind == WHOLE]
                seconds = max(client.times[-1] for client in texts) - min(client.sent for client in clients)
                speed = sum(len(client.text()) for client in texts) / seconds
                first = [client.times[0] - client.sent for client in texts]
                gap = max(after - before for client in texts for before, after in pairwise(client.times))
                ratio = speed / float(output.stdout)
                figures.append(
                    (speed, ratio, 1e3 * gap, 1e3 * percentile(first, 50), 1e3 * percentile(first, 99))
                )
                print(describe(figures[-1]), flush=True)
        finally:
            server.send_signal(signal.SIGTERM)
    # The first round warms up.
    print(f"median: {describe([statistics.median(column) for column in zip(*figures[1:], strict=True)])}")
    growth = memory[-1] - memory[0]
    print(f"{wrong} wrong responses; the memory of the server grew by {growth / 2**20:.1f} MiB")
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
