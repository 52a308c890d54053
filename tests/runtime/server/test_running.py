"""The socket of the server."""

import asyncio
import socket

from textgen_runtime.server.running import listen

from tests.helpers.served import asynchronous


@asynchronous
async def test_an_event_does_not_wait_for_the_acknowledgment_of_the_one_before() -> None:
    options: asyncio.Queue[int] = asyncio.Queue()

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        options.put_nowait(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(accept, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await options.get() != 0
            writer.close()
            await writer.wait_closed()
