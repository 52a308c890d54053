"""The sampling options of a command, and the ``Sampling`` objects that they select.

To add a sampling parameter, add its option to one of the groups below. Its destination is the name of the
parameter of ``Sampling``. If the option accepts several values, include it in ``samplings`` and
``sampling_heading``.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from textgen_runtime.errors import quote
from textgen_runtime.generation.model import Model
from textgen_runtime.generation.stop_warnings import checked_stops
from textgen_runtime.sampling.parameters import (
    DEFAULT_TEMPERATURE,
    MAX_LOGIT_BIAS,
    MAX_RESAMPLE,
    FilterOptions,
    Sampling,
)
from textgen_runtime.system.console import print_diagnostic
from textgen_runtime.system.text_files import read_text

from .parser import escaped_text, number, whole_number

MAX_PENALTY_WINDOW = 1024

NEWLINE = "\n"

# Above it, every model draws characters almost evenly. A larger value is probably meant as percent.
MAX_USUAL_TEMPERATURE = 5


def add_sampling(command: argparse.ArgumentParser) -> None:
    """Add an option for each sampling parameter."""
    command.add_argument(
        "--temp",
        metavar="T",
        type=number("a finite number, 0 or more", lambda value: value >= 0),
        nargs="+",
        help="one or more sampling temperatures; 0 always selects the most likely token, higher values are "
        f"more random (default: {DEFAULT_TEMPERATURE})",
    )
    _add_filters(command.add_argument_group("filters, applied before the temperature"))
    _add_characters(command.add_argument_group("characters"))
    _add_endings(command.add_argument_group("where a text ends"))
    _add_constraints(command.add_argument_group("constraints of the complete text"))


def _within(low: float, high: float, *, above: bool = False) -> Callable[[str], float]:
    """Return an argument type for numbers from `low` to `high`, without `low` if `above` is True."""
    if above:
        return number(f"a number more than {low}, at most {high}", lambda value: low < value <= high)
    return number(f"a number from {low} to {high}", lambda value: low <= value <= high)


# Option, metavar, type and help.
_FILTERS = (
    (
        "--typical-p",
        "P",
        _within(0, 1, above=True),
        (
            "draw from the characters whose surprisal is nearest to the entropy, with total probability P "
            "(default: 1, off)"
        ),
    ),
    (
        "--top-p",
        "P",
        _within(0, 1, above=True),
        "draw from the most likely characters, with total probability P (default: 1, off)",
    ),
    (
        "--min-p",
        "P",
        _within(0, 1),
        (
            "draw from the characters with at least P times the probability of the most likely one "
            "(default: 0, off)"
        ),
    ),
    (
        "--repetition-penalty",
        "X",
        _within(0, 100, above=True),
        (
            "divide the positive logits of recent characters by X, and multiply the negative ones "
            "(default: 1, off)"
        ),
    ),
    (
        "--frequency-penalty",
        "X",
        _within(-100, 100),
        "subtract X from the logit of a character for each recent occurrence (default: 0, off)",
    ),
    (
        "--presence-penalty",
        "X",
        _within(-100, 100),
        "subtract X from the logit of each recent character (default: 0, off)",
    ),
    (
        "--mirostat-tau",
        "BITS",
        _within(0, 100),
        (
            "keep the mean surprisal near this value, with mirostat version 2 in place of --top-k, "
            "--typical-p, --top-p and --min-p; use it with --temp 1 (default: 0, off)"
        ),
    ),
    ("--mirostat-eta", "X", _within(0, 1, above=True), "learning rate of mirostat (default: 0.1)"),
)


def _add_filters(group: Any) -> None:
    group.add_argument(
        "--top-k",
        metavar="N",
        type=whole_number(0),
        help="draw from the N most likely characters (default: 0, off)",
    )
    for option, metavar, parse, text in _FILTERS:
        group.add_argument(option, metavar=metavar, type=parse, help=text)
    group.add_argument(
        "--penalty-window",
        metavar="N",
        type=whole_number(1, MAX_PENALTY_WINDOW),
        help="number of latest generated characters that count as recent for the penalties (default: 64)",
    )


def _add_characters(group: Any) -> None:
    group.add_argument(
        "--logit-bias",
        metavar="C=X",
        type=_bias,
        action="append",
        help=f"add X, from -{MAX_LOGIT_BIAS:.0f} to {MAX_LOGIT_BIAS:.0f}, to the logit of the character C; "
        "may be repeated",
    )
    group.add_argument(
        "--allowed", metavar="TEXT", type=escaped_text, help="generate only the characters of TEXT"
    )
    group.add_argument(
        "--banned", metavar="TEXT", type=escaped_text, help="never generate the characters of TEXT"
    )


def _add_endings(group: Any) -> None:
    group.add_argument(
        "--min-length",
        metavar="N",
        type=whole_number(0),
        help="do not end a record before it has N generated tokens; only for a model of records (default: 0, "
        "off)",
    )
    group.add_argument(
        "--stop",
        metavar="TEXT",
        type=escaped_text,
        action="append",
        help="end a text before TEXT; may be repeated; in TEXT, \\n is a line end, \\t a tab and \\\\ "
        "a backslash, as in the options for characters",
    )
    group.add_argument("--until-newline", action="store_true", help="end a text before its first line end")
    group.add_argument("--keep-stop", action="store_true", default=None, help="print the stop text, too")


def add_constraint(group: Any, action: str) -> None:
    """Add the options that select a constraint. The help says what the command does with its texts."""
    group.add_argument(
        "--match", metavar="REGEX", help=f"{action} a text that matches this regular expression"
    )
    group.add_argument(
        "--choices", metavar="TEXT", type=escaped_text, nargs="+", help=f"{action} one of these texts"
    )
    group.add_argument(
        "--json-schema",
        metavar="PATH",
        help=f"{action} JSON of the JSON schema in this file, or in standard input (-)",
    )


def _add_constraints(group: Any) -> None:
    add_constraint(group, "generate")
    group.add_argument(
        "--resample",
        metavar="N",
        type=whole_number(0, MAX_RESAMPLE),
        help="first draw up to N texts without the constraint, and print the first that meets it; only then "
        "generate one with the constraint, which changes the distribution (default: 0)",
    )


def samplings(arguments: argparse.Namespace) -> Sequence[Sampling]:
    """Return the selected samplings, one per temperature.

    Raises:
        SamplingError: If parameters contradict each other.
        TextFileError: If the file of the JSON schema cannot be read.
    """
    options = {
        name: getattr(arguments, name)
        for name in (
            *FilterOptions.__annotations__,
            "allowed",
            "banned",
            "min_length",
            "keep_stop",
            "resample",
        )
        if getattr(arguments, name) is not None
    }
    stop = [*(arguments.stop or []), *([NEWLINE] if arguments.until_newline else [])]
    options |= constraint_options(arguments)
    sampling = Sampling(logit_bias=arguments.logit_bias or (), stop=stop, **options)
    temperatures = arguments.temp or [DEFAULT_TEMPERATURE]
    return [sampling.replace(temperature=temperature) for temperature in temperatures]


def constraint_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of ``Sampling`` for the selected constraints.

    Raises:
        TextFileError: If the file of the JSON schema cannot be read.
    """
    options = {name: getattr(arguments, name) for name in ("match", "choices")}
    if arguments.json_schema is not None:
        options["json_schema"] = read_text(arguments.json_schema)
    return {name: value for name, value in options.items() if value is not None}


