"""``textgen-bench``: measure how fast models generate text on this machine."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from textgen_runtime.bench import machine
from textgen_runtime.bench.compare import compare, read_comparable_report
from textgen_runtime.bench.context import BenchContext, checked_fields
from textgen_runtime.bench.report import Section, describe_model, new_report
from textgen_runtime.bench.rounds import NO_DEADLINE, Deadline
from textgen_runtime.bench.sections import SECTIONS, measure
from textgen_runtime.engines.opening import EngineName
from textgen_runtime.errors import ModelFileError
from textgen_runtime.generation.loading import open_model
from textgen_runtime.generation.model import Model
from textgen_runtime.model_file.source import name_source, read_model
from textgen_runtime.system.console import print_diagnostic
from textgen_runtime.system.processors import available_processors
from textgen_runtime.text.token_names import unit_of

from ._bench_arguments import PROG, parse
from ._bench_outputs import check_outputs, judge, model_heading, table_writer, write_outputs
from .command import run_command

# Duration of each comparison.
SECONDS, QUICK_SECONDS = 4.0, 0.2

# Duration of all measurements of a model in a quick run, including loading. The remaining time up to ten
# seconds is for starting Python, and for stopping the measurement that runs at the deadline.
QUICK_TOTAL = 8.5

# Tokens in the longer memory measurement.
LONG_RUN, QUICK_LONG_RUN = 1_000_000, 20_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code, as for ``textgen-run``."""
    arguments = parse(argv)
    return run_command(PROG, lambda: bench(arguments))


def bench(arguments: argparse.Namespace) -> int:
    """Measure the models, print each section when it is complete, write the outputs, return the exit code."""
    deadline = new_deadline(arguments)
    check_outputs(arguments)
    old = read_comparable_report(arguments.compare, len(arguments.models)) if arguments.compare else None
    # All models are loaded first, so that an error in a later one is reported before any measurement.
    engine: EngineName = "auto" if arguments.engine == "both" else arguments.engine
    models = [open_checked(name, engine) for name in arguments.models]
    report = new_report(
        {
            "temperature": arguments.temp,
            "engine": arguments.engine,
            "sections": [name for name in SECTIONS if name in arguments.section],
            "quick": arguments.quick,
        }
    )
    write = table_writer(arguments)
    run = BenchRun(arguments, report, write)
    run.warn(machine.load_warning(report["load_average"]["start"]))
    write(f"{machine.format_machine(report['machine'])}\n\n")
    for name, (model, content) in zip(arguments.models, models, strict=True):
        run.measure(name, model, content, deadline)
        deadline = new_deadline(arguments)
    report["load_average"]["end"] = machine.load_average()
    write_outputs(arguments, report)
    if old is None:
        return 0
    comparison = compare(old, report, arguments.compare)
    write(f"{comparison.table(arguments.fail_above)}\n")
    return 0 if arguments.fail_above is None else judge(comparison, arguments)


def new_deadline(arguments: argparse.Namespace) -> Deadline:
    """Return the deadline for the measurements of one model, starting now."""
    return Deadline(QUICK_TOTAL) if arguments.quick else NO_DEADLINE


@dataclass(frozen=True)
class BenchRun:
    """The measurements of one run of the command.

    Attributes:
        arguments: Command-line arguments.
        report: The report to which models and warnings are added.
        write: Prints a table.
    """

    arguments: argparse.Namespace
    report: dict[str, Any]
    write: Callable[[str], None]

    def measure(self, name: str, model: Model, content: bytes, deadline: Deadline) -> None:
        """Measure one model, print its sections, and add them to the report."""
        description = describe_model(name, model)
        self.write(model_heading(description, self.arguments.temp))
        context = bench_context(self.arguments, content, unit_of(model.tokenizer))
        sections: dict[str, Section] = {}
        for section_name, section in measure(context, self.arguments.section, deadline):
            sections[section_name] = section
            self.write(f"{section}\n\n")
        prefix = f"{name}: " if len(self.arguments.models) > 1 else ""
        self.warn(machine.wait_warning(context.processor_time), prefix)
        self.warn(machine.spread_warning(sections), prefix)
        waited = context.processor_time.waited
        stored = {name: section.as_json() for name, section in sections.items()}
        self.report["models"].append(description | {"waited_share": waited, "sections": stored})

    def warn(self, message: str | None, prefix: str = "") -> None:
        """Print a warning on standard error and add it to the report; None has no effect."""
        if message:
            self.report["warnings"].append(prefix + message)
            print_diagnostic(PROG, prefix + message, "warning")


def open_checked(name: str, engine: EngineName) -> tuple[Model, bytes]:
    """Load a model.

    Returns:
        The model, and the content of the file. Unless the engine is "onnxruntime", the content is reduced
        to the fields that the core has checked, because the baseline loops pass it to onnxruntime. The
        texts of a model of records do not end.

    Raises:
        ModelFileError: As for ``load``.
    """
    content = read_model(name)
    try:
        model = open_model(content, engine)
        return model, content if engine == "onnxruntime" else checked_fields(content)
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(name)}: ", *error.args) from error


def bench_context(arguments: argparse.Namespace, content: bytes, unit: str) -> BenchContext:
    """Return the measurement settings for the content of a model file, whose tokens are called ``unit``."""
    return BenchContext(
        content=content,
        engines=("native", "onnxruntime") if arguments.engine == "both" else (arguments.engine,),
        temperature=arguments.temp,
        seconds=QUICK_SECONDS if arguments.quick else SECONDS,
        threads=available_processors(),
        long_run=QUICK_LONG_RUN if arguments.quick else LONG_RUN,
        unit=unit,
    )
