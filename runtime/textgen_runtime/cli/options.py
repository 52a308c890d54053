"""The options of ``textgen-run``, and the ``Sampling`` objects that they select.

Each parameter of ``runtime/core/parameters.def`` is an option. An interactive session has the same options as
settings. So a new parameter needs no change here, unless its kind is new.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from textgen_runtime._core import PARAMETERS
from textgen_runtime.controls import checked_stops
from textgen_runtime.errors import Name, SamplingError, quote
from textgen_runtime.files import STANDARD_INPUT, read_text
from textgen_runtime.model import DEFAULT_LENGTH, DEFAULT_RECORD_LENGTH, Model
from textgen_runtime.results import Parameter
from textgen_runtime.sampling import CONSTRAINTS, Sampling
from textgen_runtime.terminal import print_diagnostic

from .command import respelled, spell_option
from .parser import (
    MAX_SEED,
    MAX_THREADS,
    UNKNOWN_CHOICES,
    UNKNOWN_ERROR,
    CommandParser,
    PrintAndExit,
    add_engine,
    add_model,
    escaped_text,
    number,
    whole_number,
)
from .texts import MAX_REJECTED_IN_A_ROW

PROG = "textgen-run"

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


LENGTH = Option(
    "length",
    "N",
    "maximum number of tokens to generate",
    "; a token is usually one character "
    f"(default: {DEFAULT_LENGTH}; {DEFAULT_RECORD_LENGTH:,} for a model of records, which ends texts itself)",
    whole_number(1),
)
SEED = Option(
    "seed",
    "N",
    "random seed",
    "; the same seed gives the same text (default: a new seed, which --stats prints)",
    whole_number(0, MAX_SEED),
)
UNKNOWN = Option(
    "unknown",
    "",
    "what to do with characters of the prompt outside the vocabulary: skip removes them",
    f"; {UNKNOWN_ERROR}",
    choices=UNKNOWN_CHOICES,
)
LOWERCASE = Option(
    "lowercase",
    "",
    "convert the prompt to lower case, for a model without capital letters",
    "; with --novel, also the corpus",
    form=SWITCH,
)
COUNT = Option(
    "count",
    "N",
    "number of texts for each temperature and prompt, or for each line of --interactive",
    " (default: 1)",
    whole_number(1),
)
NOVEL = Option(
    "novel",
    "CORPUS",
    "print no text that stands in CORPUS, and draw another one instead",
    f", until {MAX_REJECTED_IN_A_ROW:,} in a row are not new; CORPUS is a UTF-8 file, a folder with "
    ".txt or .abc files, - for standard input, or the name of a corpus; a model of records compares complete "
    "records; --max-copy also limits the copied parts of a text",
)

# Those that can be changed in a session. Each is an attribute of `Session`. The corpus depends on LOWERCASE.
SESSION_OPTIONS = (LENGTH, SEED, COUNT, UNKNOWN, LOWERCASE, NOVEL)

# What has no effect without texts, and what has none on the bytes of one text.
RAW_OPTIONS = ("prompts", "count", "unique", "lowercase")
TEXT_OPTIONS = (
    *("length", "no_echo", "stop", "until_newline", "keep_stop", "resample", "max_copy", "count"),
    *("unique", "novel", "separator", "json", "raw", "stats", "prompts"),
)

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
    if arguments.explain:
        refuse(command, arguments, TEXT_OPTIONS, "--explain")
    if arguments.raw:
        refuse(command, arguments, RAW_OPTIONS, "--raw")
        if len(arguments.temperature or ()) > 1:
            command.error("--raw writes one text, and --temp has several values")
    return arguments


def refuse(command: CommandParser, arguments: argparse.Namespace, names: Iterable[str], mode: str) -> None:
    """End with a usage error if one of the arguments does not have its default."""
    for name in names:
        if getattr(arguments, name) != command.get_default(name):
            command.error(f"{spell_option(Name(name))} has no effect with {mode}")


def read_samplings(arguments: argparse.Namespace) -> Sequence[Sampling]:
    """Return the selected samplings, one per temperature.

    Parameters that contradict each other exit with a usage error.

    Raises:
        TextFileError: If the file of the JSON schema cannot be read.
    """
    options = _given(arguments, tuple(PARAMETERS))
    temperatures = options.pop("temperature", [PARAMETERS["temperature"].default])
    if arguments.until_newline:
        options["stop"] = [*options.get("stop", ()), NEWLINE]
    try:
        sampling = Sampling(**options)
        return [sampling.replace(temperature=temperature) for temperature in temperatures]
    except SamplingError as error:
        parser().error(error.spelled(spell_option))


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(PROG, "Generate text with a model and write it to standard output.", EXAMPLES)
    # MODEL must come first: after --temp, argparse takes it for another temperature.
    command.usage = "%(prog)s MODEL [OPTIONS]"
    add_model(command)
    command.add_argument(
        "--list",
        action=PrintAndExit,
        text=list_models,
        help="list the bundled models, each with a sample, and exit",
    )
    add_sampling(command)
    LENGTH.add_to(command)
    _add_prompts(command)
    SEED.add_to(command)
    _add_many_texts(command)
    command.add_argument(
        "--explain",
        action="store_true",
        help="print no text, but a bar chart of the probabilities of the character after the prompt, for "
        "each temperature (default temperatures: 0.2 0.5 1.0 1.2)",
    )
    command.add_argument(
        "--interactive",
        action="store_true",
        help="read line after line from standard input, and continue them as one running text; the line "
        "/help lists the commands",
    )
    add_engine(command)
    command.add_argument(
        "--threads",
        metavar="N",
        type=whole_number(1, MAX_THREADS),
        default=1,
        help="maximum number of threads; the native engine generates each text in one thread (default: 1)",
    )
    command.add_argument(
        "--stats",
        action="store_true",
        help="print the engine, seed, times and throughput to standard error",
    )
    return command


class OnlyPrompt(argparse.Action):
    """An option with one value, which cannot be given twice. argparse would keep only the last prompt."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *values: Any) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error("--prompt can be given only once: for several prompts, use --prompts with a file")
        setattr(namespace, self.dest, values[0])


