"""``textgen-bench``: how fast model files generate on this machine, and beside what."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from textgen_runtime.bench import busy
from textgen_runtime.bench.checked_fields import checked_fields
from textgen_runtime.bench.compare import Comparison, compare, read_old
from textgen_runtime.bench.context import Bench
from textgen_runtime.bench.deadline import FOREVER, Deadline
from textgen_runtime.bench.document import describe_model, is_report, sections_as_json, write_report
from textgen_runtime.bench.machine import machine
from textgen_runtime.bench.plot import is_plot, plot
from textgen_runtime.bench.report import Section
from textgen_runtime.bench.sections import SHARES, measure
from textgen_runtime.engines.opening import EngineName
from textgen_runtime.errors import ModelFileError, OutputError
from textgen_runtime.generation.loading import open_model
from textgen_runtime.generation.model import Model
from textgen_runtime.model_file.source import name_source, read_model
from textgen_runtime.system.console import print_diagnostic, write_stderr
from textgen_runtime.system.processors import available_processors

from ._bench_arguments import PROG, STANDARD_OUTPUT, parse
from ._output_files import check_output, write_output
from .command import EXIT_FAILED, run_command

# Of each comparison.
SECONDS, QUICK_SECONDS = 4.0, 0.2

# Of all that a quick run measures of a model, loading included; the rest of its ten seconds is for starting
# Python, and for ending what runs at the deadline.
QUICK_TOTAL = 8.5

# Characters of the run whose memory is measured.
LONG_RUN, QUICK_LONG_RUN = 1_000_000, 20_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    arguments = parse(argv)
    return run_command(PROG, lambda: bench(arguments))


def bench(arguments: argparse.Namespace) -> int:
    """Measure, print each section when it is done, and write the files that were asked for."""
    deadline = deadline_of(arguments)
    see_outputs(arguments)
    old = read_old(arguments.compare, len(arguments.models)) if arguments.compare else None
    # All of them first, so that a wrong name is told of before the others have been measured.
    engine: EngineName = "auto" if arguments.engine == "both" else arguments.engine
    models = [open_checked(name, engine) for name in arguments.models]
    report = opening(arguments)
    write = write_stderr if arguments.json == STANDARD_OUTPUT else writes_to(sys.stdout)
    run = Run(arguments, report, write)
    run.warn(busy.busy_before(report["load_average"]["start"]))
    write(", ".join(f"{name} {value}" for name, value in report["machine"].items()) + "\n\n")
    for name, (model, content) in zip(arguments.models, models, strict=True):
        run.measure(name, model, content, deadline)
        deadline = deadline_of(arguments)
    report["load_average"]["end"] = busy.load_average()
    write_files(arguments, report)
    if old is None:
        return 0
    comparison = compare(old, report, arguments.compare)
    write(f"{comparison.table(arguments.fail_above)}\n")
    return 0 if arguments.fail_above is None else judge(comparison, arguments)


def deadline_of(arguments: argparse.Namespace) -> Deadline:
    """When the measurements of a model end that begin now."""
    return Deadline(QUICK_TOTAL) if arguments.quick else FOREVER


@dataclass(frozen=True)
class Run:
    """Measures models for one report.

    Attributes:
        arguments: Of the command.
        report: To which each model is added.
        write: Prints the tables.
    """

    arguments: argparse.Namespace
    report: dict[str, Any]
    write: Callable[[str], None]

    def measure(self, name: str, model: Model, content: bytes, deadline: Deadline) -> None:
        """Measure one model, print its sections and add them to the report."""
        described = describe_model(name, model)
        self.write(title(described, self.arguments.temp))
        context = context_of(self.arguments, content)
        sections: dict[str, Section] = {}
        for section, measured in measure(context, self.arguments.section, deadline):
            sections[section] = measured
            self.write(f"{measured}\n\n")
        which = f"{name}: " if len(self.arguments.models) > 1 else ""
        self.warn(busy.busy_meanwhile(context.processor_time), which)
        self.warn(busy.disagreement(sections), which)
        waited = context.processor_time.waited
        self.report["models"].append(
            described | {"waited_share": waited, "sections": sections_as_json(sections)}
        )

    def warn(self, message: str | None, which: str = "") -> None:
        """Tell of something that makes the figures less sure, on standard error and in the report."""
        if message:
            self.report["warnings"].append(which + message)
            print_diagnostic(PROG, which + message, "warning")


def see_outputs(arguments: argparse.Namespace) -> None:
    """See that what is asked for can be written, and replaces nothing else, before it is measured.

    Raises:
        OutputError: If not.
    """
    if arguments.plot and find_spec("matplotlib") is None:
        raise OutputError("--plot needs matplotlib: pip install matplotlib")
    outputs: list[tuple[str, Path | None, str, Callable[[Path], bool]]] = [
        ("--json", arguments.json, "report", is_report),
        ("--plot", arguments.plot, "picture", is_plot),
    ]
    for option, path, kind, is_own in outputs:
        if path and path != STANDARD_OUTPUT:
            check_output(option, path, kind, PROG, is_own)


def writes_to(stream: TextIO) -> Callable[[str], None]:
    """Writes the tables as they are made."""
    # A file's name need not be text, and the output's encoding may lack what it holds.
    stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write


def opening(arguments: argparse.Namespace) -> dict[str, Any]:
    """The report before anything is measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "options": {
            "temperature": arguments.temp,
            "engine": arguments.engine,
            "sections": [name for name in SHARES if name in arguments.section],
            "quick": arguments.quick,
        },
        "load_average": {"start": busy.load_average(), "end": None},
        "warnings": [],
        "models": [],
    }


