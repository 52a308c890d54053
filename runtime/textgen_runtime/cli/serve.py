"""``textgen-serve``: serve a model over HTTP."""

import argparse
import ipaddress
import logging
import os
import re
import signal
import socket
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from importlib.util import find_spec

from textgen_runtime.errors import TextFileError, TextgenError, install_command, quote
from textgen_runtime.files import read_text
from textgen_runtime.model import Model, load
from textgen_runtime.server.requests import Settings
from textgen_runtime.terminal import print_diagnostic, write_stderr

from .command import EXIT_INTERRUPTED, run_command
from .parser import (
    CORPUS_HELP,
    ENGINE,
    MAX_THREADS,
    MODEL,
    POSITIVE,
    CommandParser,
    model_name,
    parse_number,
    whole_number,
)
from .texts import with_novel

PROG = "textgen-serve"

KEY_VARIABLE = "TEXTGEN_API_KEY"

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000

CLIENT_TIMEOUT = (
    "maximum seconds that a client may take to send a request or to read 64 KiB of a response; an idle "
    "connection is closed after this time, or after up to twice this time"
)

MAX_PORT = 65_535
MAX_LIMIT = 2**31 - 1

EXAMPLES = """\
examples:
  textgen-serve nietzsche
  textgen-serve model.onnx --port 8080 --max-users 64 --max-length 2000
  textgen-serve model.onnx --host 0.0.0.0 --api-key-file keys.txt
  textgen-serve model.onnx --ignore-unknown-fields    # for clients that send fields such as store
"""


def origin(text: str) -> str:
    """Parse the origin of a web page, as browsers write it."""
    if text == "*" or re.fullmatch(r"(?:[a-z][a-z0-9+.-]*://[^/?#@\s,]+|null)", text):
        return text
    raise argparse.ArgumentTypeError(f"{quote(text)} is not an origin, such as https://example.org")


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Serve a model over HTTP, with OpenAI's APIs for completions and chat completions.\n"
        "All texts that are requested at the same time are generated as one batch.",
        EXAMPLES,
    )
    add = command.add_argument
    add("model", **MODEL)
    add("--engine", **ENGINE)
    novel = "let requests limit copies of CORPUS with the field max_copy; CORPUS is "
    add("--novel", metavar="CORPUS", help=novel + CORPUS_HELP)
    hosts = f"address or name to listen on; 0.0.0.0 is every IPv4 address (default: {DEFAULT_HOST})"
    add("--host", metavar="TEXT", default=DEFAULT_HOST, help=hosts)
    add("--model-name", metavar="TEXT", help="name of the model for clients (default: that of its file)")
    add(
        "--api-key-file",
        metavar="PATH",
        help="refuse requests without one of the keys in this file, one on each line, or in the environment "
        f"variable {KEY_VARIABLE}",
    )
    add(
        "--allow-origin",
        metavar="TEXT",
        type=origin,
        action="append",
        dest="origins",
        default=[],
        help="origin of pages that may send requests, such as https://example.org; * allows all",
    )
    grace = partial(parse_number, requirement="a finite number, 0 or more", accept=lambda value: value >= 0)
    positive, default = whole_number(1, MAX_LIMIT), Settings
    for option, kind, value, text in (
        ("--threads", whole_number(1, MAX_THREADS), 1, "maximum number of threads that generate texts"),
        ("--port", whole_number(0, MAX_PORT), DEFAULT_PORT, "port to listen on; 0 chooses a free one"),
        ("--max-length", positive, default.max_length, "maximum number of tokens per text"),
        ("--max-users", positive, default.max_users, "maximum number of texts that are generated at once"),
        ("--max-queue", whole_number(0, MAX_LIMIT), default.max_queue, "maximum number of texts that wait"),
        ("--max-body", positive, default.max_body, "maximum size of a request in bytes"),
        ("--client-timeout", POSITIVE, default.client_timeout, CLIENT_TIMEOUT),
        ("--grace", grace, default.grace, "maximum seconds that running requests may take after SIGTERM"),
    ):
        add(option, metavar="N", type=kind, default=value, help=f"{text} (default: {value:g})")
    for option, text in (
        ("--ignore-unknown-fields", "ignore fields of requests that the server does not know, such as store"),
        ("--access-log", "print a line for each request to standard error"),
    ):
        add(option, action="store_true", help=text)
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0 after SIGTERM, 130 after Ctrl-C, 1 after a user error. Wrong usage exits with 2.
    """
    arguments = parser().parse_args(argv)
    return run_command(PROG, serve, arguments)


def serve(arguments: argparse.Namespace) -> int:
    """Serve the model until a signal arrives; return the exit code."""
    for name in ("starlette", "uvicorn"):
        if find_spec(name) is None:
            raise TextgenError(f"this command requires {name}: {install_command('serve')}")
    # uvicorn takes longer to import than a model to load.
    from textgen_runtime.server import running

    settings = settings_of(arguments)
    configure_logging(access_log=arguments.access_log)
    with running.listen(arguments.host, arguments.port) as listener:
        model = load(arguments.model, engine=arguments.engine, threads=arguments.threads)
        if arguments.novel is not None:
            model = with_novel(model, arguments.novel)
        received = running.serve(
            model,
            settings,
            listener,
            on_start=lambda: announce(model, settings, listener),
            on_stop=announce_stop,
        )
    return EXIT_INTERRUPTED if received == signal.SIGINT else 0


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that the arguments and the environment select."""
    names = {field.name for field in fields(Settings)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    # JSON could not have a byte that is not UTF-8.
    name = (arguments.model_name or model_name(arguments.model)).encode(errors="replace").decode()
    return Settings(**{**given, "model_name": name, "keys": api_keys(arguments.api_key_file)})


def api_keys(path: str | None) -> list[str]:
    """Return the API keys in a file and in the environment.

    Raises:
        TextFileError: If the file cannot be read, or has no key.
        TextgenError: If a key has characters that a header cannot have.
    """
    keys = []
    if path is not None:
        keys = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        if not keys:
            raise TextFileError(f"{path}: the file has no API key: write one key on each line")
    if key := os.environ.get(KEY_VARIABLE):
        keys.append(key)
    # The message must not show the key.
    for i, key in enumerate(keys, 1):
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise TextgenError(f"API key {i}: a key must consist of ASCII characters without spaces")
    return keys


def configure_logging(*, access_log: bool) -> None:
    """Print defects, and the requests if wanted, to standard error."""
    from textgen_runtime.server.app import LogFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter(f"{PROG}: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.ERROR)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if access_log else logging.ERROR)


def announce(model: Model, settings: Settings, listener: socket.socket) -> None:
    """Print where the server listens, and a warning if anybody can use it."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    write_stderr(
        f"{PROG}: {settings.model_name} at http://{shown}:{port}/v1 ({model.engine.name} engine, up to "
        f"{settings.max_users} texts at once)\n"
    )
    if not settings.keys and not ipaddress.ip_address(host).is_loopback:
        print_diagnostic(
            PROG,
            "other machines can use this server without a key: set one with --api-key-file",
            "warning",
        )


def announce_stop(texts: int) -> None:
    """Print what the server waits for before it ends."""
    when = f"when {texts} {'text is' if texts == 1 else 'texts are'} complete" if texts else "now"
    write_stderr(f"{PROG}: stops {when}\n")
