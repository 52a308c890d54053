"""The examples that other programs use: the completion of a text field and the asyncio server."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator
from functools import partial
from http.server import ThreadingHTTPServer
from urllib.parse import quote
from urllib.request import urlopen

import textgen_runtime as textgen

from tests.helpers.examples import import_example
from tests.helpers.paths import TINY
from tests.helpers.served import asynchronous


def test_a_text_field_gets_whole_texts_with_their_likeliest_words_first() -> None:
    autocomplete = import_example("autocomplete")
    model = textgen.load("nietzsche")
    vars(autocomplete)["MODEL"] = model
    with ThreadingHTTPServer(("127.0.0.1", 0), autocomplete.Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}/"

        def suggestions(text: str) -> list[str]:
            with urlopen(f"{address}?{quote(text)}") as answer:  # noqa: S310 (a server of this test)
                found: list[str] = json.load(answer)
                return found

        with urlopen(address) as answer:
            page = answer.read().decode()
            assert answer.headers["Content-Type"] == "text/html"
        wills, unknown, nothing = (suggestions(text) for text in ("The wil", "日本", ""))
        long = suggestions("so " * 1000 + "the wil")
        server.shutdown()
    assert '<input id="field" list="texts"' in page
    assert wills == [f"The wil{word}" for word in autocomplete.complete(model, "The wil")]
    assert wills[0] == "The will"
    assert (unknown, nothing) == ([], [])
    assert long[0] == "so " * 1000 + "the will"


@contextlib.asynccontextmanager
async def serving(model: textgen.Model) -> AsyncIterator[int]:
    """The server of the example; yields its port."""
    example = import_example("server")
    async with await asyncio.start_server(partial(example.answer, model), "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynchronous
async def test_clients_get_a_text_for_each_line() -> None:
    async with serving(textgen.load(TINY)) as port:
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write("abc\n\r\ndé\r\n".encode())
            writer.write_eof()
            return await reader.read()

        answers = await asyncio.gather(*(converse(*connection) for connection in connections))
        for _, writer in connections:
            writer.close()
    for answer in answers:
        text = answer.decode()
        error = "\nerror: there is no text to continue: it is empty\n"
        first, second = text.split(error)
        assert [len(first), len(second)] == [400, 400 + len("\n")]


@asynchronous
async def test_a_client_that_leaves_does_not_stop_the_server() -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with serving(textgen.load(TINY)) as port:
        leaving = socket.create_connection(("127.0.0.1", port))
        leaving.sendall(b"abc\n" * 1000)
        # With unread data, the connection is reset.
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        leaving.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"abc\n")
        writer.write_eof()
        assert len((await reader.read()).decode()) == 401
        writer.close()
    assert not failures
