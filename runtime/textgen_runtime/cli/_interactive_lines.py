"""The lines of an interactive session: commands with their arguments, and texts."""

from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from textgen_runtime.errors import TextgenError, nearest_name, quote
from textgen_runtime.model import Model
from textgen_runtime.tokenizer import Tokenizer, UnknownPolicy, format_symbols

from .parser import whole_number

COMMAND_MARK = "/"

# How similar a mistyped name must be to a name, from 0 to 1, to be taken for it. Most names are short.
MIN_SIMILARITY = 0.5

QUOTES = "\"'"


class LineError(TextgenError):
    """A line of an interactive session cannot be carried out. The session goes on."""


class CommandLine(NamedTuple):
    """A typed command.

    Attributes:
        name: The name without the slash.
        argument: What follows the name and one space, as it was typed.
    """

    name: str
    argument: str


class Description(NamedTuple):
    """A command as ``/help`` lists it.

    Attributes:
        name: The name without the slash.
        argument: What follows the name, in capitals; in brackets if it can be omitted. Empty for nothing.
        summary: What the command does, in a few words.
    """

    name: str
    argument: str
    summary: str

    @property
    def usage(self) -> str:
        """The command as it is typed."""
        return f"{COMMAND_MARK}{self.name} {self.argument}".rstrip()


# The commands besides the settings. ``Interpreter`` has a method for each.
COMMANDS = (
    Description("more", "[N]", "continue the text, by N tokens; an empty line does the same"),
    Description("append", "TEXT", "add TEXT directly to the end of the text, and continue it"),
    Description("retry", "", "continue the latest line again, with new random numbers"),
    Description("pick", "N", "go on from continuation N of the latest line, from 1 on"),
    Description("undo", "", "take back the latest line and its continuation"),
    Description("reset", "", "begin a new text"),
    Description("save", "PATH", "save where the text stands"),
    Description("load", "PATH", "go on where a saved text stands"),
    Description("show", "", "show the settings and the end of the text"),
    Description("help", "[NAME]", "list the commands, or explain one of them"),
    Description("quit", "", "end the session, as Ctrl-D does"),
)


def parse_line(line: str) -> str | CommandLine:
    """Return the text to continue, or the command.

    An empty line is the command ``more``. Two slashes at the beginning stand for a text with one slash.
    """
    if not line:
        return CommandLine("more", "")
    if not line.startswith(COMMAND_MARK):
        return line
    if line.startswith(COMMAND_MARK * 2):
        return line.removeprefix(COMMAND_MARK)
    name, _, argument = line.removeprefix(COMMAND_MARK).partition(" ")
    return CommandLine(name, argument)


def unknown_command(name: str, known: Iterable[str]) -> LineError:
    """Return the error for a command that does not exist. It suggests the nearest name."""
    typed = quote(COMMAND_MARK + name)
    nearest = nearest_name(name, known, MIN_SIMILARITY)
    hint = f"did you mean {COMMAND_MARK}{nearest}?" if nearest else "/help lists the commands"
    return LineError(f"unknown command {typed}: {hint} (to continue a text with a slash, type //)")


def no_argument(command: CommandLine) -> None:
    """Check that a command has no argument.

    Raises:
        LineError: If it has one.
    """
    if command.argument.strip():
        raise LineError(f"/{command.name} takes no argument: type it alone on its line")


def number_argument(command: CommandLine) -> int:
    """Return the number, 1 or more, that a command has as its argument."""
    if not command.argument.strip():
        raise LineError(f"/{command.name} needs a number, such as /{command.name} 1")
    try:
        return whole_number(1)(command.argument)
    except ArgumentTypeError as error:
        raise LineError(f"/{command.name} {error}") from None


def path_argument(command: CommandLine) -> Path:
    """Return the path that a command has as its argument. It may be in quotes."""
    path = unquoted(command.argument)
    if not path:
        raise LineError(f"/{command.name} needs the path of a file")
    return expand_home(path)


def source_argument(argument: str) -> str:
    """Return the path, or the name of a corpus, that a command has as its argument. It may be in quotes."""
    source = unquoted(argument)
    # The path ./names would become names, which is the name of a corpus, and ./- would be standard input.
    return str(expand_home(source)) if source.startswith("~") else source


def unquoted(argument: str) -> str:
    """Return an argument without the spaces and the quotes around it."""
    text = argument.strip()
    is_quoted = len(text) > 1 and text[0] in QUOTES and text[0] == text[-1]
    return text[1:-1] if is_quoted else text


def expand_home(path: str) -> Path:
    """Return a typed path, with the home folder in place of ``~``."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        # There is no such user.
        return Path(path)


class Addition(NamedTuple):
    """What a line adds to the text before the model continues it.

    Attributes:
        text: The typed text. None adds nothing.
        joined: Whether the text follows the text so far directly. Otherwise it begins a new line.
        length: Maximum number of tokens of the continuation. None for the length of the session.
    """

    text: str | None = None
    joined: bool = False
    length: int | None = None

    @property
    def continues(self) -> bool:
        """Whether the text so far is continued directly, without a line end."""
        return self.joined or self.text is None


def count_unknown(model: Model, text: str) -> Counter[str]:
    """Count the typed characters outside the vocabulary."""
    return model.tokenizer.count_unknown(model.metadata.normalize(text))


def check_typed(model: Model, text: str, policy: UnknownPolicy) -> None:
    """Check that a typed text can be fed to the model.

    Raises:
        LineError: If it cannot.
    """
    unknown = count_unknown(model, text)
    if policy == "skip":
        if unknown.total() == len(model.metadata.normalize(text)):
            raise LineError("none of the line's characters is in the model's vocabulary: type another line")
    elif unknown and model.tokenizer.unknown is None:
        lower = "/lowercase on, or " if model.tokenizer.can_encode("".join(unknown).lower()) else ""
        raise LineError(
            f"not in the model's vocabulary: {format_symbols(sorted(unknown))}; change the line, or use "
            f"{lower}/unknown skip"
        )


def separator(tokenizer: Tokenizer, tail: str) -> str:
    """Return what separates a typed line from the text before it, which ends with ``tail``.

    Returns:
        A line end, or a space if the vocabulary has no line end. Empty if it has neither, or if the text ends
        with it.
    """
    for symbol in ("\n", " "):
        if tail.endswith(symbol):
            return ""
        if tokenizer.can_encode(symbol):
            return symbol
    return ""
