"""The lines of an interactive session: which are text, which are commands, and what commands there are."""

from collections.abc import Iterable
from typing import NamedTuple

from textgen_runtime.errors import TextgenError, quote
from textgen_runtime.system.nearest_name import nearest_name

COMMAND_MARK = "/"

# How similar a mistyped name must be to a name, from 0 to 1, to be taken for it. Most names are short.
MIN_SIMILARITY = 0.5


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


# The commands besides the settings.
COMMANDS = (
    Description("more", "[N]", "continue the text, by N tokens; an empty line does the same"),
    Description("append", "TEXT", "add TEXT directly to the end of the text, and continue it"),
    Description("retry", "", "continue the latest line again, with new random numbers"),
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
