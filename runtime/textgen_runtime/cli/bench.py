"""``textgen-bench``: how fast a model file generates on this machine, and beside what."""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from textgen_runtime.atomic import replace_file
from textgen_runtime.bench.machine import machine, usable_cores
from textgen_runtime.bench.report import Section
from textgen_runtime.errors import OutputError
from textgen_runtime.generator import DEFAULT_TEMPERATURE, Model
from textgen_runtime.json_text import to_json
from textgen_runtime.loading import load
from textgen_runtime.shipped import locate

from .shell import CommandParser, add_model, number, run_command

PROG = "textgen-bench"

# Of each comparison.
SECONDS, QUICK_SECONDS = 4.0, 0.2

EXAMPLES = """\
examples:
  textgen-bench nietzsche
  textgen-bench model.onnx --quick
  textgen-bench model.onnx --json figures.json --plot figures.png
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    arguments = parser().parse_args(argv)
    return run_command(PROG, lambda: bench(arguments))


def parser() -> CommandParser:
    """The command's arguments."""
    command = CommandParser(
        PROG,
        "Measure how fast a model file generates text here: each engine beside the loops that are written\n"
        "by hand, and beside the least time that reading the weights takes.",
        EXAMPLES,
    )
    add_model(command)
    command.add_argument(
        "--temp",
        metavar="T",
        type=number("a finite number above 0", lambda value: value > 0),
        default=DEFAULT_TEMPERATURE,
        help=f"temperature of all draws (default {DEFAULT_TEMPERATURE})",
    )
    command.add_argument("--quick", action="store_true", help="under ten seconds, and less sure")
    command.add_argument(
        "--json", metavar="FILE", type=Path, help="write all figures and the machine to a file"
    )
    command.add_argument(
        "--plot", metavar="FILE", type=Path, help="draw latencies and throughput as a PNG (needs matplotlib)"
    )
    return command


def bench(arguments: argparse.Namespace) -> int:
    """Measure, print each section when it is done, and write the files that were asked for."""
    if arguments.plot and find_spec("matplotlib") is None:
        raise OutputError("--plot needs matplotlib: pip install matplotlib")
    model = load(arguments.model)
    here = machine()
    sys.stdout.write(", ".join(f"{name} {value}" for name, value in here.items()) + "\n")
    sys.stdout.write(
        f"{model.engine.layers} x {model.engine.units} units, {len(model.vocabulary)} characters, "
        f"temperature {arguments.temp}\n\n"
    )
    figures = {}
    for name, measure in measurements(arguments, model).items():
        section = measure()
        figures[name] = section.figures
        sys.stdout.write(f"{section}\n\n")
        sys.stdout.flush()
    if arguments.json:
        document = {"machine": here, "temperature": arguments.temp, "sections": figures}
        replace_file(arguments.json, to_json(document, indent=1).encode())
    if arguments.plot:
        from textgen_runtime.bench.plot import plot

        replace_file(arguments.plot, plot(figures))
    return 0


def measurements(arguments: argparse.Namespace, model: Model) -> dict[str, Callable[[], Section]]:
    """The sections, by name, each ready to be measured."""
    from textgen_runtime.bench import processes, sections

    path = locate(arguments.model)
    seconds = QUICK_SECONDS if arguments.quick else SECONDS
    engines = ["native", "onnxruntime"] if model.engine.name.startswith("native") else ["onnxruntime"]
    setup = sections.Bench(path.read_bytes(), arguments.temp, seconds, usable_cores())
    return {
        "one stream": lambda: sections.one_stream(setup, engines),
        "latency": lambda: sections.latency(setup, engines),
        "many streams": lambda: sections.many_streams(setup, engines),
        "prompts": lambda: sections.prompts(setup, engines),
        "cold start": lambda: processes.cold_start(path, engines, 2 * seconds),
        "memory": lambda: processes.memory(path, engines, 20_000 if arguments.quick else 1_000_000),
    }
