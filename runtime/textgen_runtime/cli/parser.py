"""The argument parser of the commands, and arguments that several commands share."""

import argparse
import math
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from textgen_runtime._core import CoreModel
from textgen_runtime._version import __version__
from textgen_runtime.errors import ModelFileError, Name, quote, shorten
from textgen_runtime.model_file import MODEL_FILE, find_model_file, name_source, read_model

from .command import EXIT_USAGE, run_command, spell_option

# More threads than cores gain nothing, and onnxruntime starts all of them.
MAX_THREADS = 256

MAX_SEED = 2**128 - 1

CORPUS_HELP = "a UTF-8 file, a folder with .txt or .abc files, - for standard input, or the name of a corpus"

# The settings of arguments that several commands have.
MODEL: dict[str, Any] = {
    "metavar": "MODEL",
    "help": "a model file, a folder with a model.onnx, or the name of a bundled model (textgen-run --list)",
}
ENGINE: dict[str, Any] = {
    "choices": ("native", "onnxruntime"),
    "default": "native",
    "help": "engine; use onnxruntime only for files that you trust (default: native)",
}
UNKNOWN: dict[str, Any] = {
    "choices": ("error", "skip"),
    "default": "error",
    "help": "what to do with characters outside the vocabulary: skip them, or feed them as the unknown "
    "symbol and stop if the model has none (default: error)",
}

# Without a width, argparse imports shutil to find it, which takes milliseconds.
HELP_WIDTH = 92

MAX_USAGE_ERROR = 400


class OptionFormatter(argparse.RawDescriptionHelpFormatter):
    """Spells the parameters that a help text has in braces, such as ``{top_p}``, as options."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        start, *rest = (action.help or "").split("{")
        parts = [part.split("}", 1) for part in rest]
        return start + "".join([spell_option(Name(name)) + plain for name, plain in parts])


class CommandParser(argparse.ArgumentParser):
    """An argument parser with one-line errors and the options ``--help`` and ``--version``."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=partial(OptionFormatter, width=HELP_WIDTH),
            allow_abbrev=False,
            add_help=False,
        )
        self.add_argument("-h", "--help", **printed(self.format_help, "show this help message and exit"))
        self.add_argument(
            "--version", **printed(lambda: f"{prog} {__version__}\n", "show the version and exit")
        )

    def error(self, message: str) -> NoReturn:
        # argparse repeats invalid arguments, which can be very long.
        message = shorten(message, MAX_USAGE_ERROR)
        if re.fullmatch(r"unrecognized arguments:( [^-]\S*)+", message):
            message += "; a text or path with spaces needs quotes"
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        value = super()._get_values(action, [*arg_strings])
        # Before Python 3.13, argparse discards the value of --option=-- and returns an empty list.
        return super()._get_values(action, ["--", "--"]) if value == [] and action.nargs is None else value


class PrintAndExit(argparse.Action):
    """An option that writes a text to standard output and exits, whatever the other arguments are.

    argparse's own actions exit with 0 even if the text cannot be written. ``const`` returns the text.
    """

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.exit(run_command(parser.prog, self._write))

    def _write(self) -> int:
        sys.stdout.write(self.const())
        return 0


def printed(text: Callable[[], str], what: str) -> dict[str, Any]:
    """Return the settings of an option that prints a text and exits, and whose help is ``what``."""
    return {"action": PrintAndExit, "nargs": 0, "const": text, "default": argparse.SUPPRESS, "help": what}


def parse_number(
    text: str,
    *,
    requirement: str,
    accept: Callable[[float], bool],
    kind: Callable[[str], float] = float,
) -> float:
    """Argument type for finite numbers that ``accept`` accepts.

    Args:
        text: The argument.
        requirement: What the number must be.
        accept: Returns whether a finite number is accepted.
        kind: ``int`` for integers.
    """
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {requirement}, not {quote(text)}") from None
    # Other comparisons fail for large integers.
    if not (-math.inf < value < math.inf and accept(value)):
        raise argparse.ArgumentTypeError(f"must be {requirement}, not {shorten(text)}")
    return value


POSITIVE = partial(parse_number, requirement="a finite number above 0", accept=lambda value: value > 0)
SHARE = partial(
    parse_number, requirement="a number above 0 and at most 1", accept=lambda value: 0 < value <= 1
)


def whole_number(minimum: int, maximum: int = 2**63 - 1) -> Callable[[str], float]:
    """Return an argument type for integers from ``minimum`` to ``maximum``."""
    accept = range(minimum, maximum + 1).__contains__
    return partial(
        parse_number, requirement=f"an integer from {minimum} to {maximum}", accept=accept, kind=int
    )


def escaped_text(text: str) -> str:
    r"""Argument type for texts: replaces ``\n``, ``\t``, ``\0`` and ``\\`` by what they stand for."""
    parts = text.split("\\\\")
    for escape, character in (("\\n", "\n"), ("\\t", "\t"), ("\\0", "\0")):
        parts = [part.replace(escape, character) for part in parts]
    return "\\".join(parts)


def model_name(model: str) -> str:
    """Return the name of a bundled model, of a file without its suffix, or of the folder of a run."""
    # Their import takes longer than generating a short text.
    from pathlib import Path

    from textgen_runtime.corpus import QUANTIZED_FILE

    path = Path(find_model_file(model))
    return path.resolve().parent.name if path.name in {MODEL_FILE, QUANTIZED_FILE} else path.stem


def read_core_model(model: str) -> tuple[bytes, CoreModel]:
    """Return the content of a model file, and the model, which the C core must support.

    Raises:
        ModelFileError: If the file cannot be read, or if the core refuses it.
    """
    content = read_model(model)
    try:
        return content, CoreModel(content)
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(model)}: ", *error.args) from None
