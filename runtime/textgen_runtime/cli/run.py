"""``textgen-run``: text from a model file, on standard output as it is made."""

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter

from textgen_runtime.errors import PromptError
from textgen_runtime.generator import DEFAULT_LENGTH, DEFAULT_TEMPERATURE, Generation, Model, fresh_seed
from textgen_runtime.loading import load
from textgen_runtime.text_file import STANDARD_INPUT, read_text

from .shell import CommandParser, escape_unencodable, number, run_command, whole_number
from .statistics import MeasuredEngine, Statistics

PROG = "textgen-run"

# Text is handed on at least this often while it is made: smooth to the eye, and far too seldom to cost.
FLUSH_SECONDS = 0.02

EXAMPLES = """\
examples:
  textgen-run model.onnx --temp 0.5
  textgen-run model.onnx --temp 0.2 0.5 1.0 1.2 --prompt "the will to "
  textgen-run model.onnx --length 100000 --seed 7 > text.txt
  textgen-run model.onnx --count 10 --no-echo --stats
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0, 1 for an error of the user's, 130 after an interrupt; wrong usage exits with 2.
    """
    start = perf_counter()
    arguments = parser().parse_args(argv)
    return run_command(PROG, lambda: generate(arguments, start))


def parser() -> CommandParser:
    """The command's arguments."""
    command = CommandParser(
        PROG, "Generate text from a model file, written to standard output as it is made.", EXAMPLES
    )
    command.add_argument("model", metavar="MODEL", help="a model.onnx that textgen-train wrote")
    command.add_argument(
        "--temp",
        metavar="T",
        type=number("a finite number, 0 or more", lambda value: value >= 0),
        nargs="+",
        default=[DEFAULT_TEMPERATURE],
        help="temperature: 0 always takes the likeliest character, 1 follows the model, higher surprises; "
        f"several give a text each, under headings (default {DEFAULT_TEMPERATURE})",
    )
    command.add_argument(
        "--length",
        metavar="N",
        type=whole_number(1),
        default=DEFAULT_LENGTH,
        help=f"how many characters to make (default {DEFAULT_LENGTH})",
    )
    prompt = command.add_mutually_exclusive_group()
    prompt.add_argument(
        "--prompt", metavar="TEXT", help="the text to continue (default: one of the model's own snippets)"
    )
    prompt.add_argument(
        "--prompt-file",
        metavar="FILE",
        help="read the prompt from a UTF-8 file, or from standard input if FILE is -; one line end at its "
        "end is dropped",
    )
    command.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0),
        help="the same seed gives the same text (default: a fresh one, which --stats tells)",
    )
    command.add_argument(
        "--count",
        metavar="N",
        type=whole_number(1),
        default=1,
        help="how many independent texts to make (default 1)",
    )
    command.add_argument("--no-echo", action="store_true", help="leave the prompt out of the output")
    command.add_argument(
        "--unknown",
        choices=("error", "skip"),
        default="error",
        help="what to do about characters of the prompt that the model does not know (default error)",
    )
    command.add_argument(
        "--threads",
        metavar="N",
        type=whole_number(1),
        default=1,
        help="threads for one step; more than 1 only helps large models (default 1)",
    )
    command.add_argument(
        "--stats", action="store_true", help="tell seed, times, speed and entropy on standard error"
    )
    return command


def generate(arguments: argparse.Namespace, start: float) -> int:
    """Make and write all the texts that were asked for."""
    prompt = read_prompt(arguments)
    seed = fresh_seed() if arguments.seed is None else arguments.seed
    statistics = Statistics(start)
    before = perf_counter()
    model = load(arguments.model, threads=arguments.threads)
    statistics.load_seconds = perf_counter() - before
    escape_unencodable(PROG, sys.stdout, model.vocabulary.symbols)

    engine = MeasuredEngine(model.engine)
    if arguments.stats:
        model = dataclasses.replace(model, engine=engine)
    for heading, generation in generations(model, arguments, prompt, seed):
        if heading:
            sys.stdout.write(f"------ {heading}\n")
        if not arguments.no_echo:
            sys.stdout.write(generation.prompt)
        if arguments.stats:
            write(statistics.watch(generation, engine, arguments.length))
        else:
            write(generation.stream(arguments.length))
        sys.stdout.write("\n")
    if arguments.stats:
        sys.stdout.flush()
        sys.stderr.writelines(f"{line}\n" for line in statistics.lines(seed))
    return 0


def generations(
    model: Model, arguments: argparse.Namespace, prompt: str | None, seed: int
) -> Iterator[tuple[str, Generation]]:
    """Every text asked for, ready to run, with the heading that tells it from the others."""
    for heat in arguments.temp:
        for stream in range(arguments.count):
            generation = model.start(
                prompt, temperature=heat, seed=seed, stream=stream, unknown=arguments.unknown
            )
            parts = [f"temperature: {heat}"] if len(arguments.temp) > 1 else []
            parts += [f"text {stream + 1} of {arguments.count}"] if arguments.count > 1 else []
            yield ", ".join(parts), generation


def read_prompt(arguments: argparse.Namespace) -> str | None:
    """The prompt of the command line, if it gives one."""
    if arguments.prompt_file is not None:
        text = read_text(arguments.prompt_file)
        name = "standard input" if arguments.prompt_file == STANDARD_INPUT else arguments.prompt_file
        text = text.removesuffix("\n").removesuffix("\r")
    else:
        text, name = arguments.prompt, "--prompt"
    if text == "":
        raise PromptError(
            f"the prompt from {name} is empty; without any, the model starts from its own snippets"
        )
    return text


def write(pieces: Iterable[str]) -> None:
    """Write pieces of text as they come, so that a reader sees them being made."""
    flushed = 0.0
    for piece in pieces:
        sys.stdout.write(piece)
        now = perf_counter()
        if now - flushed >= FLUSH_SECONDS:
            sys.stdout.flush()
            flushed = now
