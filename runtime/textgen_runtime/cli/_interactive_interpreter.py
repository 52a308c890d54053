"""``Interpreter``: carries out the lines of an interactive session."""

from collections.abc import Callable
from pathlib import Path

from textgen_runtime.controls import checked_stops
from textgen_runtime.system.console import escape_unprintable, terminal_columns
from textgen_runtime.system.interrupts import DeferredInterrupts
from textgen_runtime.tokenizer import format_symbols

from ._interactive_console import Console, Place
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
from ._interactive_settings import Setting, help_on, help_overview
from ._output_files import check_overwrite
from ._sampling_options import temperature_warnings
from ._text_selection import novel_warnings

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
        before, model = self.session.sampling, self.session.model
        setting.set(self.session, command.argument)
        sampling = self.session.sampling
        found: list[str] = []
        if sampling.stop != before.stop:
            found += checked_stops(sampling, self.session.model.metadata)[1]
        if sampling.temperature != before.temperature:
            found += temperature_warnings([sampling])
        if self.session.model is not model:
            found += novel_warnings(self.session.model)
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
    from textgen_runtime.saved import MARK

    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK
