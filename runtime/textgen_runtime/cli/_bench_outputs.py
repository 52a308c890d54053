"""The outputs of ``textgen-bench``: tables, report, plot and the result of a comparison."""

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from textgen_runtime.bench.compare import Comparison
from textgen_runtime.bench.plot import is_plot, plot
from textgen_runtime.bench.report import format_vocabulary, is_report, write_report
from textgen_runtime.errors import OutputError
from textgen_runtime.model_file.metadata import BITS
from textgen_runtime.system.console import print_diagnostic, write_stderr

from ._bench_arguments import DEFAULT_PLOT, PROG, STANDARD_OUTPUT
from ._output_files import check_output, write_output
from .command import EXIT_FAILED


def check_outputs(arguments: argparse.Namespace) -> None:
    """Check before the measurements that the output files can be written and replace only older outputs.

    Raises:
        OutputError: If a file cannot be written, or would replace another kind of file.
    """
    if arguments.plot and find_spec("matplotlib") is None:
        raise OutputError("--plot requires matplotlib: pip install matplotlib")
    outputs: list[tuple[str, Path | None, str, Callable[[Path], bool]]] = [
        ("--json", arguments.json, "report", is_report),
        ("--plot", arguments.plot, "plot", is_plot),
    ]
    for option, path, kind, is_own in outputs:
        if path and path != STANDARD_OUTPUT:
            check_output(option, path, kind, PROG, is_own)


def table_writer(arguments: argparse.Namespace) -> Callable[[str], None]:
    """Return the function that prints tables: to standard error if the report goes to standard output."""
    return write_stderr if arguments.json == STANDARD_OUTPUT else _unbuffered(sys.stdout)


def _unbuffered(stream: TextIO) -> Callable[[str], None]:
    # File names may be undecodable, or may contain characters that the encoding of the stream lacks.
    stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write


def model_heading(description: dict[str, Any], temperature: float) -> str:
    """Return the line above the tables of a model.

    Args:
        description: The result of ``describe_model``.
        temperature: Sampling temperature.
    """
    weights = "8-bit weights, " if description["bits"] == BITS else ""
    return (
        f"{description['file']}: {description['layers']} x {description['units']} units, {weights}"
        f"{format_vocabulary(description)}, temperature {temperature}\n\n"
    )


def write_outputs(arguments: argparse.Namespace, report: dict[str, Any]) -> None:
    """Write the report and the plot, if requested.

    Raises:
        OutputError: If a file cannot be written.
    """
    if arguments.json == STANDARD_OUTPUT:
        sys.stdout.write(write_report(report))
    elif arguments.json:
        write_output(arguments.json, write_report(report).encode())
    if arguments.plot:
        write_output(arguments.plot, plot(report))
        if arguments.plot == DEFAULT_PLOT:
            write_stderr(f"wrote {arguments.plot}\n")


def judge(comparison: Comparison, arguments: argparse.Namespace) -> int:
    """Print an error if a ratio is worse by more than ``--fail-above``, and return the exit code."""
    worse = comparison.worse(arguments.fail_above)
    if not worse:
        return 0
    count = f"{len(worse)} ratio{'s are' if len(worse) > 1 else ' is'}"
    print_diagnostic(
        PROG,
        f"{count} worse than in {arguments.compare} by more than {arguments.fail_above:g}%; the largest "
        f"increase is {worse[0].percent:.1f}% ({worse[0].name})",
    )
    return EXIT_FAILED
