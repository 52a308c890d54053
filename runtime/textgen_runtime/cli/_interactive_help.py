"""What ``/help`` says in an interactive session."""

from collections.abc import Collection

from ._interactive_commands import COMMANDS, Description, unknown_command
from ._interactive_settings import Setting

# The columns of the left part of the list of commands, and the least columns of both parts.
USAGE_WIDTH, MIN_WIDTH = 20, 50

INTRODUCTION = (
    "A line is a text that the model continues. An empty line continues further. Ctrl-C stops a text. "
    "// begins a text with a slash. /help NAME tells more about a command."
)

SAMPLING = "Sampling options, as on the command line. The value off restores the default:"


def help_overview(settings: Collection[Setting], columns: int) -> str:
    """Return the list of all commands, in lines of at most this many columns."""
    # Imported here because most sessions do not need it.
    from textwrap import TextWrapper

    width = max(columns - 1, MIN_WIDTH)
    plain = TextWrapper(width, break_on_hyphens=False)
    indented = TextWrapper(width, subsequent_indent=" " * USAGE_WIDTH, break_on_hyphens=False)
    described = [*COMMANDS, *(setting.description for setting in settings if not setting.is_sampling)]
    sampling = [setting.description.usage for setting in settings if setting.is_sampling]
    lines = plain.wrap(INTRODUCTION)
    for found in described:
        lines += indented.wrap(f"{found.usage:<{USAGE_WIDTH - 1}} {found.summary}")
    lines += plain.wrap(SAMPLING)
    # A usage must not be split between lines.
    usages = plain.wrap("   ".join([usage.replace(" ", "\0") for usage in sampling]))
    lines += [line.replace("\0", " ") for line in usages]
    return "".join([f"{line}\n" for line in lines])


def help_on(name: str, settings: dict[str, Setting]) -> str:
    """Return the explanation of one command.

    Raises:
        LineError: If there is no such command.
    """
    if name in settings:
        return f"{settings[name].help}\n"
    commands = {command.name: command for command in COMMANDS}
    if name not in commands:
        raise unknown_command(name, [*commands, *settings])
    found: Description = commands[name]
    return f"{found.usage}: {found.summary}\n"
