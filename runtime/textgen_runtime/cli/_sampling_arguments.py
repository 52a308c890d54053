"""The sampling options of a command, and the ``Sampling`` objects that they select.

To add a sampling parameter, add its option to ``add_sampling`` and pass it to ``Sampling`` in ``samplings``.
If the option accepts several values, include it in ``sampling_heading``.
"""

import argparse
from collections.abc import Sequence

from textgen_runtime.sampling.parameters import DEFAULT_TEMPERATURE, Sampling

from .parser import number


def add_sampling(command: argparse.ArgumentParser) -> None:
    """Add an option for each sampling parameter."""
    command.add_argument(
        "--temp",
        metavar="T",
        type=number("a finite number, 0 or more", lambda value: value >= 0),
        nargs="+",
        default=[DEFAULT_TEMPERATURE],
        help="one or more sampling temperatures; 0 always selects the most likely token, higher values are "
        f"more random (default: {DEFAULT_TEMPERATURE})",
    )


def samplings(arguments: argparse.Namespace) -> Sequence[Sampling]:
    """Return the selected samplings, one per temperature."""
    return [Sampling(temperature=temperature) for temperature in arguments.temp]


def sampling_heading(sampling: Sampling) -> str:
    """Return a heading that distinguishes texts of this sampling from those of the others."""
    return f"temperature: {sampling.temperature}"
