"""``textgen-serve``: serve a model over HTTP."""

import argparse
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from textgen_runtime.errors import TextFileError, TextgenError, install_command
from textgen_runtime.model import Model, load
from textgen_runtime.model_file import MODEL_FILE, find_model_file
from textgen_runtime.server.requests import Settings
from textgen_runtime.system.console import print_diagnostic, write_stderr
from textgen_runtime.system.file_content import read_text

from ._serve_arguments import KEY_VARIABLE, PROG, parser
from .command import EXIT_INTERRUPTED, run_command
from .texts import with_novel

# The packages that the server imports, and their extras.
PACKAGES = {"starlette": "serve", "uvicorn": "serve"}
METRICS_PACKAGES = {"prometheus_client": "metrics"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0 after SIGTERM, 130 after Ctrl-C, 1 after a user error. Wrong usage exits with 2.
    """
    arguments = parser().parse_args(argv)
    return run_command(PROG, lambda: serve(arguments))


def serve(arguments: argparse.Namespace) -> int:
    """Serve the model until a signal arrives; return the exit code."""
    check_packages("this command", PACKAGES)
    if arguments.metrics:
        check_packages("--metrics", METRICS_PACKAGES)
    # uvicorn takes longer to import than a model to load.
    from textgen_runtime.server import running

    settings = settings_of(arguments)
    configure_logging(access_log=arguments.access_log)
    with running.listen(arguments.host, arguments.port) as listener:
        model = load(arguments.model, engine=arguments.engine, threads=arguments.threads)
        model = with_novel(model, arguments.novel)
        received = running.serve(
            model,
            settings,
            listener,
            on_start=lambda: announce(model, settings, listener),
            on_stop=announce_stop,
        )
    return EXIT_INTERRUPTED if received == signal.SIGINT else 0


def check_packages(wanted_by: str, packages: Mapping[str, str]) -> None:
    """Check that packages are installed.

    Args:
        wanted_by: What requires the packages.
        packages: The extra of each package.

    Raises:
        TextgenError: If one is missing.
    """
    for name, extra in packages.items():
        if find_spec(name) is None:
            raise TextgenError(f"{wanted_by} requires {name}: {install_command(extra)}")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that the arguments and the environment select."""
    return Settings(
        model_name=encodable(arguments.model_name or model_name(arguments.model)),
        keys=api_keys(arguments.api_key_file),
        origins=arguments.allow_origin,
        max_length=arguments.max_length,
        max_users=arguments.max_users,
        max_queue=arguments.max_queue,
        max_body=arguments.max_body,
        client_timeout=arguments.client_timeout,
        grace=arguments.grace,
        ignore_unknown_fields=arguments.ignore_unknown_fields,
        metrics=arguments.metrics,
    )


def model_name(model: str) -> str:
    """Return the name of a bundled model, of a file without its suffix, or of a folder."""
    path = Path(find_model_file(model))
    return path.resolve().parent.name if path.name == MODEL_FILE else path.stem


def encodable(name: str) -> str:
    """Return a name with a question mark for each byte that is not UTF-8. JSON could not have it."""
    return name.encode(errors="replace").decode()


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
    for number, key in enumerate(keys, 1):
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise TextgenError(f"API key {number}: a key must consist of ASCII characters without spaces")
    return keys


def configure_logging(*, access_log: bool) -> None:
    """Print defects, ignored fields, and the requests if wanted, to standard error."""
    from textgen_runtime.server.request_ids import LogFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter(f"{PROG}: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.ERROR)
    logging.getLogger("textgen_runtime.server").setLevel(logging.WARNING)
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
