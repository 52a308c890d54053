"""The prompts of ``textgen-run``: one from the command line or a file, or one from each line of a file."""

import argparse
from collections import Counter
from typing import NamedTuple

from textgen_runtime.errors import PromptError, shorten
from textgen_runtime.generation.model import Model
from textgen_runtime.system.console import print_diagnostic
from textgen_runtime.system.text_files import STANDARD_INPUT, read_bytes, read_text
from textgen_runtime.text.symbols import format_symbols
from textgen_runtime.text.tokenizer import UnknownPolicy

BYTE_ORDER_MARK = "\ufeff"


class Prompts(NamedTuple):
    """The prompts of a run.

    Attributes:
        texts: The prompts. None stands for the excerpts that the model stores.
        source: The name of the file of ``--prompts`` for messages; empty for a single prompt.
        lines: The line of each prompt in the file, from 1; empty for a single prompt.
    """

    texts: tuple[str | None, ...]
    source: str = ""
    lines: tuple[int, ...] = ()


def read_prompts(arguments: argparse.Namespace) -> Prompts:
    """Return the prompts that the arguments select.

    Raises:
        PromptError: If a prompt is empty, or if the file of ``--prompts`` has no prompts.
        TextFileError: If a file cannot be read or is not UTF-8.
    """
    if arguments.prompts is None:
        return Prompts((prompt_argument(arguments),))
    source = _name_of(arguments.prompts)
    lines = read_text(arguments.prompts).removeprefix(BYTE_ORDER_MARK).split("\n")
    texts = [line.removesuffix("\r") for line in lines]
    numbers = tuple(number for number, text in enumerate(texts, 1) if text)
    if not numbers:
        raise PromptError(f"{source} has no prompts: write one prompt on each line")
    return Prompts(
        tuple(text.lower() if arguments.lowercase else text for text in texts if text), source, numbers
    )


def prompt_argument(arguments: argparse.Namespace) -> str | None:
    """Return the prompt from the command line or its file, or None."""
    if arguments.prompt_file is not None and arguments.raw:
        # Any file. A final line end is a byte like the others.
        text = read_bytes(arguments.prompt_file).decode("utf-8", "surrogateescape")
        source = _name_of(arguments.prompt_file)
    elif arguments.prompt_file is not None:
        text = read_text(arguments.prompt_file)
        source = _name_of(arguments.prompt_file)
        text = text.removesuffix("\n").removesuffix("\r")
    else:
        text, source = arguments.prompt, "--prompt"
    if text == "":
        raise PromptError(
            f"the prompt from {source} is empty: omit the option to start from a prompt in the model"
        )
    return text.lower() if text and arguments.lowercase else text


def _name_of(path: str) -> str:
    return "standard input" if path == STANDARD_INPUT else shorten(path)


def check_prompts(prog: str, model: Model, prompts: Prompts, policy: UnknownPolicy) -> None:
    """Check the prompts before the first text is generated.

    A warning lists the characters outside the vocabulary that are skipped or replaced. If there is only one
    prompt, ``Model.start`` rejects it.

    Raises:
        PromptError: If one of several prompts cannot be fed. The message names its place.
    """
    unknown: Counter[str] = Counter()
    tolerant = policy == "skip" or model.tokenizer.unknown is not None
    for number, prompt in enumerate(prompts.texts):
        if prompt is None:
            continue
        normalized = model.metadata.normalize(prompt)
        if tolerant:
            unknown += model.tokenizer.count_unknown(normalized)
        if prompts.lines:
            _check_encoding(model, normalized, policy, f"{prompts.source}, line {prompts.lines[number]}")
    _warn_unknown(prog, unknown, policy)


def _check_encoding(model: Model, normalized: str, policy: UnknownPolicy, place: str) -> None:
    try:
        tokens = model.tokenizer.encode(normalized, policy)
    except PromptError as error:
        raise PromptError(f"{place}: ", *error.args) from None
    if not tokens:
        raise PromptError(f"{place}: none of the characters of the prompt is in the vocabulary")


def _warn_unknown(prog: str, unknown: Counter[str], policy: UnknownPolicy) -> None:
    if unknown:
        count = unknown.total()
        characters, were = ("characters are", "were") if count > 1 else ("character is", "was")
        effect = "skipped" if policy == "skip" else "fed as the unknown symbol"
        message = f"{count:,} prompt {characters} outside the vocabulary and {were} {effect}"
        print_diagnostic(prog, f"{message}: {format_symbols(sorted(unknown))}", "warning")
