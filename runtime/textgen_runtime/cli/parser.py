"""The argument parser of the commands, and arguments that several commands share."""

import argparse
import math
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from textgen_runtime._core import CoreModel
from textgen_runtime._version import __version__
from textgen_runtime.errors import ModelFileError, quote, shorten
from textgen_runtime.model_file import MODEL_FILE, check_size, find_model_file, name_source, read_model

from .command import EXIT_USAGE, run_command

# More threads than cores gain nothing, and onnxruntime starts all of them.
MAX_THREADS = 256

MAX_SEED = 2**128 - 1

CORPUS_HELP = "a UTF-8 file, a folder with .txt or .abc files, - for standard input, or the name of a corpus"
MODEL_HELP = "a model file, a folder with a model.onnx, or the name of a bundled model (textgen-run --list)"

# Without a width, argparse imports shutil to find it, which takes milliseconds.
HELP_WIDTH = 92

MAX_USAGE_ERROR = 400


class CommandParser(argparse.ArgumentParser):
    """An argument parser with one-line errors and the options ``--help`` and ``--version``."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=HELP_WIDTH),
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
        # argparse repeats invalid arguments, which can be very long.
        message = shorten(message, MAX_USAGE_ERROR)
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        value = super()._get_values(action, [*arg_strings])
        # Before Python 3.13, argparse discards the value of --option=-- and returns an empty list.
        return super()._get_values(action, ["--", "--"]) if value == [] and action.nargs is None else value


class PrintAndExit(argparse.Action):
    """An option that writes a text to standard output and exits, whatever the other arguments are.

    argparse's own actions exit with 0 even if the text cannot be written.
    """

    def __init__(self, option_strings: list[str], dest: str, *, text: Callable[[], str], help: str) -> None:  # noqa: A002 (argparse's name)
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)
        self._text = text

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.exit(run_command(parser.prog, self._write))

    def _write(self) -> int:
        sys.stdout.write(self._text())
        return 0


def number(
    requirement: str,
    accept: Callable[[float], bool] = lambda _: True,
    kind: Callable[[str], float] = float,
) -> Callable[[str], float]:
    """Return an argument type for finite numbers that ``accept`` accepts; errors state the requirement.

    Args:
        requirement: What the number must be.
        accept: Returns whether a finite number is accepted.
        kind: ``int`` for integers.
    """

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {requirement}, not {quote(text)}") from None
        # Other comparisons fail for large integers.
        if not (-math.inf < value < math.inf and accept(value)):
            raise argparse.ArgumentTypeError(f"must be {requirement}, not {shorten(text)}")
        return value

    return parse


def whole_number(minimum: int, maximum: int = 2**63 - 1) -> Callable[[str], float]:
    """Return an argument type for integers from ``minimum`` to ``maximum``."""
    return number(f"an integer from {minimum} to {maximum}", lambda value: minimum <= value <= maximum, int)


def escaped_text(text: str) -> str:
    r"""Argument type for texts: replaces ``\n``, ``\t``, ``\0`` and ``\\`` by what they stand for."""
    parts = text.split("\\\\")
    for escape, character in (("\\n", "\n"), ("\\t", "\t"), ("\\0", "\0")):
        parts = [part.replace(escape, character) for part in parts]
    return "\\".join(parts)


def add_model(command: argparse.ArgumentParser) -> None:
    """Add the argument that selects the model."""
    command.add_argument("model", metavar="MODEL", help=MODEL_HELP)


def model_name(model: str) -> str:
    """Return the name of a bundled model, of a file without its suffix, or of a folder."""
    # Its import takes longer than generating a short text.
    from pathlib import Path

    path = Path(find_model_file(model))
    return path.resolve().parent.name if path.name == MODEL_FILE else path.stem


def read_core_model(model: str) -> tuple[bytes, CoreModel]:
    """Return the content of a model file, and the model, which the C core must support.

    Raises:
        ModelFileError: If the file cannot be read, or if the core refuses it.
    """
    content = read_model(model)
    try:
        check_size(len(content))
        return content, CoreModel(content)
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(model)}: ", *error.args) from None


def add_novel(command: argparse.ArgumentParser, what: str) -> None:
    """Add the option for a corpus from which texts must differ."""
    command.add_argument("--novel", metavar="CORPUS", help=f"{what}; CORPUS is {CORPUS_HELP}")


def add_lowercase(command: argparse.ArgumentParser, text: str) -> None:
    """Add the option that converts a text to lower case, for models without upper-case letters."""
    command.add_argument("--lowercase", action="store_true", help=f"convert {text} to lower case")


def add_unknown(command: argparse.ArgumentParser, characters: str) -> None:
    """Add the option that selects how to handle characters outside the vocabulary."""
    command.add_argument(
        "--unknown",
        choices=("error", "skip"),
        default="error",
        help=f"what to do with {characters} outside the vocabulary: skip them, or feed them as the unknown "
        "symbol and stop if the model has none (default: error)",
    )


def add_engine(command: argparse.ArgumentParser) -> None:
    """Add the option that selects the engine."""
    names, what = ("native", "onnxruntime"), "engine; use onnxruntime only for files that you trust"
    command.add_argument("--engine", choices=names, default="native", help=f"{what} (default: native)")
