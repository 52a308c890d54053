"""Running the server: the socket, the signals and the end."""

import asyncio
import contextlib
import gc
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import HANDLED_SIGNALS, ServerState

from textgen_runtime.errors import TextgenError
from textgen_runtime.model import Model

from .app import make_app
from .requests import Settings
from .worker import Worker

# uvicorn logs each request with this logger, at level INFO.
ACCESS_LOGGER = "uvicorn.access"

# Seconds that clients at least get to read the rest of their responses after the last text has ended.
MIN_CLOSING_SECONDS = 2

# How long a thread that runs Python code lets others wait. Python's 5 ms would delay chunks by a part of
# their length, for example while another thread compiles a constraint.
SWITCH_SECONDS = 0.001

# Further connections get status 503.
MAX_CONNECTIONS = 10_000

# Those of the connections, and a few more.
MAX_FILES = MAX_CONNECTIONS + 64


class ServerError(TextgenError):
    """The server cannot start."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address. Connections wait until ``serve`` accepts them.

    Args:
        host: A host name or an IP address.
        port: The port; 0 chooses a free one.

    Raises:
        ServerError: If the address is in use, not of this machine, or not permitted.
    """
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # asyncio sets TCP_NODELAY only if the socket names its protocol. Without this option, an event can
        # wait 40 ms for the acknowledgment of the one before.
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":
            # Without this option the port is blocked for a minute after the end of the server.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Two sockets can be bound to one port until one of them listens.
        listener.listen()
    except (OSError, UnicodeError) as error:
        if listener:
            listener.close()
        reason = "this is not a host name" if isinstance(error, UnicodeError) else error.strerror or error
        raise ServerError(f"cannot listen on {host}, port {port}: {reason}") from None
    return listener


class _Server(uvicorn.Server):
    """uvicorn's server, but a signal only calls a function, and is not raised again at the end."""

    def __init__(
        self, config: uvicorn.Config, on_start: Callable[[], None], on_signal: Callable[[int], object]
    ) -> None:
        super().__init__(config)
        self._on_start, self._on_signal = on_start, on_signal

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (uvicorn's signature)
        """Receive a signal. A second one ends the process at once."""
        for number in HANDLED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self._on_signal(sig)


def serve(
    model: Model,
    settings: Settings,
    listener: socket.socket,
    *,
    on_start: Callable[[], None] = lambda: None,
    on_stop: Callable[[int], None] = lambda _: None,
) -> int:
    """Serve a model until SIGINT or SIGTERM, and then finish the running requests.

    Args:
        model: The model.
        settings: The limits of the server.
        listener: The socket, from ``listen``.
        on_start: Called when the server accepts connections.
        on_stop: Called with the number of running texts when the server begins to stop.

    Returns:
        The number of the signal.
    """
    # The objects so far live as long as the process: the garbage collector need not visit them.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)
    raise_file_limit()
    return asyncio.run(_serve(model, settings, listener, on_start, on_stop))


async def _serve(
    model: Model,
    settings: Settings,
    listener: socket.socket,
    on_start: Callable[[], None],
    on_stop: Callable[[int], None],
) -> int:
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[int] = asyncio.Queue()
    worker = Worker(model, settings)
    worker.start()

    def abort(scope: Scope) -> None:
        for connection in connections(server.server_state):
            if connection.client == scope["client"]:
                connection.transport.abort()

    config = uvicorn.Config(
        make_app(worker, settings, abort),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=logging.getLogger(ACCESS_LOGGER).isEnabledFor(logging.INFO),
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=math.ceil(settings.client_timeout),
        limit_concurrency=MAX_CONNECTIONS,
    )
    server = _Server(config, on_start, lambda number: loop.call_soon_threadsafe(signals.put_nowait, number))
    serving = asyncio.create_task(server.serve([listener]))
    signaled = asyncio.create_task(signals.get())
    sweeping = asyncio.create_task(close_idle(server.server_state, settings.client_timeout))
    await asyncio.wait([serving, signaled], return_when=asyncio.FIRST_COMPLETED)
    if not signaled.done():
        worker.stop()
        # Without a signal, uvicorn ends only because of an error.
        await serving
        raise ServerError("the server stopped by itself")
    on_stop(worker.texts)
    worker.draining = True
    end = loop.time() + settings.grace
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(end):
            await worker.idle()
    worker.stop()
    server.should_exit = True
    await asyncio.wait([serving], timeout=max(MIN_CLOSING_SECONDS, end - loop.time()))
    for connection in connections(server.server_state):
        connection.transport.abort()
    await serving
    sweeping.cancel()
    return signaled.result()


def connections(state: ServerState) -> list[H11Protocol]:
    """Return the open connections, all of which have the protocol that ``_serve`` chooses."""
    return [connection for connection in state.connections if isinstance(connection, H11Protocol)]


async def close_idle(state: ServerState, seconds: float) -> None:
    """Close connections that have no request for this time, or up to twice this time.

    uvicorn has a limit only for the time between a response and the next byte. A client that opens a
    connection and sends nothing or a part of a request, or that does not read the end of a response, would
    keep the connection for ever.
    """
    before: set[object] = set()
    while True:
        await asyncio.sleep(seconds)
        # The cycle is the latest request of the connection and its response.
        idle = {
            (connection, connection.cycle)
            for connection in connections(state)
            # uvicorn does not declare that there is no cycle before the first request.
            if not (connection.cycle and not connection.cycle.response_complete)
        }
        for connection, cycle in idle:
            if (connection, cycle) in before:
                connection.transport.abort()
        before = {*idle}


def raise_file_limit() -> None:
    """Let the process open a file for each connection, as far as the system permits."""
    # Windows has neither the module nor the limit.
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # macOS states no hard limit, but refuses a soft one of more than 10,240.
        wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
