"""The arguments of ``textgen-serve``."""

import argparse
import re

from textgen_runtime.errors import quote
from textgen_runtime.server.requests import Settings

from .parser import MAX_THREADS, CommandParser, add_engine, add_model, number, whole_number

PROG = "textgen-serve"

KEY_VARIABLE = "TEXTGEN_API_KEY"

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000

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
    raise argparse.ArgumentTypeError(
        f"{quote(text)} is not an origin: it must be a scheme and a host, such as https://example.org"
    )


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Serve a model over HTTP, with OpenAI's APIs for completions and chat completions.\n"
        "All texts that are requested at the same time are generated as one batch.",
        EXAMPLES,
    )
    add_model(command)
    add_engine(command)
    command.add_argument(
        "--novel",
        metavar="CORPUS",
        help="let requests limit copies of CORPUS with the field max_copy; CORPUS is a UTF-8 file, a folder "
        "with .txt or .abc files, or the name of a corpus (default: none)",
    )
    command.add_argument(
        "--threads",
        metavar="N",
        type=whole_number(1, MAX_THREADS),
        default=1,
        help="maximum number of threads that generate texts; one more thread handles the connections "
        "(default: 1)",
    )
    command.add_argument(
        "--host",
        metavar="TEXT",
        default=DEFAULT_HOST,
        help=f"address or host name to listen on; 0.0.0.0 is every IPv4 address (default: {DEFAULT_HOST}, "
        "which only this machine can reach)",
    )
    command.add_argument(
        "--port",
        metavar="N",
        type=whole_number(0, MAX_PORT),
        default=DEFAULT_PORT,
        help=f"port to listen on; 0 chooses a free one (default: {DEFAULT_PORT})",
    )
    command.add_argument(
        "--model-name",
        metavar="TEXT",
        help="name of the model in requests and responses (default: the name of the file or its folder)",
    )
    command.add_argument(
        "--api-key-file",
        metavar="PATH",
        help="refuse requests without one of the API keys in this file, which has one key per line; the "
        f"environment variable {KEY_VARIABLE} can hold a key, too (default: no key is needed)",
    )
    command.add_argument(
        "--allow-origin",
        metavar="TEXT",
        type=origin,
        action="append",
        default=[],
        help="origin of web pages that may send requests, such as https://example.org; may be repeated; * "
        "allows all origins (default: none)",
    )
    for option, minimum, default, text in (
        ("--max-length", 1, Settings.max_length, "maximum number of tokens per text"),
        ("--max-users", 1, Settings.max_users, "maximum number of texts that are generated at the same time"),
        ("--max-queue", 0, Settings.max_queue, "maximum number of texts that wait for others to end"),
        ("--max-body", 1, Settings.max_body, "maximum size of a request in bytes"),
    ):
        command.add_argument(
            option,
            metavar="N",
            type=whole_number(minimum, MAX_LIMIT),
            default=default,
            help=f"{text} (default: {default})",
        )
    seconds = number("a finite number above 0", lambda value: value > 0)
    command.add_argument(
        "--client-timeout",
        metavar="N",
        type=seconds,
        default=Settings.client_timeout,
        help="maximum seconds that a client may take to send a request, to read 64 KiB of a response, or to "
        f"use an open connection again (default: {Settings.client_timeout:g})",
    )
    command.add_argument(
        "--grace",
        metavar="N",
        type=number("a finite number, 0 or more", lambda value: value >= 0),
        default=Settings.grace,
        help="maximum seconds that running requests may take after SIGTERM or Ctrl-C; new requests are then "
        f"refused (default: {Settings.grace:g})",
    )
    command.add_argument(
        "--ignore-unknown-fields",
        action="store_true",
        help="ignore fields of requests that the server does not know, such as store, and print each name "
        "once (default: refuse such requests)",
    )
    command.add_argument(
        "--access-log",
        action="store_true",
        help="print a line for each request to standard error: its address, path, status and id",
    )
    command.add_argument(
        "--metrics",
        action="store_true",
        help="report counts and times of requests at the path /metrics, in the text format of Prometheus; "
        "requires the extra metrics",
    )
    return command
