"""The options of a command for the parameters of generation, and what they come to."""

import argparse
from collections.abc import Sequence

from textgen_runtime.sampling.parameters import DEFAULT_TEMPERATURE, Sampling

from .parser import number


def add_sampling(command: argparse.ArgumentParser) -> None:
    """The options."""
    command.add_argument(
        "--temp",
        metavar="T",
        type=number("a finite number, 0 or more", lambda value: value >= 0),
        nargs="+",
        default=[DEFAULT_TEMPERATURE],
        help="temperature: 0 always takes the likeliest character, 1 follows the model, higher surprises; "
        f"several give a text each, under headings (default {DEFAULT_TEMPERATURE})",
    )


def samplings(arguments: argparse.Namespace) -> Sequence[Sampling]:
    """Each sampling that the options ask for."""
    return [Sampling(temperature=temperature) for temperature in arguments.temp]


def heading(sampling: Sampling) -> str:
    """What tells texts of this sampling from those of the others."""
    return f"temperature: {sampling.temperature}"
