"""Which arguments of ``textgen-train`` may be combined."""

import argparse
from collections.abc import Sequence

from textgen_runtime.cli.parser import CommandParser
from textgen_runtime.system.text_files import STANDARD_INPUT
from textgen_runtime.text.levels import BYTE, WORD

from textgen_train.hyperparameters import option_name

# Stands for the value of an argument that is not given.
ABSENT = object()

# The arguments that may accompany --resume, besides itself.
RESUME_ARGUMENTS = ("resume", "corpus", "held_out_file")

# The arguments that choose the folder of a new run.
FOLDER_ARGUMENTS = ("output", "overwrite")

# The arguments that cannot accompany --from, because the model determines them.
MODEL_ARGUMENTS = (
    *("cell", "units", "layers", "residual", "embedding"),
    *("level", "vocabulary_size", "records", "lowercase", "unicode", "min_count", "recipe"),
)

# The arguments that cannot accompany --level byte, because bytes are not changed.
TEXT_ARGUMENTS = ("lowercase", "unicode", "min_count")


def given_arguments(command: CommandParser, words: Sequence[str] | None) -> list[str]:
    """Return the names of the arguments that a command line gives, also those with their default values."""
    absent = dict.fromkeys(vars(command.parse_args([])), ABSENT)
    parsed = vars(command.parse_args(words, argparse.Namespace(**absent)))
    return [name for name, value in parsed.items() if value is not ABSENT]


def check_usage(command: CommandParser, arguments: argparse.Namespace, given: Sequence[str]) -> None:
    """Check which arguments may be combined. Wrong usage ends the process.

    Args:
        command: The parser of the command.
        arguments: The arguments.
        given: The names of those that the command line gives.
    """
    if arguments.corpus == arguments.held_out_file == STANDARD_INPUT:
        command.error(f"standard input ({STANDARD_INPUT}) can be read only once")
    if arguments.resume is None:
        if arguments.corpus is None:
            command.error("a CORPUS is required, or --resume FOLDER")
        check_level_usage(command, arguments, given)
        check_parent_usage(command, arguments, given)
        return
    for name in given:
        if name in FOLDER_ARGUMENTS:
            command.error(
                f"--{option_name(name)} cannot be combined with --resume, which continues in the folder of "
                "the run"
            )
        if name not in RESUME_ARGUMENTS:
            command.error(f"--{option_name(name)} cannot be changed: --resume uses the options of the run")


def check_level_usage(command: CommandParser, arguments: argparse.Namespace, given: Sequence[str]) -> None:
    """Check which arguments may accompany ``--level``. Wrong usage ends the process."""
    if arguments.vocabulary_size is not None and arguments.level != WORD:
        command.error("--vocabulary-size requires --level word")
    if arguments.level == BYTE:
        for name in TEXT_ARGUMENTS:
            if name in given:
                command.error(
                    f"--{option_name(name)} cannot be combined with --level byte: bytes stay unchanged"
                )


def check_parent_usage(command: CommandParser, arguments: argparse.Namespace, given: Sequence[str]) -> None:
    """Check which arguments may accompany ``--from``. Wrong usage ends the process."""
    if parent_source(arguments) is None:
        if arguments.extend:
            command.error("--extend requires --from MODEL")
        return
    for name in MODEL_ARGUMENTS:
        if name in given:
            command.error(f"--{option_name(name)} cannot be combined with --from: the model determines it")


def parent_source(arguments: argparse.Namespace) -> str | None:
    """Return the value of ``--from``, which is a keyword of Python."""
    source: str | None = vars(arguments)["from"]
    return source
