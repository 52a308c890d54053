"""``textgen-run --interactive``: continue typed lines, one after another, as one running text."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from textgen_runtime.errors import Name, TextgenError
from textgen_runtime.generation.model import Model
from textgen_runtime.generation.stop_warnings import checked_stops
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.system.console import escape_unprintable, terminal_columns
from textgen_runtime.system.interrupts import DeferredInterrupts, interrupts_ignored
from textgen_runtime.text.token_names import format_symbols

from ._interactive_console import Console, Place, open_console
from ._interactive_lines import (
    COMMAND_MARK,
    COMMANDS,
    Addition,
    CommandLine,
    LineError,
    count_unknown,
    no_argument,
    number_argument,
    parse_line,
    path_argument,
    unknown_command,
)
from ._interactive_session import Session
from ._interactive_settings import Setting, find_settings, help_on, help_overview
from ._output_files import check_overwrite
from ._run_arguments import SEED, SESSION_OPTIONS, parser
from ._sampling_options import sampling_options, temperature_warnings, with_checked_stops
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

# How much of the end of the text /show, /undo and /retry show.
SHOWN_TAIL = 60


class Interpreter:
    """Carries out lines, and shows their results.

    Args:
        session: The state that the lines change.
        console: Shows texts and answers.
        settings: The settings by name.
        prog: The name of the command.
    """

    def __init__(self, session: Session, console: Console, settings: dict[str, Setting], prog: str) -> None:
        self.session = session
        self._console = console
        self._settings = settings
        self._prog = prog
        # The method of the command more is _more.
        self._commands: dict[str, Callable[[CommandLine], None]] = {
            command.name: getattr(self, f"_{command.name}") for command in COMMANDS
        }

    def carry_out(self, line: str) -> bool:
        """Carry out a line.

        Returns:
            False if the line ends the session.

        Raises:
            TextgenError: If the line cannot be carried out. The session is then as it was before, or after
                the last character that was shown.
            KeyboardInterrupt: If Ctrl-C ended a text of a session without a person.
        """
        parsed = parse_line(line)
        if isinstance(parsed, str):
            self.continue_with(Addition(parsed))
        elif parsed.name in self._settings:
            self._set(parsed)
        elif parsed.name in self._commands:
            self._commands[parsed.name](parsed)
        else:
            raise unknown_command(parsed.name, [*self._commands, *self._settings])
        return isinstance(parsed, str) or parsed.name != "quit"

    def continue_with(self, addition: Addition) -> None:
        """Feed a line, and show it with its continuation, or with several."""
        opening = self.session.add(addition)
        self._warn_unknown(addition)
        if self.session.count == 1:
            self._show_continuation(opening, joined=addition.continues, replaces_line=True)
        else:
            self._show_alternatives(opening, replaces_line=True)

    def _show_alternatives(self, opening: str, *, replaces_line: bool) -> None:
        """Show the continuation that was begun, and others of the same line, unless Ctrl-C stops one."""
        last = self.session.alternatives + self.session.count - 1
        while True:
            number = self.session.alternatives
            before = self.session.text_before(opening)[-SHOWN_TAIL:]
            place = Place(number, last) if self.session.count > 1 else None
            is_complete = self._show_continuation(
                opening, joined=False, replaces_line=replaces_line, before=before, place=place
            )
            if number == last or not is_complete:
                return
            opening, replaces_line = self.session.retry(), False

    def _show_continuation(
        self,
        opening: str,
        *,
        joined: bool,
        replaces_line: bool,
        before: str = "",
        place: Place | None = None,
    ) -> bool:
        """Show a continuation as it is generated. Return False if Ctrl-C stopped it."""
        console, session = self._console, self.session
        interrupted = False
        with DeferredInterrupts() as interrupts:
            console.begin_text(
                opening, joined=joined, replaces_line=replaces_line, before=before, place=place
            )
            try:
                for chunk in session.chunks():
                    console.write(chunk)
                    interrupts.check()
            except KeyboardInterrupt:
                interrupted = True
            finally:
                console.write(session.stop())
                console.end_text(session.ending)
        if interrupted:
            if not console.is_terminal:
                raise KeyboardInterrupt
            console.confirm("stopped; an empty line goes on, /undo takes this text back")
        elif session.ending == "masked":
            console.confirm("no text without the mask of the constraint met it, so this one was masked")
        return not interrupted

    def _warn_unknown(self, addition: Addition) -> None:
        text = addition.text or ""
        unknown = count_unknown(self.session.model, text.lower() if self.session.lowercase else text)
        if unknown:
            effect = "skipped" if self.session.unknown == "skip" else "replaced by the unknown symbol"
            self._console.report(
                f"{effect}, not in the vocabulary: {format_symbols(sorted(unknown))}", "warning"
            )

    def _more(self, command: CommandLine) -> None:
        length = number_argument(command) if command.argument.strip() else None
        self.continue_with(Addition(length=length))

    def _append(self, command: CommandLine) -> None:
        if not command.argument:
            raise LineError("/append needs the text to add")
        self.continue_with(Addition(command.argument, joined=True))

    def _retry(self, command: CommandLine) -> None:
        no_argument(command)
        self._show_alternatives(self.session.retry(), replaces_line=False)

    def _pick(self, command: CommandLine) -> None:
        self.session.pick(number_argument(command))
        self._console.confirm(self._describe_text())

    def _undo(self, command: CommandLine) -> None:
        no_argument(command)
        self.session.undo()
        self._console.confirm(self._describe_text())

    def _reset(self, command: CommandLine) -> None:
        no_argument(command)
        self.session.reset()
        self._console.confirm(self._describe_text())

    def _save(self, command: CommandLine) -> None:
        path = path_argument(command)
        check_overwrite("/save", path, "saved generation", self._prog, is_saved_generation)
        self.session.save(path)
        self._console.confirm(f"saved in {path}")

    def _load(self, command: CommandLine) -> None:
        path = path_argument(command)
        for warning in self.session.load(path):
            self._console.report(warning, "warning")
        self._console.confirm(f"loaded {path}")

    def _set(self, command: CommandLine) -> None:
        setting = self._settings[command.name]
        if not command.argument.strip():
            self._console.answer(f"{setting.line(self.session)}\n")
            return
        before = self.session.sampling
        setting.set(self.session, command.argument)
        sampling = self.session.sampling
        found: list[str] = []
        if sampling.stop != before.stop:
            found += checked_stops(sampling, self.session.model.metadata)[1]
        if sampling.temperature != before.temperature:
            found += temperature_warnings([sampling])
        for warning in found:
            self._console.report(warning, "warning")

    def _show(self, command: CommandLine) -> None:
        no_argument(command)
        shown = [setting for setting in self._settings.values() if setting.is_shown(self.session)]
        lines = [*(setting.line(self.session) for setting in shown), self._describe_text()]
        self._console.answer("".join(f"{line}\n" for line in lines))

    def _describe_text(self) -> str:
        generation, tail, _ = self.session.position
        if generation is None:
            return "there is no text; the next line begins one"
        if not tail:
            return f"the text began with: {escape_unprintable(generation.prompt[:SHOWN_TAIL])}"
        return f"the text ends: {escape_unprintable(tail[-SHOWN_TAIL:])}"

    def _help(self, command: CommandLine) -> None:
        name = command.argument.strip().removeprefix(COMMAND_MARK)
        overview = help_overview(self._settings.values(), terminal_columns())
        self._console.answer(help_on(name, self._settings) if name else overview)

    def _quit(self, command: CommandLine) -> None:
        no_argument(command)


def is_saved_generation(path: Path) -> bool:
    """Whether an existing file is a saved generation, which another one may replace."""
    from textgen_runtime.generation.saved_generation import MARK

    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK


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
    refused = ""
    while True:
        line, position = None, interpreter.session.position
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
            # A person gets back a text that was not read, to change it. A command is typed again more easily.
            is_unread = interpreter.session.position is position
            refused = line if line and is_unread and isinstance(parse_line(line), str) else ""


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