def list_models() -> str:
    """Return the text of ``--list``."""
    from .bundled import describe_bundled

    return describe_bundled()


def _add_prompts(command: argparse.ArgumentParser) -> None:
    """Add the options that select and convert the prompts."""
    prompt = command.add_mutually_exclusive_group()
    prompt.add_argument(
        "--prompt",
        metavar="TEXT",
        action=OnlyPrompt,
        help="text to continue (default: a prompt stored in the model; a model of records starts a new "
        "record)",
    )
    prompt.add_argument(
        "--prompt-file",
        metavar="PATH",
        help="read the prompt from a UTF-8 file, or from standard input (-); a final line end is removed",
    )
    prompt.add_argument(
        "--prompts",
        metavar="PATH",
        help="continue each line of a UTF-8 file, or of standard input (-), as a prompt of its own; empty "
        "lines are skipped",
    )
    command.add_argument("--no-echo", action="store_true", help="do not print the prompt")
    UNKNOWN.add_to(command, "error")
    LOWERCASE.add_to(command, default=False)


def _add_many_texts(command: argparse.ArgumentParser) -> None:
    """Add the options for several texts: how many, which, and in what form."""
    COUNT.add_to(command, default=1)
    command.add_argument(
        "--unique",
        action="store_true",
        help="print each text only once; draw another text in place of a repeated one, and give up after "
        f"{MAX_REJECTED_IN_A_ROW:,} texts in a row that are not new",
    )
    NOVEL.add_to(command)
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--separator",
        metavar="TEXT",
        type=escaped_text,
        help="print TEXT between the texts in place of headings; in TEXT, \\n is a line end, \\t a tab, \\0 "
        "a zero byte and \\\\ a backslash; the output ends with \\0 if TEXT does, and otherwise with a line "
        "end",
    )
    form.add_argument(
        "--json",
        action="store_true",
        help="print each text as one line of JSON, with its prompt, seed, sampling parameters and ending",
    )
    form.add_argument(
        "--raw",
        action="store_true",
        help="write the bytes of one text and nothing else, for example to a .mid file; only for a model of "
        "bytes; --prompt-file may then be any file, and is read unchanged",
    )
