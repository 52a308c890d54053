"""The argument parser of all commands, and the arguments that several commands share."""

import argparse
import math
import sys
from collections.abc import Callable
from typing import NoReturn

from textgen_runtime._version import __version__
from textgen_runtime.errors import quote, shorten
from textgen_runtime.system.console import terminal_columns

from .command import EXIT_USAGE, run_command

# More would not be cores, and onnxruntime starts every one of them.
MAX_THREADS = 256

MAX_SEED = 2**128 - 1

MODEL_HELP = (
    "a model.onnx that textgen-train wrote, the folder that holds it, or the name of a model that ships "
    "(textgen-run --list)"
)

MAX_USAGE_ERROR = 400


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """argparse's own, but told its width, for which it would import shutil."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=terminal_columns() - 2)


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and which knows ``--help`` and ``--version``."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=HelpFormatter,
            allow_abbrev=False,
            add_help=False,
        )
        self.add_argument(
            "-h", "--help", action=PrintAndExit, text=self.format_help, help="show this help message and exit"
        )
        self.add_argument(
            "--version",
            action=PrintAndExit,
            text=lambda: f"{prog} {__version__}\n",
            help="show the version and exit",
        )

    def error(self, message: str) -> NoReturn:
        # argparse repeats what it does not take.
        message = shorten(message, MAX_USAGE_ERROR)
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class PrintAndExit(argparse.Action):
    """An option that writes a text to standard output and ends the command, whatever else is asked for.

    argparse's own actions exit with 0 where the text cannot be written.
    """

    def __init__(self, option_strings: list[str], dest: str, *, text: Callable[[], str], help: str) -> None:  # noqa: A002 (argparse's name)
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)
        self._text = text

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.exit(run_command(parser.prog, self._write))

    def _write(self) -> int:
        sys.stdout.write(self._text())
        return 0


def whole_number(least: int, most: int = 2**63 - 1) -> Callable[[str], int]:
    """An argument type: a whole number from ``least`` to ``most``."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{quote(text)} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more, not {quote(value)}")
        if value > most:
            raise argparse.ArgumentTypeError(f"must be {most} or less, not {quote(value)}")
        return value

    return parse


def number(wanted: str, accept: Callable[[float], bool] = lambda _: True) -> Callable[[str], float]:
    """An argument type: a finite number that ``accept`` accepts, described as ``wanted``."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            # The likely reason, after an option that takes several numbers.
            hint = " (MODEL goes before it)" if text.endswith(".onnx") else ""
            raise argparse.ArgumentTypeError(f"{quote(text)} is not a number{hint}") from None
        if not (math.isfinite(value) and accept(value)):
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {shorten(text)}")
        return value

    return parse


def add_model(command: argparse.ArgumentParser) -> None:
    """The argument that says which model."""
    command.add_argument("model", metavar="MODEL", help=MODEL_HELP)


def add_lowercase(command: argparse.ArgumentParser, what: str) -> None:
    """The option that brings a text into lower case, for models whose vocabulary has no capitals."""
    command.add_argument(
        "--lowercase",
        action="store_true",
        help=f"make {what} lower case first, for a model that knows no capitals",
    )


def add_engine(command: argparse.ArgumentParser) -> None:
    """The option that chooses what runs the model."""
    command.add_argument(
        "--engine",
        choices=("auto", "native", "onnxruntime"),
        default="auto",
        help="what runs the model: native is far faster; onnxruntime runs any graph, so use it only for "
        "files that you trust (default auto: native)",
    )
