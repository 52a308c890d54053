"""What all the commands do alike: arguments, errors, exit codes, interrupts and closed pipes."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

from textgen_runtime.errors import TextgenError
from textgen_runtime.version import __version__

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and which knows ``--version``."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument("--version", action="version", version=f"{prog} {__version__}")

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def whole_number(least: int) -> Callable[[str], int]:
    """An argument type: a whole number that is not below ``least``."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more, not {value}")
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
            raise argparse.ArgumentTypeError(f"{text!r} is not a number{hint}") from None
        if not (math.isfinite(value) and accept(value)):
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {text}")
        return value

    return parse


def run_command(prog: str, command: Callable[[], int]) -> int:
    """Run a command and turn what a user can cause into one line and an exit code.

    Returns:
        What the command returns; 1 after an error of the user's, 130 after an interrupt, and 0 when the
        reader of the output has gone away, since it got all that it wanted.
    """
    try:
        code = command()
        sys.stdout.flush()
    except TextgenError as error:
        complain(prog, str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes standard output once more at exit and must not fail then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def complain(prog: str, message: str, kind: str = "error") -> None:
    """One line on standard error, after what is already on its way to standard output."""
    sys.stdout.flush()
    sys.stderr.write(f"{prog}: {kind}: {message}\n")


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
