"""Try three servers behind a proxy: many streams at once, while one server is killed and started again.

    python -m benchmarks.behind_proxy nginx|haproxy [MODEL] [--streams 1000] [--length 1000]

The proxy must be installed. Its configuration is the one in ``examples/proxies``, so the ports 8000 to 8003
must be free, and nginx needs root. Each line counts how the streams of a round ended:

- complete: with the event ``[DONE]``;
- cut: with a part of the text, and without the last chunk of HTTP, so that HTTP clients report an error;
- unnoticed: with a part of the text and the last chunk, so that only the missing ``[DONE]`` shows it;
- another status than 200, or no response.

In the second round, a server is killed when three of four streams have begun. In the third one, it is still
missing. In the fourth one, it runs again. Then there are three times as many streams, more than the servers
accept, and at once afterwards only ten. The exit code is 1 if the streams of a round do not end as
``docs/serving.md`` says. Then a line says how they should end.
"""

import argparse
import contextlib
import math
import selectors
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from time import perf_counter, sleep

import textgen_runtime as textgen

from benchmarks.serving import Stream, percentile, request_of

PORT, SERVER_PORTS = 8000, (8001, 8002, 8003)
FOLDER = Path(__file__).parents[1] / "examples" / "proxies"
PROXIES = {
    "nginx": [
        "nginx",
        "-e",
        "stderr",
        "-g",
        "daemon off; error_log stderr crit;",
        "-c",
        str(FOLDER / "nginx.conf"),
    ],
    "haproxy": ["haproxy", "-db", "-f", str(FOLDER / "haproxy.cfg")],
}


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command that listens on a port, from when it listens."""
    if _is_open(port):
        raise SystemExit(f"the port {port} is in use: end the program that listens there")
    process = subprocess.Popen(command)
    try:
        while not _is_open(port):
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended with the exit code {process.returncode}")
            sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


def _is_open(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def running_server(model: str, port: int) -> "contextlib.AbstractContextManager[subprocess.Popen[bytes]]":
    """Run textgen-serve on a port."""
    return running([str(Path(sys.executable).with_name("textgen-serve")), model, "--port", str(port)], port)


def run_round(
    name: str,
    prompts: list[str],
    length: int,
    interfere: Callable[[], None] = lambda: None,
    *,
    expected: Collection[str] = ("complete",),
) -> bool:
    """Send all requests at once, and print how the streams ended.

    Returns:
        Whether they ended in the expected ways, and some in each of them.
    """
    start = perf_counter()
    streams = read_streams(prompts, length, interfere)
    seconds = perf_counter() - start
    counts = Counter(ending(b"".join(stream.pieces)) for stream in streams)
    first = [stream.times[0] - stream.sent for stream in streams if stream.times] or [math.nan]
    print(
        f"{name}: {', '.join(f'{count:,} {key}' for key, count in sorted(counts.items()))}; {seconds:.1f} s; "
        f"first byte p50 {percentile(first, 50):.2f} s, p99 {percentile(first, 99):.2f} s",
        flush=True,
    )
    is_expected = set(counts) == set(expected)
    if not is_expected:
        print(f"  wrong: expected {' and '.join(expected)}", flush=True)
    return is_expected


def read_streams(prompts: list[str], length: int, interfere: Callable[[], None]) -> list[Stream]:
    """Send a request for each prompt, and return the responses, read to their end.

    ``interfere`` is called when three of four streams have begun.
    """
    selector = selectors.DefaultSelector()
    streams = []
    for seed, prompt in enumerate(prompts):
        connection = socket.create_connection(("127.0.0.1", PORT))
        stream = Stream(connection, perf_counter())
        connection.sendall(request_of(prompt, length, seed))
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, stream)
        streams.append(stream)
    begun = 0
    while selector.get_map():
        for key, _ in selector.select():
            stream = key.data
            piece = b""
            with contextlib.suppress(ConnectionResetError):
                piece = stream.connection.recv(65536)
            if not piece:
                selector.unregister(stream.connection)
                stream.connection.close()
                continue
            begun += not stream.pieces
            stream.times.append(perf_counter())
            stream.pieces.append(piece)
            if len(stream.pieces) == 1 and begun == len(prompts) * 3 // 4:
                interfere()
    return streams


def ending(response: bytes) -> str:
    """Return how a stream ended, from what the client has received."""
    if not response:
        return "without a response"
    status = response.split(maxsplit=2)[1].decode()
    if status != "200":
        return f"with status {status}"
    if b"data: [DONE]" in response:
        return "complete"
    return "unnoticed" if response.endswith(b"\r\n0\r\n\r\n") else "cut"


def main() -> int:
    """Run the rounds, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("proxy", choices=PROXIES)
    parser.add_argument("model", metavar="MODEL", nargs="?", default="nietzsche")
    parser.add_argument("--streams", metavar="N", type=int, default=1000, help="default: 1000")
    parser.add_argument("--length", metavar="N", type=int, default=1000, help="default: 1000")
    arguments = parser.parse_args()
    # Each stream needs a connection. Windows has neither this module nor these proxies.
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    excerpts = textgen.load(arguments.model).prompts or ("",)
    prompts = [excerpts[i % len(excerpts)] for i in range(arguments.streams)]
    with contextlib.ExitStack() as stack:
        *_, last = [stack.enter_context(running_server(arguments.model, port)) for port in SERVER_PORTS]
        stack.enter_context(running(PROXIES[arguments.proxy], PORT))
        length, cut, full = arguments.length, ("complete", "cut"), ("complete", "with status 429")
        results = [
            run_round("three servers", prompts, length),
            run_round("one is killed", prompts, length, last.kill, expected=cut),
            run_round("two are left", prompts, length),
        ]
        with running_server(arguments.model, SERVER_PORTS[-1]):
            results += [
                run_round("it runs again", prompts, length),
                run_round("too many streams", 3 * prompts, length, expected=full),
                run_round("fewer again", prompts[:10], length),
            ]
    return int(not all(results))


if __name__ == "__main__":
    raise SystemExit(main())
