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
from uvicorn.server import HANDLED_SIGNALS

from textgen_runtime.errors import TextgenError
from textgen_runtime.model import Model

from .app import make_app
from .connections import Connection
from .requests import Settings
from .scheduler import Scheduler

# uvicorn logs each request with this logger, at level INFO.
ACCESS_LOGGER = "uvicorn.access"

# Seconds that clients at least get to read the rest of their responses after the last text has ended.
MIN_CLOSING_SECONDS = 2

# How long a thread that runs Python code lets others wait. Python's 5 ms would delay chunks by a part of
# their length, for example while another thread compiles a constraint.
SWITCH_SECONDS = 0.001

# Open files of the process besides connections.
OTHER_FILES = 64


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
    if settings.metrics:
        from prometheus_client import disable_created_metrics

        # They would double the number of counters, and each restart already shows in the process's start.
        disable_created_metrics()
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
    scheduler = Scheduler(model, settings)
    scheduler.start()
    limits = {"client_timeout": settings.client_timeout, "max_connections": _max_connections()}
    config = uvicorn.Config(
        make_app(scheduler, settings),
        http=type("LimitedConnection", (Connection,), limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=logging.getLogger(ACCESS_LOGGER).isEnabledFor(logging.INFO),
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=math.ceil(settings.client_timeout),
    )
    server = _Server(config, on_start, lambda number: loop.call_soon_threadsafe(signals.put_nowait, number))
    serving = asyncio.create_task(server.serve([listener]))
    signaled = asyncio.create_task(signals.get())
    await asyncio.wait([serving, signaled], return_when=asyncio.FIRST_COMPLETED)
    if not signaled.done():
        await scheduler.stop()
        # Without a signal, uvicorn ends only because of an error.
        await serving
        raise ServerError("the server stopped by itself")
    number = signaled.result()
    on_stop(scheduler.texts)
    scheduler.draining = True
    end = loop.time() + settings.grace
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(end):
            await scheduler.idle()
    await scheduler.stop()
    server.should_exit = True
    await asyncio.wait([serving], timeout=max(MIN_CLOSING_SECONDS, end - loop.time()))
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await serving
    return number


def _max_connections() -> int:
    """Return how many connections the process may open. Raise the limit as far as it is needed."""
    if os.name != "posix":
        return Connection.max_connections
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = Connection.max_connections + OTHER_FILES
    # macOS states no hard limit, but refuses a soft one of more than 10,240.
    possible = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft == resource.RLIM_INFINITY:
        soft = needed
    if soft < possible:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
            soft = possible
    return max(1, min(soft - OTHER_FILES, Connection.max_connections))
