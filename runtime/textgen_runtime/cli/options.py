"""The options of ``textgen-run``, and the ``Sampling`` objects that they select.

Each parameter of ``runtime/core/parameters.def`` is an option. So a new parameter needs no change here,
unless its kind is new, or it has no effect in a mode: see ``NO_EFFECT``.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from textgen_runtime._core import PARAMETERS
from textgen_runtime.controls import checked_stops
from textgen_runtime.errors import Name, SamplingError, quote
from textgen_runtime.files import STANDARD_INPUT, read_text
from textgen_runtime.model import DEFAULT_LENGTH, DEFAULT_RECORD_LENGTH, Model
from textgen_runtime.model_file import Metadata, bundled_models
from textgen_runtime.results import Parameter
from textgen_runtime.sampling import Sampling
from textgen_runtime.terminal import print_diagnostic
from textgen_runtime.tokenizer import UnknownPolicy, unknown_characters_warning

from .command import spell_option
from .parser import (
    CORPUS_HELP,
    ENGINE,
    MAX_SEED,
    MAX_THREADS,
    MODEL,
    UNKNOWN,
    CommandParser,
    escaped_text,
    parse_number,
    printed,
    whole_number,
)
from .texts import MAX_REJECTED_IN_A_ROW

PROG = "textgen-run"

# The kinds of parameters with several values.
LISTS = ("texts", "biases", "choices")

ESCAPES = "in TEXT, \\n is a line end, \\t a tab and \\\\ a backslash, as in the options for characters"

# What has no effect without texts, on the bytes of one text, or on the texts of a session.
NO_EFFECT = {
    "explain": (
        *("length", "no_echo", "stop", "keep_stop", "resample", "max_copy", "count"),
        *("unique", "novel", "separator", "json", "raw", "threads", "stats", "prompts"),
    ),
    "raw": ("prompts", "count", "unique", "lowercase"),
    "interactive": ("prompts", "count", "unique", "separator", "json", "raw", "threads", "stats", "explain"),
}

EXAMPLES = """\
examples:
  textgen-run nietzsche --temp 0.5
  textgen-run model.onnx --temp 0.2 0.5 1.0 1.2 --prompt "the will to "
  textgen-run model.onnx --length 100000 --seed 7 > text.txt
  textgen-run model.onnx --count 10 --no-echo --stats
  textgen-run bytes.onnx --prompt MThd --raw > tune.mid
  textgen-run nietzsche --explain --prompt "the will to "
  textgen-run model.onnx --prompts prompts.txt --count 3 --json
  textgen-run model.onnx --length 12 --count 1000 --unique --novel book.txt --separator '\\n'
  textgen-run model.onnx --novel book.txt --max-copy 30
"""


class OnlyPrompt(argparse.Action):
    """An option with one value, which cannot be given twice. argparse would keep only the last prompt."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *values: Any) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error("--prompt can be given only once: for several prompts, use --prompts with a file")
        setattr(namespace, self.dest, values[0])


PROMPTS: dict[str, dict[str, Any]] = {
    "--prompt": {
        "metavar": "TEXT",
        "action": OnlyPrompt,
        "help": "text to continue (default: one stored in the model)",
    },
    "--prompt-file": {"metavar": "PATH", "help": "read the prompt from a file, or - for standard input"},
    "--prompts": {
        "metavar": "PATH",
        "help": "continue each line of a file, or of standard input (-), as a prompt",
    },
}

FORMS: dict[str, dict[str, Any]] = {
    "--separator": {
        "metavar": "TEXT",
        "type": escaped_text,
        "help": r"print TEXT between texts; \n is a line end, \t a tab, \0 a zero byte and \\ a backslash",
    },
    "--json": {"action": "store_true", "help": "print each text with its properties as a line of JSON"},
    "--raw": {
        "action": "store_true",
        "help": "write the bytes of one text of a model of bytes, and nothing else",
    },
}

