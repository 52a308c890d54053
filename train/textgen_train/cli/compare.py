"""``textgen-compare``: put training runs side by side."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from textgen_runtime.bench.report import Section
from textgen_runtime.cli.command import EXIT_FAILED, run_command
from textgen_runtime.cli.parser import CommandParser
from textgen_runtime.errors import OutputError, TextgenError, shorten
from textgen_runtime.files import is_output, replace_file
from textgen_runtime.terminal import print_diagnostic

from ._process import check_packages

PROG = "textgen-compare"

EXAMPLES = """\
examples:
  textgen-compare small medium
  textgen-compare runs/* --html comparison.html
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-train``."""
    arguments = parser().parse_args(argv)
    return run_command(PROG, compare, arguments)


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Compare training runs: their losses, their durations, and the values in which their\n"
        "recipes differ. A run may still be going on.",
        EXAMPLES,
    )
    command.usage = "%(prog)s FOLDER... [OPTIONS]"
    command.add_argument(
        "folders", metavar="FOLDER", nargs="+", type=Path, help="an output folder of textgen-train"
    )
    command.add_argument(
        "--html",
        metavar="PATH",
        type=Path,
        help="also write an HTML page to PATH, with the table and the loss curves",
    )
    return command


def compare(arguments: argparse.Namespace) -> int:
    """Write the table to standard output; return the exit code.

    A folder that cannot be read does not stop the comparison of the others.
    """
    check_packages(PROG, ("filelock",))
    from textgen_train.report.compared_run import read_run, run_names
    from textgen_train.report.comparison import (
        comparison_page,
        comparison_table,
        describe_different_texts,
        different_values_list,
    )

    if arguments.html:
        check_page(arguments.html)
    warnings: list[str] = []
    runs, code = [], 0
    for folder, name in zip(arguments.folders, run_names(arguments.folders), strict=True):
        try:
            runs.append(read_run(folder, name, warnings.append))
        except TextgenError as error:
            print_diagnostic(PROG, str(error))
            code = EXIT_FAILED
    if not runs:
        return code
    if different := describe_different_texts(runs):
        warnings.append(different)
    for warning in warnings:
        print_diagnostic(PROG, warning, "warning")
    if arguments.html:
        replace_file(arguments.html, comparison_page(runs, warnings).encode(errors="replace"))
    # A folder may have a name that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout.write(f"{Section('losses per held-out character', *comparison_table(runs))}\n")
    if values := different_values_list(runs):
        sys.stdout.write(f"\n{values}")
    return code


def check_page(path: Path) -> None:
    """Check that a file does not exist, or is a page of an earlier command.

    Raises:
        OutputError: If it would be another file that is replaced.
    """
    if path.exists() and not is_output(path):
        raise OutputError(
            f"--html {shorten(str(path))} exists and is not a page of a command: choose another path"
        )
