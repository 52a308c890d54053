"""``textgen-run --interactive``: continue typed lines, one after another, as one running text."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence

from textgen_runtime.errors import Name, TextgenError
from textgen_runtime.generation.model import Model
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.text.records import RecordKind

from ._interactive_commands import COMMAND_MARK, COMMANDS, LineError, parse_line
from ._interactive_console import Console
from ._interactive_interpreter import Interpreter
from ._interactive_pipe import Pipe
from ._interactive_session import Session
from ._interactive_settings import find_settings
from ._interactive_steps import Addition
from ._run_arguments import SEED, SESSION_OPTIONS, parser
from ._sampling_options import sampling_options, with_checked_stops
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
    """Carry out lines from standard input until its end.

    On a terminal, lines can be edited, and Ctrl-C stops only the current text.

    Args:
        arguments: The parsed arguments.
        samplings: The selected samplings. A session uses exactly one.
        model: The model.
        prompt: The text to continue before the first line, or None.
        seed: The seed of the random numbers.

    Returns:
        The exit code: 0, or 1 if a line from a pipe could not be carried out.
    """
    command = parser()
    check_options(command, arguments, samplings)
    settings = find_settings()
    (sampling,) = samplings
    session = Session(model, with_checked_stops(command.prog, model, sampling), seed)
    for option in SESSION_OPTIONS:
        value = seed if option is SEED else getattr(arguments, option.name)
        if value is not None:
            setattr(session, option.name, value)
    records = model.metadata.records
    console = open_console(command.prog, list(settings), echo=not arguments.no_echo, records=records)
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
    refused = ""
    while True:
        line = None
        try:
            line = console.read_line(refused)
            refused = ""
            if line is None or not interpreter.carry_out(line):
                return code
        except KeyboardInterrupt:
            if not console.is_terminal:
                raise
            refused = ""
        except MemoryError:
            console.report("not enough memory")
            code = EXIT_FAILED
        except TextgenError as error:
            if line is None and not isinstance(error, LineError):
                # Standard input cannot be read.
                raise
            console.report(error.spelled(spell_setting))
            code = EXIT_FAILED
            # A person gets a text back to change it. A command is typed again more easily.
            refused = line if line and isinstance(parse_line(line), str) else ""


def spell_setting(name: Name) -> str:
    """Return a parameter as a command of a session."""
    return spell_option(name).replace("--", COMMAND_MARK, 1)


def open_console(prog: str, settings: list[str], *, echo: bool, records: RecordKind | None) -> Console:
    """Return the terminal, or the pipe if standard input or output is not a terminal."""
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()):
        return Pipe(prog, echo=echo, records=records)
    # A pipe needs no line editing.
    from ._interactive_editor import Editor
    from ._interactive_history import History
    from ._interactive_paths import history_path
    from ._interactive_terminal import Terminal

    commands = [*(command.name for command in COMMANDS), *settings]
    return Terminal(Editor(History(history_path()), [f"/{name}" for name in commands]), echo=echo)


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


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Return a context in which Ctrl-C has an effect only where a ``DeferredInterrupts`` waits for it.

    Otherwise a second Ctrl-C, or one between two lines, would end the session.
    """
    original = signal.getsignal(signal.SIGINT)
    # An ignored signal stays ignored, and a handler of other code cannot be restored.
    if original in (signal.SIG_IGN, None):
        yield
        return
    # SIG_IGN would not be replaced by DeferredInterrupts.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, original)