def with_checked_stops(prog: str, model: Model, sampling: Sampling) -> Sampling:
    """Print the warnings about stop texts, and return the sampling without those that have no effect."""
    sampling, warnings = checked_stops(sampling, model.metadata)
    for warning in warnings:
        print_diagnostic(prog, warning, "warning")
    return sampling


def temperature_warnings(chosen: Sequence[Sampling]) -> list[str]:
    """Return a warning for each temperature that is probably a mistake."""
    return [
        f"temperature {sampling.temperature:g} makes the text almost random: values from 0.2 to 1.2 are usual"
        for sampling in chosen
        if sampling.temperature > MAX_USUAL_TEMPERATURE
    ]


def sampling_heading(sampling: Sampling) -> str:
    """Return a heading that distinguishes texts of this sampling from those of the others."""
    return f"temperature: {sampling.temperature}"


def _bias(text: str) -> tuple[str, float]:
    """Parse ``C=X``. The character may be ``=`` itself."""
    symbol, separator, value = text.rpartition("=")
    if not separator or not symbol:
        raise argparse.ArgumentTypeError(f"must be a character, = and a number, not {quote(text)}")
    requirement = f"a character, = and a number from -{MAX_LOGIT_BIAS:.0f} to {MAX_LOGIT_BIAS:.0f}"
    bias = number(requirement, lambda value: abs(value) <= MAX_LOGIT_BIAS)(value)
    return escaped_text(symbol), bias
