"""``textgen-run``: generate text with a model and write it to standard output."""

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

from textgen_runtime.errors import PromptError, SamplingError, shorten
from textgen_runtime.files import STANDARD_INPUT, read_bytes, read_text
from textgen_runtime.interrupts import DeferredInterrupts
from textgen_runtime.model import Batch, Generation, Model, fresh_seed, load
from textgen_runtime.sampling import Sampling
from textgen_runtime.terminal import print_diagnostic, write_stderr
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
from .texts import Series, Text, Texts, known_texts, make_selection, novel_warnings, with_novel

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
    return run_command(PROG, generate, arguments)


def generate(arguments: argparse.Namespace) -> int:
    """Generate and write the requested texts; return the exit code."""
    chosen = read_samplings(arguments)
    prompts = read_prompts(arguments)
    seed = fresh_seed() if arguments.seed is None else arguments.seed
    model = open_model(arguments)
    prepare_output(arguments, PROG, model)
    if arguments.interactive:
        # Most runs are not interactive, and the module takes milliseconds to import.
        from .interactive import interact

        return interact(arguments, chosen, model, prompts[0].text, seed)
    if prompts[0].text is None:
        tell_excerpt(model, arguments)
    else:
        check_prompts(model, prompts, arguments.unknown)
    if arguments.explain:
        # The module imports numpy, which the generation of a text does not need.
        from .explain import explain

        return explain(arguments, chosen[0], model, prompts[0].text)
    if chosen[0].stop:
        # All samplings have the same stop texts, so one warning is enough.
        stop = with_checked_stops(model, chosen[0]).stop
        chosen = [sampling.replace(stop=stop) for sampling in chosen]
    known = None if arguments.novel is None else known_texts(model)
    selection = make_selection(model, known, unique=arguments.unique, max_copy=chosen[0].max_copy)
    writer = TextWriter(arguments, len(chosen), model)
    # Each series is all texts of one temperature and one prompt.
    series = (
        PromptSeries(arguments, model, seed, prompts, number=number, sampling=sampling)
        for sampling in chosen
        for number in range(len(prompts))
    )
    with DeferredInterrupts() as interrupts:
        texts = Texts(Batch(model), selection, interrupts.immediate, parts=writer.in_parts)
        try:
            for text in texts.draw(series):
                writer.write(text)
        except (KeyboardInterrupt, SamplingError):
            writer.break_off()
            for text in texts.complete():
                writer.write(text)
            raise
        finally:
            # After this block an interrupt ends the process at once, without a flush.
            writer.finish()
            sys.stdout.flush()
    if arguments.stats:
        speed = f"{texts.batch.drawn / max(texts.seconds, 1e-9):,.0f} {unit_of(model.tokenizer)}s/s"
        report = [("engine", model.engine.name), ("seed", str(seed)), ("speed", speed)]
        report += [] if selection is None else [("texts", selection.describe(writer.count))]
        sys.stdout.flush()
        write_stderr("".join(f"{label:<14}{value}\n" for label, value in report))
    wanted = len(chosen) * len(prompts) * arguments.count
    if selection is not None and writer.count < wanted:
        raise selection.shortfall(writer.count, wanted)
    return 0


def open_model(arguments: argparse.Namespace) -> Model:
    """Load the model, with the corpus of ``--novel``."""
    model = load(arguments.model, engine=arguments.engine, threads=arguments.threads)
    if arguments.raw:
        model = model.keep_bytes()
    if arguments.novel is not None:
        model = with_novel(model, arguments.novel, lowercase=arguments.lowercase)
        print_warnings(novel_warnings(model))
    return model


class PromptSeries(Series):
    """The texts that continue one prompt with one sampling.

    Args:
        arguments: The arguments of the command.
        model: The model.
        seed: The seed of all texts.
        prompts: The prompts of the run.
        number: The index of the prompt.
        sampling: The sampling of the texts.
    """

    def __init__(  # noqa: PLR0913 (what the user asks for)
        self,
        arguments: argparse.Namespace,
        model: Model,
        seed: int,
        prompts: Sequence[Prompt],
        *,
        number: int,
        sampling: Sampling,
    ) -> None:
        super().__init__(arguments.count, arguments.length or model.default_length)
        self._arguments, self._model, self._seed, self._sampling = arguments, model, seed, sampling
        self._prompts, self._number, self._prompt = len(prompts), number, prompts[number].text
        # Whether each text ends before a line end, unless its length ends it.
        self._are_lines = bool(sampling.stop) and all(stop.endswith("\n") for stop in sampling.stop)
        # An excerpt of the model has no part in the line that a text is.
        is_hidden = self._are_lines and self._prompt is None
        self._echo = not (arguments.no_echo or arguments.json or is_hidden)
        self._starts: dict[str, Generation] = {}

    def begin(self, attempt: int) -> Generation:
        model, prompt = self._model, self._prompt
        # No two attempts with one sampling have the same substream. The first ones of all prompts have those
        # of ``Model.generate`` with each prompt ``wanted`` times in its list.
        if attempt < self.wanted:
            substream = self._number * self.wanted + attempt
        else:
            substream = attempt * self._prompts + self._number
        if prompt is None:
            prompt = model.default_prompt(self._seed, substream)
            if self._are_lines and model.metadata.records is None:
                # A complete line needs a prompt that ends with a line.
                prompt = prompt[: prompt.rfind("\n") + 1] or "\n"
        start = self._starts.get(prompt)
        if start is None:
            # Each prompt is fed once.
            unknown = self._arguments.unknown
            start = model.start(prompt, sampling=self._sampling, seed=self._seed, unknown=unknown)
            start.keep_logprobs = self._arguments.json
            self._starts[prompt] = start
        generation = start.copy()
        generation.reseed(self._seed, substream)
        return generation

    def echo(self, text: Text) -> str:
        return text.generation.prompt if self._echo else ""

    def place(self, text: Text) -> str:
        prompt = f"prompt {self._number + 1} of {self._prompts}" if self._prompts > 1 else ""
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


def tell_excerpt(model: Model, arguments: argparse.Namespace) -> None:
    """Tell a person that a text without a prompt begins with an excerpt of the training text."""
    if model.metadata.prompts and sys.stderr.isatty() and not (arguments.no_echo or arguments.json):
        print_diagnostic(PROG, "a text begins with a learned excerpt: see --prompt and --no-echo", "note")


def check_prompts(model: Model, prompts: Sequence[Prompt], policy: UnknownPolicy) -> None:
    """Check the given prompts before the first text is generated, and warn about their characters.

    If there is only one prompt, ``Model.start`` rejects it.

    Raises:
        PromptError: If one of several prompts cannot be fed. The message names its place.
    """
    given = [(prompt.text or "", prompt.place) for prompt in prompts]
    for text, place in given:
        if place:
            try:
                model.encode_prompt(text, policy)
            except PromptError as error:
                raise PromptError(place, *error.args) from None
    print_warnings(unknown_warnings(model.metadata, [text for text, _ in given], policy))