def title(described: dict[str, Any], temperature: float) -> str:
    """The line above the sections of a model."""
    return (
        f"{described['file']}: {described['layers']} x {described['units']} units, "
        f"{described['vocabulary']} characters, temperature {temperature}\n\n"
    )


def open_checked(name: str, engine: EngineName) -> tuple[Model, bytes]:
    """Load a model, and the content that is measured of it.

    Raises:
        ModelFileError: As ``load``.
    """
    content = read_model(name)
    try:
        model = open_model(content, engine)
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(name)}: {error}") from error
    if engine != "onnxruntime":
        # Its graph was checked. Everything that onnxruntime runs besides gets nothing that was not.
        content = checked_fields(content)
    return model, content


def context_of(arguments: argparse.Namespace, content: bytes) -> Bench:
    """What the sections measure of a model file's content."""
    return Bench(
        content=content,
        engines=("native", "onnxruntime") if arguments.engine == "both" else (arguments.engine,),
        temperature=arguments.temp,
        seconds=QUICK_SECONDS if arguments.quick else SECONDS,
        threads=available_processors(),
        long_run=QUICK_LONG_RUN if arguments.quick else LONG_RUN,
    )


def write_files(arguments: argparse.Namespace, report: dict[str, Any]) -> None:
    """Write what was asked for.

    Raises:
        OutputError: If a file cannot be written.
    """
    if arguments.json == STANDARD_OUTPUT:
        sys.stdout.write(write_report(report))
    elif arguments.json:
        write_output(arguments.json, write_report(report).encode())
    if arguments.plot:
        write_output(arguments.plot, plot(report))


def judge(comparison: Comparison, arguments: argparse.Namespace) -> int:
    """The exit code that ``--fail-above`` asks for, and one line about it."""
    worse = comparison.worse(arguments.fail_above)
    if not worse:
        return 0
    count = f"{len(worse)} ratio{'s are' if len(worse) > 1 else ' is'}"
    print_diagnostic(
        PROG,
        f"{count} worse than in {arguments.compare} by more than {arguments.fail_above:g}%, most of all "
        f"{worse[0].name!r}, by {worse[0].percent:.1f}%",
    )
    return EXIT_FAILED
