"""``textgen-run``: generate text with a model and write it to standard output."""

import argparse
import sys
from collections.abc import Sequence
from time import perf_counter

from textgen_runtime.engines.base import Measurements
from textgen_runtime.generation.batch import Batch
from textgen_runtime.generation.loading import load
from textgen_runtime.generation.model import fresh_seed
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.system.console import print_diagnostic, write_stderr

from ._drawing import Drawing
from ._explain import explain
from ._prompts import check_prompts, read_prompts
from ._run_arguments import PROG, parse, parser, read_samplings
from ._sampling_options import temperature_warnings, with_checked_stops
from ._selection import make_selection
from ._series import Request, Series
from ._statistics import Times, format_statistics, format_value
from ._text_forms import make_form, prepare_output
from ._text_writer import TextWriter
from .command import EXIT_FAILED, run_command

__all__ = ["main", "parser"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0, 1 after a user error, 130 after an interrupt. Wrong usage exits with 2.
    """
    start = perf_counter()
    arguments = parse(argv)
    return run_command(PROG, lambda: generate(arguments, start))


def generate(arguments: argparse.Namespace, start: float) -> int:
    """Generate and write the requested texts; return the exit code."""
    chosen = read_samplings(arguments)
    for warning in temperature_warnings(chosen):
        print_diagnostic(PROG, warning, "warning")
    prompts = read_prompts(arguments)
    seed = fresh_seed() if arguments.seed is None else arguments.seed
    before = perf_counter()
    model = load(arguments.model, engine=arguments.engine, threads=arguments.threads)
    loaded = perf_counter()
    prepare_output(arguments, PROG, model)
    if arguments.raw:
        from textgen_runtime.generation.raw_text import keep_bytes

        model = keep_bytes(model)
    if arguments.interactive:
        # Most runs are not interactive, and the modules take milliseconds to import.
        from ._interactive import interact

        return interact(arguments, chosen, model, prompts.texts[0], seed)
    check_prompts(PROG, model, prompts, arguments.unknown)
    if arguments.explain or arguments.plot:
        return explain(arguments, chosen[0], model, prompts.texts[0], PROG)
    selection = make_selection(arguments, model)
    # All samplings have the same stop texts, so one warning is enough.
    stop = with_checked_stops(PROG, model, chosen[0]).stop
    chosen = [sampling.replace(stop=stop) for sampling in chosen]
    request = Request(
        model,
        prompts.texts,
        arguments.count,
        arguments.length or model.default_length,
        seed,
        arguments.unknown,
        echo=not (arguments.no_echo or arguments.json),
        logprobs=arguments.json,
    )
    writer = TextWriter(make_form(arguments, len(chosen), model.metadata.records))
    measured: list[tuple[Sampling, Measurements]] = []
    seconds = 0.0
    for sampling in chosen:
        batch = Batch(model, Measurements() if arguments.stats else None)
        if batch.measurements is not None:
            measured.append((sampling, batch.measurements))
        series = (Series(request, sampling, number) for number in range(len(prompts.texts)))
        drawing = Drawing(batch, writer, selection)
        drawing.run(series, is_last=sampling is chosen[-1])
        seconds += drawing.seconds
    if measured:
        sys.stdout.flush()
        times = Times(loaded - before, (writer.first_text or loaded) - start, seconds)
        report = format_statistics(model, seed, times, measured)
        if selection is not None:
            report.append(format_value("texts", selection.describe(writer.count)))
        write_stderr("".join(f"{line}\n" for line in report))
    wanted = len(chosen) * len(prompts.texts) * arguments.count
    if selection is not None and writer.count < wanted:
        print_diagnostic(PROG, selection.shortfall(writer.count, wanted))
        return EXIT_FAILED
    return 0