OPTIONS: dict[str, dict[str, Any]] = {
    "--no-echo": {"action": "store_true", "help": "do not print the prompt"},
    "--unknown": UNKNOWN,
    "--lowercase": {
        "action": "store_true",
        "help": "convert the prompt, and the corpus of --novel, to lower case",
    },
    "--length": {
        "metavar": "N",
        "type": whole_number(1),
        "help": "maximum number of tokens to generate "
        f"(default: {DEFAULT_LENGTH}; {DEFAULT_RECORD_LENGTH:,} for a model of records)",
    },
    "--seed": {
        "metavar": "N",
        "type": whole_number(0, MAX_SEED),
        "help": "random seed (default: a new one; see --stats)",
    },
    "--count": {
        "metavar": "N",
        "type": whole_number(1),
        "default": 1,
        "help": "number of texts for each temperature and prompt (default: 1)",
    },
    "--unique": {
        "action": "store_true",
        "help": "print no text twice, but draw another one, until "
        f"{MAX_REJECTED_IN_A_ROW:,} in a row are not new",
    },
    "--novel": {
        "metavar": "CORPUS",
        "help": f"print no text that stands in CORPUS, but draw another one; CORPUS is {CORPUS_HELP}",
    },
    "--explain": {
        "action": "store_true",
        "help": "print the probabilities of the next token instead of a text",
    },
    "--interactive": {
        "action": "store_true",
        "help": "continue lines of standard input; /help lists its commands",
    },
    "--engine": ENGINE,
    "--threads": {
        "metavar": "N",
        "type": whole_number(1, MAX_THREADS),
        "default": 1,
        "help": "number of threads (default: 1)",
    },
    "--stats": {"action": "store_true", "help": "print the engine, seed and speed to standard error"},
}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse and check the arguments. Invalid arguments exit with a usage error."""
    command = parser()
    arguments = command.parse_args(argv)
    sources = (arguments.prompt_file, arguments.prompts, arguments.novel, arguments.json_schema)
    if sources.count(STANDARD_INPUT) + arguments.interactive > 1:
        command.error(f"standard input ({STANDARD_INPUT}) can be read only once")
    for mode, names in NO_EFFECT.items():
        if not getattr(arguments, mode):
            continue
        for name in names:
            if getattr(arguments, name) != command.get_default(name):
                command.error(f"{spell_option(Name(name))} has no effect with --{mode}")
        if mode != "explain" and len(arguments.temperature or ()) > 1:
            command.error(f"--{mode} uses one value of --temp")
    return arguments


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(PROG, "Generate text with a model and write it to standard output.", EXAMPLES)
    # MODEL must come first: after --temp, argparse takes it for another temperature.
    command.usage = "%(prog)s MODEL [OPTIONS]"
    command.add_argument("model", **MODEL)
    command.add_argument("--list", **printed(list_models, "list the bundled models"))
    add_sampling(command)
    for group, options in (
        (command.add_mutually_exclusive_group(), PROMPTS),
        (command, OPTIONS),
        (command.add_mutually_exclusive_group(), FORMS),
    ):
        for option, settings in options.items():
            group.add_argument(option, **settings)
    return command


def list_models() -> str:
    """Return the text of ``--list``."""
    return "".join(f"{name}\n" for name in bundled_models())


def add_sampling(command: argparse.ArgumentParser) -> None:
    """Add an option for each sampling parameter, by heading. A draw applies them in this order."""
    groups: dict[str, Any] = {"": command}
    for parameter in PARAMETERS.values():
        if parameter.group not in groups:
            groups[parameter.group] = command.add_argument_group(parameter.group)
    for parameter in sorted(PARAMETERS.values(), key=attrgetter("order")):
        add_parameter(groups[parameter.group], parameter)


def add_parameter(group: Any, parameter: Parameter, summary: str | None = None) -> None:
    """Add the option of a sampling parameter, perhaps with another summary of what it does."""
    usual, separator, details = parameter.help.partition("; ")
    details = separator + details
    settings: dict[str, Any] = {"metavar": parameter.value, "type": escaped_text}
    if parameter.kind == "switch":
        settings = {"action": "store_true", "default": None}
    elif parameter.kind in {"number", "whole"}:
        settings["type"] = partial(
            parse_number,
            requirement=parameter.requirement,
            accept=parameter.accepts,
            kind=int if parameter.kind == "whole" else float,
        )
        details += f" (default: {parameter.default:g}{', off' * (parameter.default == parameter.off)})"
    elif parameter.kind == "biases":
        settings["type"] = _bias
    elif parameter.kind == "text":
        settings["type"] = str
    elif parameter.kind == "schema":
        settings = {"metavar": "PATH"}
        details = "; PATH is a file, or - for standard input"
    elif parameter.kind == "texts":
        details += f"; {ESCAPES}"
    if parameter.kind in LISTS:
        settings |= {"nargs": "+", "action": "extend"}
    option = f"--{parameter.name.replace('_', '-')}"
    if parameter.name == "temperature":
        settings["nargs"] = "+"
        option, details = "--temp", f"; several values give one text each{details}"
    group.add_argument(option, dest=parameter.name, help=(summary or usual) + details, **settings)


def _bias(text: str) -> tuple[str, float]:
    """Parse ``C=X``. The character may be ``=`` itself."""
    parameter = PARAMETERS["logit_bias"]
    requirement = f"a character, = and {parameter.requirement}"
    symbol, _, value = text.rpartition("=")
    if not symbol:
        raise argparse.ArgumentTypeError(f"must be {requirement}, not {quote(text)}")
    return escaped_text(symbol), parse_number(value, requirement=requirement, accept=parameter.accepts)


def given_parameters(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return the parameters of ``Sampling`` that are on the command line, of those with these names.

    Raises:
        TextFileError: If the file of the JSON schema cannot be read.
    """
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if "json_schema" in options:
        options["json_schema"] = read_text(options["json_schema"])
    return options


def read_samplings(arguments: argparse.Namespace) -> Sequence[Sampling]:
    """Return the selected samplings, one per temperature.

    Parameters that contradict each other exit with a usage error.

    Raises:
        TextFileError: If the file of the JSON schema cannot be read.
    """
    options = given_parameters(arguments, PARAMETERS)
    temperatures = options.pop("temperature", [PARAMETERS["temperature"].default])
    try:
        return [Sampling(**options, temperature=temperature) for temperature in temperatures]
    except SamplingError as error:
        parser().error(error.spelled(spell_option))


def with_checked_stops(model: Model, sampling: Sampling) -> Sampling:
    """Print the warnings about stop texts, and return the sampling without those that have no effect."""
    sampling, warnings = checked_stops(sampling, model.metadata)
    print_warnings(warnings)
    return sampling


def unknown_warnings(metadata: Metadata, texts: Iterable[str], policy: UnknownPolicy) -> list[str]:
    """Return a warning if a model reads texts without their characters outside the vocabulary."""
    unknown: Counter[str] = Counter()
    if policy == "skip" or metadata.tokenizer.unknown is not None:
        for text in texts:
            unknown += metadata.tokenizer.count_unknown(metadata.normalize(text))
    return [unknown_characters_warning(unknown, policy)] if unknown else []


def print_warnings(messages: Iterable[str]) -> None:
    """Print warnings of the command."""
    for message in messages:
        print_diagnostic(PROG, message, "warning")


def describe_parameters(values: Mapping[str, Any]) -> str:
    """Return parameters in one line, such as ``top_p=0.9, stop=('a',)``."""
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
