"""``textgen-bench``: measure how fast a model generates text on this machine."""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from textgen_runtime.bench.report import (
    Section,
    describe_machine,
    format_machine,
    microseconds,
    per_second,
    times,
)
from textgen_runtime.bench.rounds import Candidate, calibrate, interleave
from textgen_runtime.errors import ModelFileError
from textgen_runtime.json_text import to_json
from textgen_runtime.model import Batch, Model, load
from textgen_runtime.processors import available_processors
from textgen_runtime.sampler import DEFAULT_TEMPERATURE, Sampler
from textgen_runtime.sampling import Sampling
from textgen_runtime.tokenizer import unit_of

from ._output_files import check_output, write_output
from .command import run_command
from .parser import ENGINE, MODEL, POSITIVE, CommandParser

PROG = "textgen-bench"
SECONDS = 3.0

EXAMPLES = """\
examples:
  textgen-bench nietzsche
  textgen-bench model.onnx --json figures.json
"""

STREAM_COUNTS = (4, 16, 64, 256)
# Texts of many streams are at least this long, so that their start takes no noticeable time.
LONG_TEXT = 100
FILTERS: dict[str, Any] = {
    "top_k": 20,
    "top_p": 0.9,
    "min_p": 0.05,
    "typical_p": 0.95,
    "repetition_penalty": 1.1,
    "frequency_penalty": 0.01,
    "presence_penalty": 0.01,
}
SHORT_RUN = 400
PERCENTILES = (50, 90, 99, 99.9)

WEIGHTS, IMPORT_NUMPY = "weights read once", "python -c 'import numpy'"
# The first key of the JSON, with the version of its format.
FORMAT_KEY, FORMAT = "textgen-bench", 2

RUN = "import sys; from textgen_runtime.cli.run import main; sys.exit(main())"


class Comparison(NamedTuple):
    """What was measured in the same rounds.

    Attributes:
        title: What it is.
        baseline: The name of the figure that the others are divided by.
        seconds: By name, the seconds of each round.
    """

    title: str
    baseline: str
    seconds: dict[str, list[float]]

    def figures(self) -> dict[str, dict[str, Any]]:
        """Return the median of each figure in seconds, its quartiles, and its ratio to the baseline."""
        base = statistics.median(self.seconds[self.baseline])
        quartiles = {name: statistics.quantiles(rounds, n=4) for name, rounds in self.seconds.items()}
        return {
            name: {"seconds": median, "quartiles": [low, high], "ratio": median / base}
            for name, (low, median, high) in quartiles.items()
        }

    def __str__(self) -> str:
        rows = [
            (name, [microseconds(row["seconds"]), per_second(row["seconds"]), times(row["ratio"])])
            for name, row in self.figures().items()
        ]
        return str(Section(self.title, ["time", "per second", f"time / {self.baseline}"], rows))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code, as for ``textgen-run``."""
    arguments = parser().parse_args(argv)
    return run_command(PROG, bench, arguments)


def parser() -> CommandParser:
    """Return the parser of the command."""
    command = CommandParser(
        PROG,
        "Measure how fast a model generates text on this machine. Each table is measured in\n"
        "alternating rounds, and compares its figures with the first one. No engine can\n"
        "generate a character in less time than it needs to read all weights once.",
        EXAMPLES,
    )
    command.add_argument("model", **MODEL)
    for option, default, what in (
        ("--temp", DEFAULT_TEMPERATURE, "sampling temperature"),
        ("--seconds", SECONDS, "approximate duration of each table"),
    ):
        text = f"{what} (default: {default:g})"
        command.add_argument(option, metavar="N", type=POSITIVE, default=default, help=text)
    command.add_argument("--engine", **ENGINE)
    command.add_argument(
        "--json", metavar="FILE", type=Path, help="write all figures, their quartiles and ratios to FILE"
    )
    return command


def bench(arguments: argparse.Namespace) -> int:
    """Measure the model, print each table when it is complete, write the JSON, return the exit code."""
    if arguments.json:
        check_output("--json", arguments.json)
    model = load(arguments.model, engine=arguments.engine)
    layers, units = model.engine.core.size[:2]
    # A file may have a name that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    network = f"{model.engine.name}, {layers} x {units} units, {len(model.tokenizer)} symbols"
    write(f"{arguments.model}: {network}\n{format_machine()}\n")
    sections = []
    for comparison in measure(model, arguments):
        write(f"\n{comparison}\n")
        names = {"title": comparison.title, "baseline": comparison.baseline}
        sections.append(names | {"figures": comparison.figures()})
    latencies = latency(model, arguments)
    title = f"latency per {unit_of(model.tokenizer)}, including the overhead of the clock"
    row = (model.engine.name, [microseconds(seconds) for seconds in latencies.values()])
    write(f"\n{Section(title, [f'p{name}' for name in latencies], [row])}\n")
    if arguments.json:
        report = {
            FORMAT_KEY: FORMAT,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": describe_machine(),
            "model": arguments.model,
            "sha256": model.sha256,
            "engine": model.engine.name,
            "temperature": arguments.temp,
            "sections": sections,
            "latency": latencies,
        }
        write_output(arguments.json, f"{to_json(report, indent=1)}\n".encode())
    return 0


def write(text: str) -> None:
    """Write a text to standard output at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def measure(model: Model, arguments: argparse.Namespace) -> Iterator[Comparison]:
    """Measure one stream, many streams and new processes."""
    unit, one, seconds = unit_of(model.tokenizer), "one stream", arguments.seconds
    runs = one_stream(model, arguments.temp)
    yield Comparison(f"one stream, per {unit}", next(iter(runs)), interleave(runs, seconds))
    yield Comparison(f"many streams, per {unit}", one, interleave(many_streams(model, arguments), seconds))
    yield Comparison("new processes", IMPORT_NUMPY, interleave(new_processes(arguments, unit), seconds))


