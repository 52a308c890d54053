"""What all the commands do alike: arguments, errors, exit codes, interrupts and closed pipes."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

from textgen_runtime.console import discard, tell
from textgen_runtime.errors import OutputError, TextgenError, quote, shorten
from textgen_runtime.version import __version__

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

# More would not be cores, and onnxruntime starts every one of them.
MOST_THREADS = 256

MOST_SEED = 2**128 - 1

MODEL_HELP = (
    "a model.onnx that textgen-train wrote, the folder that holds it, or the name of a model that ships "
    "(textgen-run --list)"
)

LONGEST_USAGE_ERROR = 400

# Where no terminal says otherwise.
COLUMNS = 80

# C0, DEL and C1, which a terminal acts on, but for the line end and the tab, which a text may have.
CONTROLS = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
ESCAPES = {code: ascii(chr(code))[1:-1] for code in CONTROLS}


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """argparse's own, but told its width, for which it would import shutil."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=terminal_columns() - 2)


def terminal_columns() -> int:
    """The width of the terminal, as ``shutil.get_terminal_size`` finds it."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    try:
        # None where there is no standard output.
        return columns or os.get_terminal_size(sys.__stdout__.fileno()).columns or COLUMNS  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):
        return COLUMNS


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
            "-h", "--help", action=Show, text=self.format_help, help="show this help message and exit"
        )
        self.add_argument(
            "--version",
            action=Show,
            text=lambda: f"{prog} {__version__}\n",
            help="show the version and exit",
        )

    def error(self, message: str) -> NoReturn:
        # argparse repeats what it does not take.
        message = shorten(message, LONGEST_USAGE_ERROR)
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class Show(argparse.Action):
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


def run_command(prog: str, command: Callable[[], int]) -> int:
    """Run a command and turn what a user can cause into one line and an exit code.

    Returns:
        What the command returns; 1 after an error of the user's, 130 after an interrupt, and 0 when the
        reader of the output has gone away, since it got all that it wanted. A standard output that is closed
        from the start is an error.
    """
    closed = []
    for name in ("stdout", "stderr"):
        # None where the shell has closed it.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (for as long as the process)
            closed.append(name)
    try:
        if "stdout" in closed:
            raise OutputError("cannot write standard output: it is closed")
        code = command()
        sys.stdout.flush()
    except TextgenError as error:
        complain(prog, str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        discard(sys.stdout)
        return EXIT_INTERRUPTED
    except MemoryError:
        complain(prog, "there is not enough memory for this")
        return EXIT_FAILED
    except BrokenPipeError:
        discard(sys.stdout)
        return 0
    except OSError as error:
        # A stream's own errors name no file.
        place = "cannot write standard output"
        if error.filename is None:
            discard(sys.stdout)
        else:
            place = shorten(str(error.filename))
        complain(prog, f"{place}: {error.strerror or error}")
        return EXIT_FAILED
    return code


def complain(prog: str, message: str, kind: str = "error") -> None:
    """One line on standard error, after what is already on its way to standard output."""
    try:
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)
    one_line = "".join(symbol if symbol.isprintable() else ascii(symbol)[1:-1] for symbol in message)
    tell(f"{prog}: {kind}: {one_line}\n")


def shown_on(stream: TextIO, text: str) -> str:
    """A text as it is written to a stream: a terminal must not act on what a model draws."""
    return text.translate(ESCAPES) if stream.isatty() else text


def escape_unencodable(prog: str, stream: TextIO, symbols: Sequence[str]) -> None:
    """Let a stream escape what its encoding lacks, and say so once if any of the symbols is such."""
    stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    try:
        "".join(symbols).encode(stream.encoding)
    except UnicodeEncodeError:
        complain(
            prog,
            f"the output's encoding, {stream.encoding}, lacks some of the model's characters; they are "
            "written as \\u escapes (set PYTHONIOENCODING=utf-8 to have them as they are)",
            "warning",
        )
