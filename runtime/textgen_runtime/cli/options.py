"""The options of ``textgen-run``, and the ``Sampling`` objects that they select.

Each parameter of ``runtime/core/parameters.def`` is an option. So a new parameter needs no change here,
unless its kind is new.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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

from .command import respelled, spell_option
from .parser import (
    MAX_SEED,
    MAX_THREADS,
    CommandParser,
    PrintAndExit,
    add_engine,
    add_lowercase,
    add_model,
    add_novel,
    add_unknown,
    escaped_text,
    number,
    whole_number,
)
from .texts import MAX_REJECTED_IN_A_ROW

PROG = "textgen-run"

# The kinds of parameters with several values.
LISTS = ("texts", "biases", "choices")

ESCAPES = "in TEXT, \\n is a line end, \\t a tab and \\\\ a backslash, as in the options for characters"

# What has no effect without texts, on the bytes of one text, or on the texts of a session.
TEXT_OPTIONS = (
    *("length", "no_echo", "stop", "keep_stop", "resample", "max_copy", "count"),
    *("unique", "novel", "separator", "json", "raw", "stats", "prompts"),
)
RAW_OPTIONS = ("prompts", "count", "unique", "lowercase")
SESSION_OPTIONS = ("prompts", "unique", "separator", "json", "raw", "stats", "explain")

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


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse and check the arguments. Invalid arguments exit with a usage error."""
    command = parser()
    arguments = command.parse_args(argv)
    sources = (arguments.prompt_file, arguments.prompts, arguments.novel, arguments.json_schema)
    if sources.count(STANDARD_INPUT) + arguments.interactive > 1:
        command.error(f"standard input ({STANDARD_INPUT}) can be read only once")
    for mode, names in (
        ("explain", TEXT_OPTIONS),
        ("raw", RAW_OPTIONS),
        ("interactive", SESSION_OPTIONS),
    ):
        changed = [name for name in names if getattr(arguments, name) != command.get_default(name)]
        if getattr(arguments, mode) and changed:
            command.error(f"{spell_option(Name(changed[0]))} has no effect with --{mode}")
        if getattr(arguments, mode) and mode != "explain" and len(arguments.temperature or ()) > 1:
            command.error(f"--{mode} uses one value of --temp")
    return arguments


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(PROG, "Generate text with a model and write it to standard output.", EXAMPLES)
    # MODEL must come first: after --temp, argparse takes it for another temperature.
    command.usage = "%(prog)s MODEL [OPTIONS]"
    add_model(command)
    command.add_argument("--list", action=PrintAndExit, text=list_models, help="list the bundled models")
    add_sampling(command)
    add_length(command)
    _add_prompts(command)
    command.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0, MAX_SEED),
        help="random seed (default: a new one; see --stats)",
    )
    _add_many_texts(command)
    command.add_argument(
        "--explain", action="store_true", help="print the probabilities of the next token instead of a text"
    )
    command.add_argument(
        "--interactive",
        action="store_true",
        help="continue lines of standard input; /help lists its commands",
    )
    add_engine(command)
    threads = whole_number(1, MAX_THREADS)
    command.add_argument(
        "--threads", metavar="N", type=threads, default=1, help="number of threads (default: 1)"
    )
    command.add_argument(
        "--stats", action="store_true", help="print the engine, seed and speed to standard error"
    )
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
    for parameter in sorted(PARAMETERS.values(), key=lambda parameter: parameter.order):
        add_parameter(groups[parameter.group], parameter)


def add_parameter(group: Any, parameter: Parameter, summary: str | None = None) -> None:
    """Add the option of a sampling parameter, perhaps with another summary of what it does."""
    usual, separator, details = respelled(parameter.help, spell_option).partition("; ")
    details = separator + details
    settings: dict[str, Any] = {"metavar": parameter.value, "type": escaped_text}
    if parameter.kind == "switch":
        settings = {"action": "store_true", "default": None}
    elif parameter.kind in {"number", "whole"}:
        kind = int if parameter.kind == "whole" else float
        settings["type"] = number(parameter.requirement, parameter.accepts, kind)
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
    if parameter.name == "temperature":
        settings["nargs"] = "+"
        details = f"; several values give one text each{details}"
    option = spell_option(Name(parameter.name))
    group.add_argument(option, dest=parameter.name, help=(summary or usual) + details, **settings)


def _bias(text: str) -> tuple[str, float]:
    """Parse ``C=X``. The character may be ``=`` itself."""
    parameter = PARAMETERS["logit_bias"]
    requirement = f"a character, = and {parameter.requirement}"
    symbol, _, value = text.rpartition("=")
    if not symbol:
        raise argparse.ArgumentTypeError(f"must be {requirement}, not {quote(text)}")
    return escaped_text(symbol), number(requirement, parameter.accepts)(value)


def add_length(command: argparse.ArgumentParser) -> None:
    """Add the option for the length of a text."""
    default = f"default: {DEFAULT_LENGTH}; {DEFAULT_RECORD_LENGTH:,} for a model of records"
    command.add_argument(
        "--length",
        metavar="N",
        type=whole_number(1),
        help=f"maximum number of tokens to generate ({default})",
    )


def add_count(command: argparse.ArgumentParser) -> None:
    """Add the option for the number of texts."""
    what = "number of texts for each temperature and prompt, or line (default: 1)"
    command.add_argument("--count", metavar="N", type=whole_number(1), default=1, help=what)


class OnlyPrompt(argparse.Action):
    """An option with one value, which cannot be given twice. argparse would keep only the last prompt."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *values: Any) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error("--prompt can be given only once: for several prompts, use --prompts with a file")
        setattr(namespace, self.dest, values[0])


def _add_prompts(command: argparse.ArgumentParser) -> None:
    """Add the options that select and convert the prompts."""
    prompt = command.add_mutually_exclusive_group()
    prompt.add_argument(
        "--prompt",
        metavar="TEXT",
        action=OnlyPrompt,
        help="text to continue (default: one stored in the model)",
    )
    prompt.add_argument(
        "--prompt-file", metavar="PATH", help="read the prompt from a file, or - for standard input"
    )
    prompt.add_argument(
        "--prompts",
        metavar="PATH",
        help="continue each line of a file, or of standard input (-), as a prompt",
    )
    command.add_argument("--no-echo", action="store_true", help="do not print the prompt")
    add_unknown(command, "characters of the prompt")
    add_lowercase(command, "the prompt, and the corpus of --novel,")


def _add_many_texts(command: argparse.ArgumentParser) -> None:
    """Add the options for several texts: how many, which, and in what form."""
    add_count(command)
    command.add_argument(
        "--unique",
        action="store_true",
        help="print no text twice, but draw another one, until "
        f"{MAX_REJECTED_IN_A_ROW:,} in a row are not new",
    )
    add_novel(command, "print no text that stands in CORPUS, but draw another one")
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--separator",
        metavar="TEXT",
        type=escaped_text,
        help="print TEXT between texts; \\n is a line end, \\t a tab, \\0 a zero byte and \\\\ a backslash",
    )
    form.add_argument(
        "--json", action="store_true", help="print each text with its properties as a line of JSON"
    )
    form.add_argument(
        "--raw", action="store_true", help="write the bytes of one text of a model of bytes, and nothing else"
    )


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
        sampling = Sampling(**options)
        return [sampling.replace(temperature=temperature) for temperature in temperatures]
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