def one_stream(model: Model, temperature: float) -> dict[str, Candidate]:
    """Return the time to read the weights once, and that of a token, of filters and of a draw alone."""
    core = getattr(model.engine, "core", None)
    runs: dict[str, Callable[[int], object]] = {}
    if core is not None and model.engine.name.startswith("native"):
        runs[WEIGHTS] = core.read_weights
    runs["one stream"] = start(model, temperature).take
    runs["with all filters"] = start(model, temperature, **FILTERS).take
    sampler, logits = Sampler(temperature, seed=0), start(model, temperature).logits

    def draw(count: int) -> None:
        for _ in range(count):
            sampler.draw(logits)

    runs["a draw, from Python"] = draw
    return {name: calibrate(run) for name, run in runs.items()}


def start(model: Model, temperature: float, substream: int = 0, **filters: Any) -> Any:
    """Return a generation that does not end: the end of a record gets a very low logit."""
    endless: dict[str, Any] = {} if model.metadata.records is None else {"min_length": 2**31 - 1}
    sampling = Sampling(temperature=temperature, **endless, **filters)
    return model.start(seed=0, substream=substream, sampling=sampling)


def many_streams(model: Model, arguments: argparse.Namespace) -> dict[str, Candidate]:
    """Return the time per token of all streams together, with one thread and with all."""
    runs = {"one stream": calibrate(start(model, arguments.temp).take)}
    for threads in sorted({1, available_processors()}):
        threaded = load(arguments.model, engine=arguments.engine, threads=threads)
        for count in STREAM_COUNTS:
            streams = [start(threaded, arguments.temp, i) for i in range(count)]
            run = calibrate(partial(run_batch, threaded, streams), least=LONG_TEXT)
            label = f"{count} streams, {threads} thread{'s' * (threads > 1)}"
            runs[label] = Candidate(run.run, run.size * count)
    return runs


def run_batch(model: Model, streams: Sequence[Any], length: int) -> None:
    """Continue each stream by ``length`` tokens."""
    batch = Batch(model)
    for stream in streams:
        batch.add(stream, length, finish=False)
    batch.complete()


def new_processes(arguments: argparse.Namespace, unit: str) -> dict[str, Candidate]:
    """Return the time of ``import numpy`` and of a text by ``textgen-run``, each in a new process."""
    options = ("--engine", arguments.engine, "--no-echo", "--seed", "1", "--length", str(SHORT_RUN))
    commands = {
        IMPORT_NUMPY: python_command("import numpy"),
        f"textgen-run, {SHORT_RUN} {unit}s": python_command(RUN, *options, "--", arguments.model),
    }
    return {name: Candidate(partial(run_process, command)) for name, command in commands.items()}


def python_command(program: str, *arguments: str) -> list[str]:
    """Return a command line that runs a program in this interpreter, and imports nothing from the folder."""
    return [sys.executable, "-P", "-c", program, *arguments]


def run_process(command: Sequence[str]) -> None:
    """Run a command to its end.

    Raises:
        ModelFileError: If it fails.
    """
    # Standard error would have the traceback of a process that an interrupt of the terminal also ends.
    nowhere = subprocess.DEVNULL
    if code := subprocess.run(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, check=False).returncode:
        raise ModelFileError(f"textgen-run failed with this model in a new process (exit code {code})")


def latency(model: Model, arguments: argparse.Namespace) -> dict[str, float]:
    """Return percentiles of the seconds of each token of one stream."""
    generation = start(model, arguments.temp)
    generation.take(LONG_TEXT)
    latencies = generation.latencies = []
    while sum(latencies) < arguments.seconds * 1e9:
        generation.take(1000)
    ordered = sorted(latencies)
    points = {str(point): ordered[int(point / 100 * (len(ordered) - 1))] for point in PERCENTILES}
    return {name: value / 1e9 for name, value in (points | {"100": ordered[-1]}).items()}
