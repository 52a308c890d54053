"""The arguments of ``textgen-bench``."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from textgen_runtime.bench.plot import PLOTTED_SECTIONS
from textgen_runtime.bench.sections import SECTIONS
from textgen_runtime.sampler import DEFAULT_TEMPERATURE

from .parser import MODEL_HELP, CommandParser, number

PROG = "textgen-bench"

STANDARD_OUTPUT = Path("-")
DEFAULT_PLOT = Path("bench.png")

EXAMPLES = """\
examples:
  textgen-bench nietzsche
  textgen-bench model.onnx --quick --section one-stream --section latency
  textgen-bench small.onnx large.onnx --json figures.json --plot figures.png
  textgen-bench new.onnx --compare figures.json --fail-above 10
"""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse and check the arguments. Invalid arguments exit with a usage error."""
    command = parser()
    arguments = command.parse_args(argv)
    arguments.section = arguments.section or list(SECTIONS)
    if arguments.fail_above is not None and arguments.compare is None:
        command.error("--fail-above requires --compare with an earlier report")
    if arguments.plot == STANDARD_OUTPUT:
        command.error("--plot requires a file name: it cannot write to standard output")
    if arguments.plot and not set(PLOTTED_SECTIONS) & set(arguments.section):
        command.error(f"--plot requires the section {' or '.join(PLOTTED_SECTIONS)}")
    for option, other in (("--plot", arguments.plot), ("--compare", arguments.compare)):
        if arguments.json and other and os.path.realpath(arguments.json) == os.path.realpath(other):
            command.error(f"--json and {option} are the same file: choose different names")
    return arguments


def parser() -> CommandParser:
    """Return the parser of the command."""
    command = CommandParser(
        PROG,
        "Measure how fast models generate text on this machine. The engines are\n"
        "compared with baseline loops that use onnxruntime. They are also compared with\n"
        "the roofline, the minimum time per character: the time to read all weights once.",
        EXAMPLES,
    )
    command.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help=f"{MODEL_HELP}; several models are measured in order",
    )
    command.add_argument(
        "--temp",
        metavar="T",
        type=number("a finite number above 0", lambda value: value > 0),
        default=DEFAULT_TEMPERATURE,
        help=f"sampling temperature (default: {DEFAULT_TEMPERATURE})",
    )
    command.add_argument(
        "--engine",
        choices=("both", "native", "onnxruntime"),
        default="both",
        help="engine to measure (default: both)",
    )
    command.add_argument(
        "--section",
        metavar="NAME",
        action="append",
        choices=tuple(SECTIONS),
        help=f"section to measure; may be repeated; the sections are {', '.join(SECTIONS)} (default: all)",
    )
    command.add_argument(
        "--quick",
        action="store_true",
        help="take at most ten seconds per model on any machine; the figures are less accurate",
    )
    command.add_argument(
        "--json",
        metavar="PATH",
        type=Path,
        help="write a JSON report with all figures and their spread to PATH; if PATH is -, write the report "
        "to standard output and the tables to standard error",
    )
    command.add_argument(
        "--plot",
        metavar="PATH",
        type=Path,
        nargs="?",
        const=DEFAULT_PLOT,
        help="write a plot of latency and throughput to PATH, a PNG file; an existing file is replaced only "
        f"if it is such a plot; requires matplotlib (default PATH: {DEFAULT_PLOT})",
    )
    command.add_argument(
        "--compare",
        metavar="PATH",
        type=Path,
        help="compare ratios, such as native time / plain loop time, with those of an earlier report, which "
        "--json wrote",
    )
    command.add_argument(
        "--fail-above",
        metavar="PERCENT",
        type=number("a finite number, 0 or more", lambda value: value >= 0),
        help="with --compare, exit with code 1 if a ratio increased by more than PERCENT (default: never)",
    )
    return command
