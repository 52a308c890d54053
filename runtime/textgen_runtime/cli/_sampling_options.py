"""The options of the sampling parameters, and the ``Sampling`` objects that they select.

Each parameter of ``runtime/core/parameters.def`` is an option. An interactive session has the same options as
settings. So a new parameter needs no change here, unless its kind is new.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from textgen_runtime._core import PARAMETERS
from textgen_runtime.controls import checked_stops
from textgen_runtime.errors import Name, quote
from textgen_runtime.model import Model
from textgen_runtime.results import Parameter
from textgen_runtime.sampling import CONSTRAINTS, Sampling
from textgen_runtime.system.console import print_diagnostic
from textgen_runtime.system.file_content import read_text

from .command import respelled, spell_option
from .parser import escaped_text, number

NEWLINE = "\n"

# Above it, every model draws characters almost evenly. A larger value is probably meant as percent.
MAX_USUAL_TEMPERATURE = 5

# The forms of an option: without a value, with one, with one and repeatable, with several.
SWITCH, ONE, REPEATED, SEVERAL = "switch", "one", "repeated", "several"

FORMS = {"switch": SWITCH, "texts": REPEATED, "biases": REPEATED, "choices": SEVERAL}

ESCAPES = "in TEXT, \\n is a line end, \\t a tab and \\\\ a backslash, as in the options for characters"


class Option(NamedTuple):
    """An option of a command, and a setting of an interactive session.

    Attributes:
        name: The name of the value, such as ``"top_p"``.
        metavar: A name for the value in the help.
        summary: What the option does.
        details: What the help says besides.
        convert: Returns the value of a word, or raises ArgumentTypeError.
        form: ``SWITCH``, ``ONE``, ``REPEATED`` or ``SEVERAL``.
        choices: The words that are possible, or none for all that can be converted.
    """

    name: str
    metavar: str
    summary: str
    details: str = ""
    convert: Callable[[str], Any] = str
    form: str = ONE
    choices: tuple[str, ...] = ()

    def add_to(self, command: Any, default: Any = None) -> None:
        """Add the option to an argument parser or to one of its groups."""
        text = self.summary + self.details
        settings: dict[str, Any] = {"dest": self.name, "default": default, "help": text}
        if self.form == SWITCH:
            settings["action"] = "store_true"
        elif self.choices:
            settings["choices"] = self.choices
        else:
            settings |= {"metavar": self.metavar, "type": self.convert}
        if self.form == REPEATED:
            settings["action"] = "append"
        elif self.form == SEVERAL:
            settings["nargs"] = "+"
        command.add_argument(spell_option(Name(self.name)), **settings)


UNTIL_NEWLINE = Option("until_newline", "", "end a text before its first line end", form=SWITCH)


def sampling_option(parameter: Parameter) -> Option:
    """Return the option of a sampling parameter."""
    summary, separator, details = respelled(parameter.help, spell_option).partition("; ")
    details = separator + details
    form = FORMS.get(parameter.kind, ONE)
    metavar = parameter.value
    convert: Callable[[str], Any] = escaped_text
    if parameter.kind in {"number", "whole"}:
        convert = number(
            parameter.requirement, parameter.accepts, int if parameter.kind == "whole" else float
        )
        details += f" (default: {parameter.default:g}{', off' * (parameter.default == parameter.off)})"
    elif parameter.kind == "biases":
        convert = _bias
    elif parameter.kind == "text":
        convert = str
    elif parameter.kind == "schema":
        metavar, convert = "PATH", str
        details = "; PATH is a file, or - for standard input"
    if parameter.kind == "texts":
        details += f"; {ESCAPES}"
    return Option(parameter.name, metavar, summary, details, convert, form)


def sampling_options() -> dict[str, list[Option]]:
    """Return the options of all sampling parameters by heading. A draw applies them in this order."""
    groups: dict[str, list[Option]] = {parameter.group: [] for parameter in PARAMETERS.values()}
    for parameter in sorted(PARAMETERS.values(), key=lambda parameter: parameter.order):
        groups[parameter.group].append(sampling_option(parameter))
        if parameter.name == "stop":
            groups[parameter.group].append(UNTIL_NEWLINE)
    return groups


def add_sampling(command: argparse.ArgumentParser) -> None:
    """Add an option for each sampling parameter."""
    for heading, options in sampling_options().items():
        group: Any = command.add_argument_group(heading) if heading else command
        for option in options:
            _for_command(option).add_to(group)


def _for_command(option: Option) -> Option:
    """Return an option as commands have it: with several temperatures, or repeated."""
    if option.name == "temperature":
        return option._replace(form=SEVERAL, details=f"; several values give one text each{option.details}")
    if option.form == REPEATED:
        return option._replace(details=f"; may be repeated{option.details}")
    return option


def add_constraint(group: Any, summaries: Mapping[str, str]) -> None:
    """Add the options that select a constraint, with what the command does with each."""
    for name in CONSTRAINTS:
        sampling_option(PARAMETERS[name])._replace(summary=summaries[name]).add_to(group)


def samplings(arguments: argparse.Namespace) -> Sequence[Sampling]:
    """Return the selected samplings, one per temperature.

    Raises:
        SamplingError: If parameters contradict each other.
        TextFileError: If the file of the JSON schema cannot be read.
    """
    options = _given(arguments, tuple(PARAMETERS))
    temperatures = options.pop("temperature", [PARAMETERS["temperature"].default])
    if arguments.until_newline:
        options["stop"] = [*options.get("stop", ()), NEWLINE]
    sampling = Sampling(**options)
    return [sampling.replace(temperature=temperature) for temperature in temperatures]


def constraint_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of ``Sampling`` for the selected constraints.

    Raises:
        TextFileError: If the file of the JSON schema cannot be read.
    """
    return _given(arguments, CONSTRAINTS)


def _given(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Return the values of those options that are on the command line."""
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if "json_schema" in options:
        options["json_schema"] = read_text(options["json_schema"])
    return options


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
    parameter = PARAMETERS["logit_bias"]
    requirement = f"a character, = and {parameter.requirement}"
    symbol, _, value = text.rpartition("=")
    if not symbol:
        raise argparse.ArgumentTypeError(f"must be {requirement}, not {quote(text)}")
    return escaped_text(symbol), number(requirement, parameter.accepts)(value)
