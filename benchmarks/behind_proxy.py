"""Try three servers behind a proxy: many streams at once, while one server is killed and started again.

    python -m benchmarks.behind_proxy nginx|haproxy [MODEL] [--streams 1000] [--length 1000]

The proxy must be installed. Its configuration is the one in ``examples/proxies``, so the ports 8000 to 8003
must be free. Each line counts how the streams of a round ended:

- complete: with the event ``[DONE]``;
- cut: with a part of the text, and without the last chunk of HTTP, so that each HTTP client reports an error;
- unnoticed: with a part of the text and the last chunk, so that only the missing ``[DONE]`` shows it;
- another status than 200, or no response.

In the second round, a server is killed when a tenth of the streams has ended. In the third one, it is still
missing. In the last one, it runs again.
"""

import argparse
import contextlib
import selectors
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, sleep

import textgen_runtime as textgen

from benchmarks.serving import Stream, percentile, request_of

PORT, SERVER_PORTS = 8000, (8001, 8002, 8003)
FOLDER = Path(__file__).parents[1] / "examples" / "proxies"
PROXIES = {
    "nginx": ["nginx", "-g", "daemon off;", "-c", str(FOLDER / "nginx.conf")],
    "haproxy": ["haproxy", "-db", "-f", str(FOLDER / "haproxy.cfg")],
}


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command that listens on a port, from when it listens."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
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
    name: str, prompts: list[str], length: int, interfere: Callable[[], None] = lambda: None
) -> None:
    """Send all requests at once, read the responses to their end, and print how they ended.

    ``interfere`` is called when a tenth of the streams has ended.
    """
    selector = selectors.DefaultSelector()
    streams = []
    start = perf_counter()
    for seed, prompt in enumerate(prompts):
        connection = socket.create_connection(("127.0.0.1", PORT))
        stream = Stream(connection, perf_counter())
        connection.sendall(request_of(prompt, length, seed))
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, stream)
        streams.append(stream)
    while selector.get_map():
        for key, _ in selector.select():
            stream = key.data
            piece = b""
            with contextlib.suppress(ConnectionResetError):
                piece = stream.connection.recv(65536)
            if piece:
                stream.times.append(perf_counter())
                stream.pieces.append(piece)
                continue
            selector.unregister(stream.connection)
            stream.connection.close()
            if len(selector.get_map()) == len(prompts) * 9 // 10:
                interfere()
    seconds = perf_counter() - start
    counts = Counter(map(ending, streams))
    first = [stream.times[0] - stream.sent for stream in streams if stream.times]
    print(
        f"{name}: {', '.join(f'{count:,} {key}' for key, count in sorted(counts.items()))}; {seconds:.1f} s; "
        f"first byte p50 {percentile(first, 50):.2f} s, p99 {percentile(first, 99):.2f} s",
        flush=True,
    )


def ending(stream: Stream) -> str:
    """Return how a stream ended."""
    content = b"".join(stream.pieces)
    if not content:
        return "without a response"
    status = content.split(maxsplit=2)[1].decode()
    if status != "200":
        return f"with status {status}"
    if b"data: [DONE]" in content:
        return "complete"
    return "unnoticed" if content.endswith(b"\r\n0\r\n\r\n") else "cut"


def main() -> None:
    """Run the rounds."""
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
    excerpts = textgen.load(arguments.model).prompts
    prompts = [excerpts[i % len(excerpts)] for i in range(arguments.streams)]
    with contextlib.ExitStack() as stack:
        *_, last = [stack.enter_context(running_server(arguments.model, port)) for port in SERVER_PORTS]
        stack.enter_context(running(PROXIES[arguments.proxy], PORT))
        run_round("three servers", prompts, arguments.length)
        run_round("one is killed", prompts, arguments.length, last.kill)
        run_round("two are left", prompts, arguments.length)
        with running_server(arguments.model, SERVER_PORTS[-1]):
            run_round("it runs again", prompts, arguments.length)


if __name__ == "__main__":
    main()
