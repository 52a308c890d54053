"""``textgen-run``: generate text with a model and write it to standard output."""

import argparse
import sys
from collections.abc import Sequence
from time import perf_counter

from textgen_runtime.engines.base import Measurements
from textgen_runtime.errors import PromptError
from textgen_runtime.generation.batch import Batch
from textgen_runtime.generation.loading import load
from textgen_runtime.generation.model import DEFAULT_LENGTH, Model, fresh_seed
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.system.console import escape_unencodable, print_diagnostic, write_stderr
from textgen_runtime.system.text_files import STANDARD_INPUT, read_text
from textgen_runtime.text.symbols import format_symbols
from textgen_runtime.text.tokenizer import UnknownPolicy

from ._bundled_list import list_models
from ._sampling_arguments import add_sampling, sampling_heading, samplings, without_impossible_stops
from ._statistics import format_statistics
from ._text_writer import TextWriter
from .command import run_command
from .parser import (
    MAX_SEED,
    MAX_THREADS,
    CommandParser,
    PrintAndExit,
    add_engine,
    add_lowercase,
    add_model,
    add_unknown,
    whole_number,
)

PROG = "textgen-run"

# Maximum number of texts per batch. Larger batches are not faster, and all texts but the first are kept in
# memory until the batch is complete.
MAX_BATCH = 64

EXAMPLES = """\
examples:
  textgen-run nietzsche --temp 0.5
  textgen-run model.onnx --temp 0.2 0.5 1.0 1.2 --prompt "the will to "
  textgen-run model.onnx --length 100000 --seed 7 > text.txt
  textgen-run model.onnx --count 10 --no-echo --stats
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0, 1 after a user error, 130 after an interrupt. Wrong usage exits with 2.
    """
    start = perf_counter()
    arguments = parser().parse_args(argv)
    return run_command(PROG, lambda: generate(arguments, start))


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(PROG, "Generate text with a model and write it to standard output.", EXAMPLES)
    # MODEL must come first: after --temp, argparse takes it for another temperature.
    command.usage = "%(prog)s MODEL [OPTIONS]"
    add_model(command)
    command.add_argument(
        "--list", action=PrintAndExit, text=list_models, help="list the bundled models and exit"
    )
    add_sampling(command)
    command.add_argument(
        "--length",
        metavar="N",
        type=whole_number(1),
        default=DEFAULT_LENGTH,
        help=f"number of tokens to generate; a token is usually one character (default: {DEFAULT_LENGTH})",
    )
    prompt = command.add_mutually_exclusive_group()
    prompt.add_argument(
        "--prompt", metavar="TEXT", help="text to continue (default: a prompt stored in the model)"
    )
    prompt.add_argument(
        "--prompt-file",
        metavar="PATH",
        help="read the prompt from a UTF-8 file, or from standard input (-); a final line end is removed",
    )
    command.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0, MAX_SEED),
        help="random seed; the same seed gives the same text (default: a new seed, which --stats prints)",
    )
    command.add_argument(
        "--count",
        metavar="N",
        type=whole_number(1),
        default=1,
        help="number of independent texts per temperature (default: 1)",
    )
    command.add_argument("--no-echo", action="store_true", help="do not print the prompt")
    add_unknown(command, "prompt characters")
    add_lowercase(command, "the prompt")
    add_engine(command)
    command.add_argument(
        "--threads",
        metavar="N",
        type=whole_number(1, MAX_THREADS),
        default=1,
        help="maximum number of threads; with the native engine, each text uses one (default: 1)",
    )
    command.add_argument(
        "--stats",
        action="store_true",
        help="print the engine, seed, times, throughput and mean entropy to standard error",
    )
    return command


def generate(arguments: argparse.Namespace, start: float) -> int:
    """Generate and write the requested texts; return the exit code."""
    prompt = prompt_argument(arguments)
    seed = fresh_seed() if arguments.seed is None else arguments.seed
    before = perf_counter()
    model = load(arguments.model, engine=arguments.engine, threads=arguments.threads)
    loaded = perf_counter()
    escape_unencodable(PROG, sys.stdout, model.tokenizer.symbols)
    if prompt is not None:
        warn_unknown(model, prompt, arguments.unknown)

    measured: list[tuple[Sampling, Measurements]] = []
    writer = TextWriter()
    chosen = [without_impossible_stops(PROG, model, sampling) for sampling in samplings(arguments)]
    for sampling in chosen:
        batch = Batch(model, Measurements() if arguments.stats else None)
        if batch.measurements is not None:
            measured.append((sampling, batch.measurements))
        for first in range(0, arguments.count, MAX_BATCH):
            numbers = range(first, min(first + MAX_BATCH, arguments.count))
            generations = [
                model.start(prompt, sampling=sampling, seed=seed, substream=i, unknown=arguments.unknown)
                for i in numbers
            ]
            for generation in generations:
                batch.add(generation, arguments.length)
            titles = [heading(arguments, sampling, i) for i in numbers]
            openings = ["" if arguments.no_echo else generation.prompt for generation in generations]
            writer.write_texts(batch, titles, openings)
    if measured:
        sys.stdout.flush()
        first_text = (writer.first_text or loaded) - start
        report = format_statistics(model, seed, loaded - before, first_text, measured)
        write_stderr("".join(f"{line}\n" for line in report))
    return 0


def heading(arguments: argparse.Namespace, sampling: Sampling, number: int) -> str:
    """Return the heading line of a text, or an empty string if it is the only one."""
    parts = [sampling_heading(sampling)] if len(samplings(arguments)) > 1 else []
    parts += [f"text {number + 1} of {arguments.count}"] if arguments.count > 1 else []
    return f"------ {', '.join(parts)}\n" if parts else ""


def warn_unknown(model: Model, prompt: str, policy: UnknownPolicy) -> None:
    """Warn about prompt characters outside the vocabulary that are skipped or replaced.

    If they are neither, ``Model.start`` rejects the prompt.
    """
    if policy == "error" and model.tokenizer.unknown is None:
        return
    unknown = model.tokenizer.count_unknown(model.metadata.normalization.apply(prompt))
    if unknown:
        count = unknown.total()
        characters, were = ("characters are", "were") if count > 1 else ("character is", "was")
        effect = "skipped" if policy == "skip" else "fed as the unknown symbol"
        message = f"{count:,} prompt {characters} outside the vocabulary and {were} {effect}"
        print_diagnostic(PROG, f"{message}: {format_symbols(sorted(unknown))}", "warning")


def prompt_argument(arguments: argparse.Namespace) -> str | None:
    """Return the prompt from the command line or its file, or None."""
    if arguments.prompt_file is not None:
        text = read_text(arguments.prompt_file)
        source = "standard input" if arguments.prompt_file == STANDARD_INPUT else arguments.prompt_file
        text = text.removesuffix("\n").removesuffix("\r")
    else:
        text, source = arguments.prompt, "--prompt"
    if text == "":
        raise PromptError(
            f"the prompt from {source} is empty: omit the option to start from a prompt in the model"
        )
    return text.lower() if text and arguments.lowercase else text
