"""``textgen-run``: text from a model file, on standard output as it is made."""

import argparse
import sys
from collections.abc import Sequence
from time import perf_counter

from textgen_runtime.engines.base import Measurements
from textgen_runtime.errors import PromptError
from textgen_runtime.generation.batch import Batch
from textgen_runtime.generation.generation import STREAM_CHUNK, Generation
from textgen_runtime.generation.loading import load
from textgen_runtime.generation.model import DEFAULT_LENGTH, Model, fresh_seed
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.system.console import escape_unencodable, print_diagnostic, terminal_safe, write_stderr
from textgen_runtime.system.interrupts import DeferredInterrupts
from textgen_runtime.system.text_files import STANDARD_INPUT, read_text
from textgen_runtime.text.symbols import format_symbols
from textgen_runtime.text.tokenizer import UnknownPolicy

from ._bundled_list import list_models
from ._sampling_arguments import add_sampling, samplings
from ._sampling_arguments import heading as sampling_heading
from ._statistics import statistics
from .command import run_command
from .parser import (
    MAX_SEED,
    MAX_THREADS,
    CommandParser,
    PrintAndExit,
    add_engine,
    add_lowercase,
    add_model,
    whole_number,
)

PROG = "textgen-run"

# As many texts are made side by side at most; more gain nothing, and all but the first wait in memory.
TOGETHER = 64

# Text is handed on at least this often while it is made: smooth to the eye, and far too seldom to cost.
FLUSH_SECONDS = 0.02

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
    add_model(command)
    command.add_argument(
        "--list", action=PrintAndExit, text=list_models, help="list the models that ship, and exit"
    )
    add_sampling(command)
    command.add_argument(
        "--length",
        metavar="N",
        type=whole_number(1),
        default=DEFAULT_LENGTH,
        help=f"how many tokens to make: characters, with a model of characters (default {DEFAULT_LENGTH})",
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
        type=whole_number(0, MAX_SEED),
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
        help="what to do about characters of the prompt that the model does not know: error refuses the "
        "prompt, but a model with an unknown symbol reads them as that symbol, with a warning; skip leaves "
        "them out, with a warning (default error)",
    )
    add_lowercase(command, "the prompt")
    add_engine(command)
    command.add_argument(
        "--threads",
        metavar="N",
        type=whole_number(1, MAX_THREADS),
        default=1,
        help="threads for texts made side by side (native) or within a step (onnxruntime); default 1",
    )
    command.add_argument(
        "--stats",
        action="store_true",
        help="write_stderr engine, seed, times, speed and entropy on standard error",
    )
    return command


def generate(arguments: argparse.Namespace, start: float) -> int:
    """Make and write all the texts that were asked for."""
    prompt = read_prompt(arguments)
    seed = fresh_seed() if arguments.seed is None else arguments.seed
    before = perf_counter()
    model = load(arguments.model, engine=arguments.engine, threads=arguments.threads)
    loaded = perf_counter()
    escape_unencodable(PROG, sys.stdout, model.tokenizer.symbols)
    if prompt is not None:
        tell_unknown(model, prompt, arguments.unknown)

    measured: list[tuple[Sampling, Measurements]] = []
    writer = Writer()
    for sampling in samplings(arguments):
        batch = Batch(model, Measurements() if arguments.stats else None)
        if batch.measurements is not None:
            measured.append((sampling, batch.measurements))
        for first in range(0, arguments.count, TOGETHER):
            numbers = range(first, min(first + TOGETHER, arguments.count))
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
        report = statistics(model, seed, loaded - before, first_text, measured)
        write_stderr("".join(f"{line}\n" for line in report))
    return 0


def heading(arguments: argparse.Namespace, sampling: Sampling, number: int) -> str:
    """What tells a text from the others that are asked for; nothing if there is only one."""
    parts = [sampling_heading(sampling)] if len(samplings(arguments)) > 1 else []
    parts += [f"text {number + 1} of {arguments.count}"] if arguments.count > 1 else []
    return f"------ {', '.join(parts)}\n" if parts else ""


def tell_unknown(model: Model, prompt: str, policy: UnknownPolicy) -> None:
    """Warn of unknown characters of the prompt that are skipped, or read as the unknown symbol.

    Without either, ``Model.start`` refuses the prompt.
    """
    if policy == "error" and model.tokenizer.unknown is None:
        return
    unknown = model.tokenizer.count_unknown(model.metadata.normalization.apply(prompt))
    if unknown:
        characters = f"{unknown.total():,} of the prompt's characters, which the model does not know"
        told = f"skipped {characters}" if policy == "skip" else f"{characters}, read as the unknown symbol"
        print_diagnostic(PROG, f"{told}: {format_symbols(sorted(unknown))}", "warning")


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
    return text.lower() if text and arguments.lowercase else text


class Writer:
    """Writes texts to standard output, so that a reader sees the first of them being made.

    A terminal is shown control characters as escapes.
    """

    def __init__(self) -> None:
        self.first_text: float | None = None
        self._flushed = 0.0
        self._at_line_start = True

    def write_texts(self, batch: Batch, titles: Sequence[str], openings: Sequence[str]) -> None:
        """Make the texts of a batch: the first is written as it is made, the others after it.

        Args:
            batch: The texts as lanes, all of one length.
            titles: What to write before each.
            openings: What each begins with.

        Raises:
            KeyboardInterrupt: After an interrupt. What was made of the first text is written then, and its
                line is ended; the others, of which nobody has seen anything, are dropped.
        """
        first, *others = batch
        chunk = batch.model.engine.chunk(len(batch))
        if not others:
            chunk = min(STREAM_CHUNK, chunk)
        rest: dict[Generation, list[str]] = {generation: [] for generation in others}
        with DeferredInterrupts() as interrupts:
            self._write(titles[0] + openings[0])
            try:
                while batch:
                    for made in batch.advance(chunk):
                        if made.generation is first:
                            self._write_chunk(made.text)
                        else:
                            rest[made.generation].append(made.text)
                    interrupts.check()
            except KeyboardInterrupt:
                self._write("" if self._at_line_start else "\n")
                sys.stdout.flush()
                raise
            self._write("\n")
            for title, opening, chunks in zip(titles[1:], openings[1:], rest.values(), strict=True):
                self._write(f"{title}{opening}{''.join(chunks)}\n")
            # From here on an interrupt ends the process at once, and what is not flushed is lost.
            sys.stdout.flush()

    def _write(self, text: str) -> None:
        sys.stdout.write(terminal_safe(sys.stdout, text))
        self._at_line_start = text.endswith("\n") if text else self._at_line_start

    def _write_chunk(self, text: str) -> None:
        self._write(text)
        now = perf_counter()
        if now - self._flushed >= FLUSH_SECONDS:
            sys.stdout.flush()
            self._flushed = now
        if self.first_text is None:
            self.first_text = now
