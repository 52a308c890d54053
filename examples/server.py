"""An asyncio server that continues each line that a client sends, and streams the text.

python examples/server.py nietzsche 8765 &
echo "the will to " | nc 127.0.0.1 8765
"""

import asyncio
import contextlib
import sys
from functools import partial

import textgen_runtime as textgen


async def answer(model: textgen.Model, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Continue the lines of a client. Threads generate the text, so that the event loop never waits."""
    # A client may leave at any time.
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        async for line in reader:
            try:
                prompt = line.decode(errors="replace").rstrip("\r\n")
                chunks = await asyncio.to_thread(model.stream, prompt, length=400, temperature=0.5)
                while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                    writer.write(chunk.encode())
                    await writer.drain()
            except textgen.TextgenError as error:
                writer.write(f"error: {error}".encode())
            writer.write(b"\n")


async def main(path: str, port: str) -> None:
    server = await asyncio.start_server(partial(answer, textgen.load(path)), "127.0.0.1", int(port))
    print(f"listening at 127.0.0.1, port {port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] if len(sys.argv) == 3 else sys.exit(__doc__)))
