"""The arguments of ``textgen-run``."""

import argparse
from collections.abc import Sequence
from typing import Any

from textgen_runtime.errors import SamplingError, quote
from textgen_runtime.model import DEFAULT_LENGTH, DEFAULT_RECORD_LENGTH
from textgen_runtime.sampling import Sampling
from textgen_runtime.system.file_content import STANDARD_INPUT

from ._sampling_options import SWITCH, Option, add_sampling, samplings
from ._text_selection import MAX_REJECTED_IN_A_ROW
from .command import spell_option
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
    whole_number,
)

PROG = "textgen-run"

PLOT_SUFFIXES = (".png", ".svg", ".pdf")
DEFAULT_PLOT = "temperature.png"

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

# Options that are about generated texts alone.
TEXT_OPTIONS = (
    "--length",
    "--no-echo",
    "--stop",
    "--until-newline",
    "--keep-stop",
    "--resample",
    "--max-copy",
    "--count",
    "--unique",
    "--novel",
    "--separator",
    "--json",
    "--raw",
    "--stats",
)

# Options for several texts.
SEVERAL_OPTIONS = ("--prompts", "--count", "--unique")

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
    if arguments.explain or arguments.plot:
        if arguments.prompts is not None:
            command.error("--explain and --plot show one prompt: use --prompt in place of --prompts")
        for option in given_options(command, arguments, TEXT_OPTIONS):
            command.error(f"{option} has no effect with --explain and --plot: omit it")
    if arguments.raw:
        for option in given_options(command, arguments, SEVERAL_OPTIONS):
            command.error(f"--raw writes one text, as the content of a file: omit {option}")
        if len(arguments.temperature or ()) > 1:
            command.error("--raw writes one text, as the content of a file: use one temperature")
        if arguments.lowercase:
            command.error("--raw feeds the bytes of the prompt unchanged: omit --lowercase")
    return arguments


def given_options(
    command: CommandParser, arguments: argparse.Namespace, options: Sequence[str]
) -> Sequence[str]:
    """Return those of the options that do not have their defaults."""
    names = {option: option.removeprefix("--").replace("-", "_") for option in options}
    return [option for option, name in names.items() if getattr(arguments, name) != command.get_default(name)]


def read_samplings(arguments: argparse.Namespace) -> Sequence[Sampling]:
    """Return the selected samplings, one per temperature.

    Parameters that contradict each other exit with a usage error.

    Raises:
        TextFileError: If the file of the JSON schema cannot be read.
    """
    try:
        return samplings(arguments)
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
        "--plot",
        metavar="PATH",
        type=plot_path,
        nargs="?",
        const=DEFAULT_PLOT,
        help="print no text, but write a figure to PATH, a .png, .svg or .pdf file; it shows the same "
        "probabilities as --explain; an existing file is replaced only if it is such a figure; requires "
        f"matplotlib (default PATH: {DEFAULT_PLOT}; default temperatures: 0.01 0.2 0.5 1.0 1.2 2.0)",
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
        help="print the engine, seed, times, throughput and mean entropy to standard error",
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
    from ._bundled_list import list_models

    return list_models()


def plot_path(text: str) -> str:
    """Check the suffix of the path of a figure; an argument type."""
    if not text.lower().endswith(PLOT_SUFFIXES):
        raise argparse.ArgumentTypeError(f"must end in .png, .svg or .pdf, not {quote(text)}")
    return text


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
