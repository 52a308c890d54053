"""``textgen-run``: generate text with a model and write it to standard output."""

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

from textgen_runtime.errors import PromptError, SamplingError, shorten
from textgen_runtime.files import STANDARD_INPUT, read_bytes, read_text
from textgen_runtime.interrupts import DeferredInterrupts
from textgen_runtime.model import Generation, Model, TextBatch, fresh_seed, load
from textgen_runtime.sampling import Sampling
from textgen_runtime.terminal import write_stderr
from textgen_runtime.tokenizer import UnknownPolicy, unit_of

from .command import run_command
from .options import (
    PROG,
    parse,
    parser,
    print_warnings,
    read_samplings,
    unknown_warnings,
    with_checked_stops,
)
from .output import TextWriter, prepare_output
from .texts import Selection, Series, Text, Texts, known_texts, make_selection, novel_warnings, with_novel

__all__ = ["main", "parser"]


class Prompt(NamedTuple):
    """A prompt of a run.

    Attributes:
        text: The prompt. None stands for the excerpts that the model stores.
        place: Its file and line before a message; empty for a single prompt.
    """

    text: str | None
    place: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0, 1 after a user error, 130 after an interrupt. Wrong usage exits with 2.
    """
    arguments = parse(argv)
    return run_command(PROG, lambda: generate(arguments))


def generate(arguments: argparse.Namespace) -> int:
    """Generate and write the requested texts; return the exit code."""
    chosen = read_samplings(arguments)
    prompts = read_prompts(arguments)
    seed = fresh_seed() if arguments.seed is None else arguments.seed
    model = load(arguments.model, engine=arguments.engine, threads=arguments.threads)
    prepare_output(arguments, PROG, model)
    model = with_novel(model, arguments.novel, lowercase=arguments.lowercase)
    print_warnings(novel_warnings(model))
    if arguments.raw:
        model = model.keep_bytes()
    if arguments.interactive:
        # Most runs are not interactive, and the module takes milliseconds to import.
        from .interactive import interact

        return interact(arguments, chosen, model, prompts[0].text, seed)
    check_prompts(model, prompts, arguments.unknown)
    if arguments.explain:
        # The module imports numpy, which the generation of a text does not need.
        from .explain import explain

        return explain(arguments, chosen[0], model, prompts[0].text)
    # All samplings have the same stop texts, so one warning is enough.
    stop = with_checked_stops(model, chosen[0]).stop
    chosen = [sampling.replace(stop=stop) for sampling in chosen]
    request = Request(
        model,
        tuple(prompt.text for prompt in prompts),
        arguments.count,
        arguments.length or model.default_length,
        seed,
        arguments.unknown,
        echo=not (arguments.no_echo or arguments.json),
        logprobs=arguments.json,
    )
    selection = make_selection(
        model, known_texts(model), unique=arguments.unique, max_copy=chosen[0].max_copy
    )
    writer = TextWriter(arguments, len(chosen), model)
    drawn, seconds = 0, 0.0
    for sampling in chosen:
        tokens, drawing = write_texts(request, sampling, selection, writer, is_last=sampling is chosen[-1])
        drawn, seconds = drawn + tokens, seconds + drawing
    if arguments.stats:
        speed = f"{drawn / max(seconds, 1e-9):,.0f} {unit_of(model.tokenizer)}s/s"
        report = [("engine", model.engine.name), ("seed", str(seed)), ("speed", speed)]
        report += [] if selection is None else [("texts", selection.describe(writer.count))]
        sys.stdout.flush()
        write_stderr("".join(f"{label:<14}{value}\n" for label, value in report))
    wanted = len(chosen) * len(prompts) * arguments.count
    if selection is not None and writer.count < wanted:
        raise selection.shortfall(writer.count, wanted)
    return 0


def write_texts(
    request: "Request",
    sampling: Sampling,
    selection: Selection | None,
    writer: TextWriter,
    *,
    is_last: bool,
) -> tuple[int, float]:
    """Draw and write the texts of one sampling. After an error or Ctrl-C, all complete texts are written.

    Returns:
        The number of drawn tokens, with those of rejected texts, and the seconds that their draws took.

    Raises:
        KeyboardInterrupt: After an interrupt.
        SamplingError: If a text cannot continue, after the texts before it were written.
    """
    series = (PromptSeries(request, sampling, number) for number in range(len(request.prompts)))
    with DeferredInterrupts() as interrupts:
        batch = TextBatch(request.model)
        texts = Texts(batch, selection, interrupts.immediate, parts=writer.in_parts)
        try:
            for text in texts.draw(series):
                writer.write(text)
            if is_last:
                writer.finish()
        except (KeyboardInterrupt, SamplingError):
            writer.break_off()
            for text in texts.complete():
                writer.write(text)
            writer.finish()
            raise
        finally:
            # After this block an interrupt ends the process at once, without a flush.
            sys.stdout.flush()
    return batch.drawn, texts.seconds


class Request(NamedTuple):
    """What the user asks for, except for the sampling.

    Attributes:
        model: The model.
        prompts: The prompts; None stands for the excerpts that the model stores.
        wanted: The number of texts for each prompt.
        length: The maximum number of tokens of a text.
        seed: The seed of all texts.
        unknown: What to do with prompt characters outside the vocabulary.
        echo: Whether the prompt is written before its text.
        logprobs: Whether the surprisal of the texts is needed.
    """

    model: Model
    prompts: tuple[str | None, ...]
    wanted: int
    length: int
    seed: int
    unknown: UnknownPolicy
    echo: bool
    logprobs: bool

    def substream(self, prompt_number: int, attempt: int) -> int:
        """Return the substream of an attempt at a text. No two attempts with one sampling have the same.

        The first ``wanted`` attempts of all prompts have the substreams of ``Model.generate`` with each
        prompt ``wanted`` times in its list.
        """
        if attempt < self.wanted:
            return prompt_number * self.wanted + attempt
        return attempt * len(self.prompts) + prompt_number


class PromptSeries(Series):
    """The texts that continue one prompt with one sampling.

    Args:
        request: The request.
        sampling: The sampling of the texts.
        prompt_number: The index of the prompt.
    """

    def __init__(self, request: Request, sampling: Sampling, prompt_number: int) -> None:
        super().__init__(request.wanted, request.length)
        self._request, self._sampling, self._prompt_number = request, sampling, prompt_number
        # Whether each text ends before a line end, unless its length ends it.
        self._are_lines = bool(sampling.stop) and all(stop.endswith("\n") for stop in sampling.stop)
        self._starts: dict[str, Generation] = {}

    def begin(self, attempt: int) -> Generation:
        request = self._request
        substream = request.substream(self._prompt_number, attempt)
        prompt = request.prompts[self._prompt_number]
        if prompt is None:
            prompt = request.model.default_prompt(request.seed, substream)
            if self._are_lines and request.model.metadata.records is None:
                # A complete line needs a prompt that ends with a line.
                prompt = prompt[: prompt.rfind("\n") + 1] or "\n"
        start = self._starts.get(prompt)
        if start is None:
            # Each prompt is fed once.
            start = request.model.start(
                prompt, sampling=self._sampling, seed=request.seed, unknown=request.unknown
            )
            start.keep_logprobs = request.logprobs
            self._starts[prompt] = start
        generation = start.copy()
        generation.reseed(request.seed, substream)
        return generation

    def echo(self, text: Text) -> str:
        # An excerpt of the model has no part in the line that a text is.
        is_hidden = self._are_lines and self._request.prompts[self._prompt_number] is None
        return super().echo(text) if self._request.echo and not is_hidden else ""

    def place(self, text: Text) -> str:
        prompts = len(self._request.prompts)
        prompt = f"prompt {self._prompt_number + 1} of {prompts}" if prompts > 1 else ""
        return ", ".join(filter(None, [prompt, super().place(text)]))


def read_prompts(arguments: argparse.Namespace) -> list[Prompt]:
    """Return the prompts that the arguments select.

    Raises:
        PromptError: If a prompt is empty, or if the file of ``--prompts`` has no prompts.
        TextFileError: If a file cannot be read or is not UTF-8.
    """
    path = arguments.prompts
    if path is None:
        prompts = [Prompt(prompt_argument(arguments))]
    else:
        lines = [line.removesuffix("\r") for line in read_text(path).split("\n")]
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line]
        prompts = [Prompt(line, f"{_name_of(path)}, line {number}: ") for number, line in numbered]
        if not prompts:
            raise PromptError(f"{_name_of(path)} has no prompts: write one prompt on each line")
    if arguments.lowercase:
        prompts = [Prompt(text and text.lower(), place) for text, place in prompts]
    return prompts


def prompt_argument(arguments: argparse.Namespace) -> str | None:
    """Return the prompt from the command line or its file, or None."""
    path = arguments.prompt_file
    text: str | None
    if path is None:
        text = arguments.prompt
    elif arguments.raw:
        # Any file. A final line end is a byte like the others.
        text = read_bytes(path).decode("utf-8", "surrogateescape")
    else:
        text = read_text(path).removesuffix("\n").removesuffix("\r")
    if text == "":
        raise PromptError(f"the prompt from {'--prompt' if path is None else _name_of(path)} is empty")
    return text


def _name_of(path: str) -> str:
    return "standard input" if path == STANDARD_INPUT else shorten(path)


def check_prompts(model: Model, prompts: Sequence[Prompt], policy: UnknownPolicy) -> None:
    """Check the prompts before the first text is generated, and print warnings about their characters.

    If there is only one prompt, ``Model.start`` rejects it.

    Raises:
        PromptError: If one of several prompts cannot be fed. The message names its place.
    """
    for text, place in prompts:
        if text is not None and place:
            try:
                model.encode_prompt(text, policy)
            except PromptError as error:
                raise PromptError(place, *error.args) from None
    print_warnings(unknown_warnings(model.metadata, [prompt.text or "" for prompt in prompts], policy))
