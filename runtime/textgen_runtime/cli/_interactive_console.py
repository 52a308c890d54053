"""What an interactive session reads from and writes to: a pipe, for scripts, or a terminal, for a person."""

import os
import signal
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from textgen_runtime.cli.word_wrap import WordWrap, rows_of
from textgen_runtime.errors import TextFileError
from textgen_runtime.results import TextEnding
from textgen_runtime.system.console import (
    escape_unprintable,
    print_diagnostic,
    terminal_safe,
    terminal_size,
    write_stderr,
)
from textgen_runtime.system.file_content import BYTE_ORDER_MARK, decode_utf8
from textgen_runtime.system.interrupts import DeferredInterrupts
from textgen_runtime.text import RecordKind

from ._interactive_lines import LineError
from ._written_texts import FLUSH_SECONDS

if TYPE_CHECKING:
    from ._interactive_editor import Editor

PROMPT = "> "

BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[22m"
CLEAR_BELOW = "\x1b[J"


def terminal_width() -> int:
    """Return the columns of the terminal, or 0 if they are unknown."""
    return terminal_size()[0]


class Place(NamedTuple):
    """Which of several continuations of a line a text is.

    Attributes:
        number: Its number, from 1.
        last: The number of the last one that is shown with it.
    """

    number: int
    last: int


class Pipe:
    """Reads lines from standard input. Texts go to standard output, all else to standard error.

    Args:
        prog: The name of the command, for messages.
        echo: Whether to write the typed line before its continuation.
        records: The records of the model. Kind ``"blank"`` has an empty line between two of them.
    """

    is_terminal = False

    def __init__(self, prog: str, *, echo: bool, records: RecordKind | None = None) -> None:
        self._prog = prog
        self._echo = echo
        self._has_headings = records is None
        self._has_empty_lines = records == "blank"
        self._is_after_record = False
        self._line_number = 0

    def read_line(self) -> str | None:
        """Return the next line without its line end, or None if there are no more lines.

        Raises:
            LineError: If the line is not a text. The next call returns the next line.
            TextFileError: If lines cannot be read.
        """
        if sys.stdin is None:
            raise TextFileError("cannot read standard input: it is closed")
        try:
            content = sys.stdin.buffer.readline()
        except OSError as error:
            raise TextFileError(f"cannot read standard input: {error.strerror or error}") from None
        if not content:
            return None
        self._line_number += 1
        try:
            line = decode_utf8(content.removesuffix(b"\n").removesuffix(b"\r"), "the line")
        except TextFileError as error:
            raise LineError(*error.args) from None
        return line.removeprefix(BYTE_ORDER_MARK) if self._line_number == 1 else line

    def begin_text(
        self,
        opening: str,
        *,
        joined: bool,  # noqa: ARG002 (for terminals)
        replaces_line: bool,  # noqa: ARG002
        before: str = "",  # noqa: ARG002
        place: Place | None = None,
    ) -> None:
        """Begin to show a text. In a pipe, an empty line may precede it after a record.

        Args:
            opening: The text before the generated text, such as the typed line.
            joined: Whether the text continues the latest one directly.
            replaces_line: Whether the text is the answer to the latest line, and can be shown in its place.
            before: What a person sees again before the opening: the end of the text that is continued.
            place: Which of several texts this is. For a program, records have no headings, as in
                ``textgen-run``.
        """
        separator = "\n" * (self._has_empty_lines and self._is_after_record)
        heading = f"------ text {place.number} of {place.last}\n" if place and self._has_headings else ""
        self.write(separator + heading + (opening if self._echo else ""))

    def write(self, text: str) -> None:
        """Show a part of the generated text."""
        sys.stdout.write(terminal_safe(sys.stdout, text))

    def end_text(self, ending: TextEnding | None) -> None:
        """End the text, which has this ending, or None if it was stopped. All of it is then visible."""
        self._is_after_record = ending == "end"
        sys.stdout.write("\n")
        sys.stdout.flush()

    def answer(self, text: str) -> None:
        """Show the answer to a command, which is not a part of the text."""
        write_stderr(terminal_safe(sys.stderr, text))

    def confirm(self, text: str) -> None:
        """Tell a person, but not a program, that a command succeeded."""

    def report(self, message: str, kind: str = "error") -> None:
        """Show an error or a warning as one line, here with the number of the line that it is about."""
        print_diagnostic(self._prog, f"line {self._line_number}: {message}", kind)


class Terminal:
    """Talks to a person; the methods are those of ``Pipe``.

    The text that the model got replaces the typed line, in bold, and its continuation follows directly.
    If the line adds directly to the text, the text goes on where it ended. The screen then shows the running
    text as the model has it, broken between words. Without cursor movement, the text begins below the line.

    Args:
        editor: Reads lines.
        echo: Whether typed lines are part of the shown text.
    """

    is_terminal = True

    def __init__(self, editor: "Editor", *, echo: bool) -> None:
        self._editor = editor
        self._echo = echo
        self._can_move = os.name == "posix" and os.environ.get("TERM", "dumb") not in ("", "dumb")
        self._has_styles = self._can_move and not os.environ.get("NO_COLOR")
        # The rows of the latest line, if it is directly above the cursor and can be erased.
        self._typed_rows: int | None = None
        # Whether the cursor is directly below a text that can go on where it ended, and whether the latest
        # line was typed there.
        self._is_below_text = self._was_below_text = False
        self._wrap = WordWrap(terminal_width)
        self._flushed = 0.0
        self._is_reading = False
        if hasattr(signal, "SIGCONT"):
            signal.signal(signal.SIGCONT, self._resume)

    def read_line(self) -> str | None:
        """Let the person edit a line; None after Ctrl-D, and KeyboardInterrupt after Ctrl-C."""
        self._typed_rows = None
        self._was_below_text, self._is_below_text = self._is_below_text, False
        sys.stdout.flush()
        self._is_reading = True
        try:
            with DeferredInterrupts() as interrupts, interrupts.immediate():
                line = self._editor.read(PROMPT)
        except KeyboardInterrupt:
            self._print("\n")
            raise
        finally:
            self._is_reading = False
        if line is None:
            self._print("\n")
            return None
        if self._can_move:
            self._typed_rows = rows_of(PROMPT + line, *terminal_size())
        return line

    def begin_text(
        self,
        opening: str,
        *,
        joined: bool,
        replaces_line: bool,
        before: str = "",
        place: Place | None = None,
    ) -> None:
        """Show a text in the place of the typed line, or below it."""
        # It stands between `before` and the continuation, so that these two are never shown as one text.
        opening = terminal_safe(sys.stdout, opening if self._echo or before else "")
        before = terminal_safe(sys.stdout, before)
        rows = self._typed_rows if replaces_line and (self._echo or joined) else None
        goes_on = rows is not None and joined and self._was_below_text and self._wrap.is_certain
        if not goes_on:
            self._wrap = WordWrap(terminal_width)
        if rows is not None:
            # The last word is shown again, because it can become too long for its row.
            column = self._wrap.column
            self._print(f"\x1b[{rows + goes_on}A" + f"\x1b[{column}C" * (column > 0) + CLEAR_BELOW)
        number = self._styled(DIM, f"{place.number}  ") if place else ""
        self._show(number + before + (self._styled(BOLD, opening) if opening else ""))
        sys.stdout.flush()

    def write(self, text: str) -> None:
        self._show(terminal_safe(sys.stdout, text))
        now = perf_counter()
        if now - self._flushed >= FLUSH_SECONDS:
            sys.stdout.flush()
            self._flushed = now

    def end_text(self, ending: TextEnding | None) -> None:
        """End the row of the text, so that the next line begins in its own row."""
        sys.stdout.write(self._wrap.show_word())
        is_row_empty = self._wrap.is_row_empty
        # A text that was stopped has ^C in its row.
        if ending is None or not is_row_empty:
            sys.stdout.write("\n")
        # After another ending, a later text does not go on where this one ended.
        self._is_below_text = ending == "length" and not is_row_empty
        sys.stdout.flush()

    def answer(self, text: str) -> None:
        self._print_below(terminal_safe(sys.stdout, text))

    def confirm(self, text: str) -> None:
        """Show a remark, less prominently than the text."""
        self._print_below(self._styled(DIM, terminal_safe(sys.stdout, text)) + "\n")

    def report(self, message: str, kind: str = "error") -> None:  # noqa: ARG002 (evident to a person)
        self.answer(f"{escape_unprintable(message)}\n")

    def _resume(self, *_: object) -> None:
        """Handle the signal after Ctrl-Z and the shell's ``fg``: the shell has written below the text."""
        self._wrap.begin_row(is_certain=False)
        if self._is_reading:
            # readline does not show its line again.
            self._print(PROMPT + self._editor.resume())

    def _styled(self, style: str, text: str) -> str:
        return f"{style}{text}{PLAIN}" if self._has_styles else text

    def _print_below(self, text: str) -> None:
        """Print something that remains below the line or the text."""
        self._typed_rows = None
        self._is_below_text = False
        self._print(text)

    def _print(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _show(self, text: str) -> None:
        """Show a text with styles, except for its last word, which is held back."""
        sys.stdout.write(self._wrap.add(text))


Console = Pipe | Terminal


def open_console(prog: str, commands: Sequence[str], *, echo: bool, records: RecordKind | None) -> Console:
    """Return the terminal, or the pipe if standard input or output is not a terminal."""
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()):
        return Pipe(prog, echo=echo, records=records)
    # A pipe needs no line editing.
    from ._interactive_editor import Editor, History, history_path

    return Terminal(Editor(History(history_path()), commands), echo=echo)
