"""The options of a training run as JSON values, in its checkpoint."""

import argparse
from typing import Any

from textgen_train.hyperparameters import option_name

from ._arguments import parser

# The arguments that do not belong to the run, but to a single call of the command.
NOT_STORED = ("output", "overwrite", "resume")

# The arguments that the parser cannot check: the words of the command that started the run, and the number of
# threads of all processes.
WORDS, THREADS = "words", "threads"


def to_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of the command line that belong to the run."""
    return {name: value for name, value in vars(arguments).items() if name not in NOT_STORED}


def from_options(options: dict[str, Any]) -> argparse.Namespace:
    """Return the arguments whose options these are. The parser checks each of them again.

    Raises:
        ValueError: If an option is unknown or has an invalid value.
    """
    checked = dict(options)
    words, threads = checked.pop(WORDS, []), checked.pop(THREADS, None)
    if not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
        raise ValueError(f"the option {WORDS} has an invalid value")
    if not (type(threads) is int and threads >= 1):
        raise ValueError(f"the option {THREADS} has an invalid value")
    command = parser()
    known = vars(command.parse_args([]))
    if unknown := next((name for name in checked if name not in known or name in NOT_STORED), None):
        raise ValueError(f"the option {unknown} is unknown")
    command.exit_on_error = False
    corpus = checked.pop("corpus", None)
    given = [word for name, value in checked.items() for word in _words(name, value, known[name])]
    try:
        arguments, rest = command.parse_known_args([*given, "--", str(corpus)])
    except argparse.ArgumentError as error:
        raise ValueError(str(error)) from None
    if rest or not isinstance(corpus, str):
        raise ValueError(f"the option {rest[0] if rest else 'corpus'} has an invalid value")
    vars(arguments).update({WORDS: words, THREADS: threads})
    return arguments


def _words(name: str, value: Any, default: Any) -> list[str]:
    """Return an option as words of a command line; none if it has its default value."""
    option = option_name(name)
    if value is None or (value is False and default is False):
        return []
    if isinstance(value, bool):
        return [f"--{'no-' * (not value)}{option}"]
    if isinstance(value, str | int | float):
        return [f"--{option}={value}"]
    raise ValueError(f"the option {option} has an invalid value")
