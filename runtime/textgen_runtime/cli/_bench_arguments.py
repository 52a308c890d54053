"""The arguments of ``textgen-bench``."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from textgen_runtime.bench.plot import SHOWN
from textgen_runtime.bench.sections import SHARES
from textgen_runtime.sampling.parameters import DEFAULT_TEMPERATURE

from .parser import MODEL_HELP, CommandParser, number

PROG = "textgen-bench"

STANDARD_OUTPUT = Path("-")

EXAMPLES = """\
examples:
  textgen-bench nietzsche
  textgen-bench model.onnx --quick --section one-stream --section latency
  textgen-bench small.onnx large.onnx --json figures.json --plot figures.png
  textgen-bench new.onnx --compare figures.json --fail-above 10
"""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse and check the arguments; wrong usage exits."""
    command = parser()
    arguments = command.parse_args(argv)
    arguments.section = arguments.section or list(SHARES)
    if arguments.fail_above is not None and arguments.compare is None:
        command.error("--fail-above needs --compare, which names the report to compare with")
    if arguments.plot == STANDARD_OUTPUT:
        command.error("--plot wants the name of a file for its picture")
    if arguments.plot and not set(SHOWN) & set(arguments.section):
        command.error(f"--plot shows the sections {' and '.join(SHOWN)}: choose one of them")
    for option, other in (("--plot", arguments.plot), ("--compare", arguments.compare)):
        if arguments.json and other and os.path.realpath(arguments.json) == os.path.realpath(other):
            command.error(f"--json and {option} name the same file")
    return arguments


def parser() -> CommandParser:
    """The command's arguments."""
    command = CommandParser(
        PROG,
        "Measure how fast model files generate text on this machine: each engine beside loops written by\n"
        "hand, and beside the least time that reading the weights takes.",
        EXAMPLES,
    )
    command.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help=f"{MODEL_HELP}; several are measured one after another",
    )
    command.add_argument(
        "--temp",
        metavar="T",
        type=number("a finite number above 0", lambda value: value > 0),
        default=DEFAULT_TEMPERATURE,
        help=f"temperature of all draws (default {DEFAULT_TEMPERATURE})",
    )
    command.add_argument(
        "--engine",
        choices=("both", "native", "onnxruntime"),
        default="both",
        help="the engine to measure (default both)",
    )
    command.add_argument(
        "--section",
        metavar="NAME",
        action="append",
        choices=tuple(SHARES),
        help=f"what to measure, again for each: {', '.join(SHARES)} (default all)",
    )
    command.add_argument(
        "--quick", action="store_true", help="ten seconds a model at most, on any machine, and less sure"
    )
    command.add_argument(
        "--json",
        metavar="FILE",
        type=Path,
        help="write the report to FILE as JSON, with the spread of each figure; - is standard output, and "
        "the tables then go to standard error",
    )
    command.add_argument(
        "--plot", metavar="FILE", type=Path, help="draw latencies and throughput as a PNG (needs matplotlib)"
    )
    command.add_argument(
        "--compare",
        metavar="OLD.json",
        type=Path,
        help="compare the ratios of figures with those of an earlier --json report",
    )
    command.add_argument(
        "--fail-above",
        metavar="PERCENT",
        type=number("a finite number, 0 or more", lambda value: value >= 0),
        help="exit with 1 if a ratio is worse than in the --compare report by more than PERCENT",
    )
    return command
