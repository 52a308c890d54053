"""``textgen-run --interactive``: continue typed lines, one after another, as one running text."""

import argparse
from collections.abc import Sequence

from textgen_runtime.errors import Name, TextgenError
from textgen_runtime.model import Model
from textgen_runtime.sampling import Sampling
from textgen_runtime.system.console import print_diagnostic
from textgen_runtime.system.interrupts import interrupts_ignored

from ._interactive_console import Console, open_console
from ._interactive_interpreter import Interpreter
from ._interactive_lines import COMMAND_MARK, COMMANDS, Addition, LineError
from ._interactive_session import Session
from ._interactive_settings import find_settings
from ._run_arguments import SEED, SESSION_OPTIONS, parser
from ._sampling_options import sampling_options, temperature_warnings, with_checked_stops
from ._text_selection import novel_warnings
from .command import EXIT_FAILED, spell_option
from .parser import CommandParser

# The options that have a meaning in a session, besides sampling.
OPTIONS = (
    *("interactive", "model", "prompt", "prompt_file", "no_echo", "engine", "threads"),
    *(option.name for option in SESSION_OPTIONS),
)

WELCOME = (
    "Type a text: the model continues it. Enter alone continues further.",
    "/help lists the commands, and Ctrl-D ends.",
)


def interact(
    arguments: argparse.Namespace,
    samplings: Sequence[Sampling],
    model: Model,
    prompt: str | None,
    seed: int,
) -> int:
    """Carry out lines from standard input until its end; return 1 if a line from a pipe could not be, else 0.

    On a terminal, lines can be edited, and Ctrl-C stops only the current text. The prompt is continued before
    the first line, unless it is None.
    """
    command = parser()
    check_options(command, arguments, samplings)
    settings = find_settings()
    (sampling,) = samplings
    session = Session(model, Sampling(), seed)
    for option in SESSION_OPTIONS:
        value = seed if option is SEED else getattr(arguments, option.name)
        if value is not None:
            setattr(session, option.name, value)
    for warning in (*temperature_warnings(samplings), *novel_warnings(session.model)):
        print_diagnostic(command.prog, warning, "warning")
    session.sampling = with_checked_stops(command.prog, model, sampling)
    records = model.metadata.records
    names = [f"{COMMAND_MARK}{name}" for name in (*(known.name for known in COMMANDS), *settings)]
    console = open_console(command.prog, names, echo=not arguments.no_echo, records=records)
    interpreter = Interpreter(session, console, settings, command.prog)
    if not console.is_terminal:
        return run_session(interpreter, console, prompt)
    with interrupts_ignored():
        for line in WELCOME:
            console.confirm(line)
        run_session(interpreter, console, prompt)
    return 0


def run_session(interpreter: Interpreter, console: Console, prompt: str | None) -> int:
    """Carry out all lines; return the exit code of a session from a pipe."""
    code = 0
    if prompt is not None:
        interpreter.continue_with(Addition(prompt))
    while True:
        line = None
        try:
            line = console.read_line()
            if line is None or not interpreter.carry_out(line):
                return code
        except KeyboardInterrupt:
            if not console.is_terminal:
                raise
        except MemoryError:
            console.report("not enough memory")
            code = EXIT_FAILED
        except TextgenError as error:
            if line is None and not isinstance(error, LineError):
                # Standard input cannot be read.
                raise
            console.report(error.spelled(spell_setting))
            code = EXIT_FAILED


def spell_setting(name: Name) -> str:
    """Return a parameter as a command of a session."""
    return spell_option(name).replace("--", COMMAND_MARK, 1)


def check_options(
    command: CommandParser, arguments: argparse.Namespace, samplings: Sequence[Sampling]
) -> None:
    """End with a usage error if an option has no meaning in a session."""
    if len(samplings) != 1:
        command.error("--interactive uses one value of each sampling option: change it in the session")
    known = {*OPTIONS, *(option.name for options in sampling_options().values() for option in options)}
    for name, value in vars(arguments).items():
        if name not in known and value != command.get_default(name):
            command.error(f"{spell_option(Name(name))} has no effect with --interactive: omit it")
