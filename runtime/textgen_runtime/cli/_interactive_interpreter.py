"""Carrying out the lines of an interactive session."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

from textgen_runtime.generation.stop_warnings import checked_stops
from textgen_runtime.system.console import terminal_columns
from textgen_runtime.system.interrupts import DeferredInterrupts
from textgen_runtime.text.symbols import format_symbols

from ._interactive_commands import (
    COMMAND_MARK,
    CommandLine,
    LineError,
    no_argument,
    parse_line,
    unknown_command,
)
from ._interactive_console import Console
from ._interactive_help import help_on, help_overview
from ._interactive_paths import expand_home
from ._interactive_session import Session
from ._interactive_settings import Setting
from ._interactive_steps import Addition
from ._interactive_typing import count_unknown
from ._interactive_words import QUOTES
from ._output_files import check_overwrite
from ._readable import escape_unprintable
from ._sampling_options import temperature_warnings
from .parser import whole_number

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
        self._commands: dict[str, Callable[[CommandLine], None]] = {
            "more": self._more,
            "append": self._append,
            "retry": self._retry,
            "undo": self._undo,
            "reset": self._reset,
            "save": self._save,
            "load": self._load,
            "show": self._show,
            "help": self._help,
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
        elif parsed.name == "quit":
            no_argument(parsed)
            return False
        elif parsed.name in self._settings:
            self._set(parsed)
        elif parsed.name in self._commands:
            self._commands[parsed.name](parsed)
        else:
            raise unknown_command(parsed.name, [*self._commands, "quit", *self._settings])
        return True

    def continue_with(self, addition: Addition) -> None:
        """Feed a line, and show it with its continuation."""
        opening = self.session.add(addition)
        self._warn_unknown(addition)
        self._show_continuation(opening, joined=addition.continues, replaces_line=True)

    def _show_continuation(
        self, opening: str, *, joined: bool, replaces_line: bool, before: str = ""
    ) -> None:
        console, session = self._console, self.session
        interrupted = False
        with DeferredInterrupts() as interrupts:
            console.begin_text(opening, joined=joined, replaces_line=replaces_line, before=before)
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

    def _warn_unknown(self, addition: Addition) -> None:
        text = addition.text or ""
        unknown = count_unknown(self.session.model, text.lower() if self.session.lowercase else text)
        if unknown:
            effect = "skipped" if self.session.unknown == "skip" else "replaced by the unknown symbol"
            self._console.report(
                f"{effect}, not in the vocabulary: {format_symbols(sorted(unknown))}", "warning"
            )

    def _more(self, command: CommandLine) -> None:
        length = parse_length(command) if command.argument.strip() else None
        self.continue_with(Addition(length=length))

    def _append(self, command: CommandLine) -> None:
        if not command.argument:
            raise LineError("/append needs the text to add")
        self.continue_with(Addition(command.argument, joined=True))

    def _retry(self, command: CommandLine) -> None:
        no_argument(command)
        opening = self.session.retry()
        before = self.session.text_before(opening)[-SHOWN_TAIL:]
        self._show_continuation(opening, joined=False, replaces_line=False, before=before)

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
        generation, tail = self.session.position
        if generation is None:
            return "there is no text; the next line begins one"
        if not tail:
            return f"the text began with: {escape_unprintable(generation.prompt[:SHOWN_TAIL])}"
        return f"the text ends: {escape_unprintable(tail[-SHOWN_TAIL:])}"

    def _help(self, command: CommandLine) -> None:
        name = command.argument.strip().removeprefix(COMMAND_MARK)
        overview = help_overview(self._settings.values(), terminal_columns())
        self._console.answer(help_on(name, self._settings) if name else overview)


def parse_length(command: CommandLine) -> int:
    """Return the number of tokens that a command has as its argument."""
    try:
        return whole_number(1)(command.argument)
    except ArgumentTypeError as error:
        raise LineError(f"/{command.name} {error}") from None


def path_argument(command: CommandLine) -> Path:
    """Return the path that a command has as its argument. It may be in quotes."""
    path = command.argument.strip()
    if path[:1] in QUOTES and len(path) > 1 and path[0] == path[-1]:
        path = path[1:-1]
    if not path:
        raise LineError(f"/{command.name} needs the path of a file")
    return expand_home(path)


def is_saved_generation(path: Path) -> bool:
    """Whether an existing file is a saved generation, which another one may replace."""
    from textgen_runtime.generation.saved_generation import MARK

    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK
