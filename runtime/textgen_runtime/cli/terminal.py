"""What an interactive session reads from and writes to: a pipe, for scripts, or a terminal, for a person."""

import contextlib
import os
import signal
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from textgen_runtime.errors import OutputError, TextFileError, TextgenError
from textgen_runtime.files import BYTE_ORDER_MARK, decode_utf8, replace_file
from textgen_runtime.interrupts import DeferredInterrupts
from textgen_runtime.results import TextEnding
from textgen_runtime.terminal import (
    escape_unprintable,
    print_diagnostic,
    terminal_safe,
    terminal_size,
    write_stderr,
)
from textgen_runtime.text import RecordKind

from .output import FLUSH_SECONDS
from .word_wrap import WordWrap

try:
    import readline
    import termios
except ImportError:
    # Windows, and interpreters that were built without it. The terminal's own editing remains.
    readline = None  # type: ignore[assignment]

PROMPT = "> "

BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[22m"

# How the commands begin that a path follows.
PATH_COMMANDS = ("/save ", "/load ", "/novel ", "/json-schema ")

# The lines that are kept of earlier sessions.
MAX_LINES = 1000


class LineError(TextgenError):
    """A line of an interactive session cannot be carried out. The session goes on."""


class Pipe:
    """Reads lines from standard input. Texts go to standard output, all else to standard error.

    Args:
        prog: The name of the command, for messages.
        echo: Whether to write the typed line before its continuation.
        records: The records of the model. Kind ``"blank"`` has an empty line between two of them.
    """

    is_terminal = False

    def __init__(self, prog: str, *, echo: bool, records: RecordKind | None = None) -> None:
        self._prog, self._echo, self._records = prog, echo, records
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

    def begin_text(self, opening: str, place: tuple[int, int] | None) -> None:
        """Begin to show a text.

        Args:
            opening: The text before the generated text, such as the typed line.
            place: Which of several continuations of a line it is: its number and the last one.
        """
        separator = "\n" * (self._records == "blank" and self._is_after_record)
        heading = "------ text {} of {}\n".format(*place) if place and self._records is None else ""
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

    A line is edited with Python's readline module, if the platform has it. The text that the model got stands
    below the line, in bold, with its continuation, broken between words.

    Args:
        echo: Whether the typed line is shown before its continuation.
        commands: The commands, which the Tab key completes.
    """

    is_terminal = True

    def __init__(self, commands: Sequence[str], *, echo: bool) -> None:
        self._commands, self._echo = sorted(commands), echo
        is_plain = os.name != "posix" or os.environ.get("TERM", "dumb") in ("", "dumb")
        self._has_styles = not (is_plain or os.environ.get("NO_COLOR"))
        self._wrap = WordWrap(lambda: terminal_size()[0])
        self._flushed = 0.0
        self._history = history_path()
        # The attributes of the terminal while readline reads.
        self._mode: list[Any] | None = None
        self._matches: list[str] = []
        if readline is None:
            return
        readline.set_auto_history(False)
        for line in load_history(self._history):
            readline.add_history(line)
        readline.set_startup_hook(self._start_line)
        readline.set_completer(self._complete)
        # Paths and commands are completed as a whole.
        readline.set_completer_delims(" ")
        is_libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")
        signal.signal(signal.SIGCONT, self._resume)

    def read_line(self) -> str | None:
        """Let the person edit a line; None after Ctrl-D, and KeyboardInterrupt after Ctrl-C."""
        sys.stdout.flush()
        try:
            with DeferredInterrupts() as interrupts, interrupts.immediate():
                line = input(PROMPT)
        except KeyboardInterrupt:
            self._print("\n")
            raise
        except EOFError:
            self._print("\n")
            return None
        except UnicodeDecodeError:
            raise LineError("the line is not in the encoding of the terminal") from None
        finally:
            self._mode = None
        if line:
            if readline is not None:
                readline.add_history(line)
            append_history(self._history, line)
        return line

    def begin_text(self, opening: str, place: tuple[int, int] | None) -> None:
        self._wrap = WordWrap(lambda: terminal_size()[0])
        number = self._styled(DIM, f"{place[0]}  ") if place else ""
        shown = terminal_safe(sys.stdout, opening if self._echo else "")
        self._print(self._wrap.add(number + (self._styled(BOLD, shown) if shown else "")))

    def write(self, text: str) -> None:
        sys.stdout.write(self._wrap.add(terminal_safe(sys.stdout, text)))
        now = perf_counter()
        if now - self._flushed >= FLUSH_SECONDS:
            sys.stdout.flush()
            self._flushed = now

    def end_text(self, ending: TextEnding | None) -> None:
        """End the row of the text, so that the next line begins in its own row."""
        rest = self._wrap.flush()
        # A text that was stopped has ^C in its row.
        self._print(rest + "\n" * (ending is None or self._wrap.column > 0))

    def answer(self, text: str) -> None:
        self._print(terminal_safe(sys.stdout, text))

    def confirm(self, text: str) -> None:
        """Show a remark, less prominently than the text."""
        self._print(self._styled(DIM, terminal_safe(sys.stdout, text)) + "\n")

    def report(self, message: str, kind: str = "error") -> None:  # noqa: ARG002 (evident to a person)
        self.answer(f"{escape_unprintable(message)}\n")

    def _styled(self, style: str, text: str) -> str:
        return f"{style}{text}{PLAIN}" if self._has_styles else text

    @staticmethod
    def _print(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _start_line(self) -> None:
        """Begin a line; readline calls this when it has set the terminal's mode."""
        self._mode = termios.tcgetattr(sys.stdin)

    def _resume(self, *_: object) -> None:
        """Go on after Ctrl-Z and the shell's ``fg``, which readline does not notice."""
        if self._mode is not None:
            # The shell has changed the terminal's mode.
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._mode)
            self._print(PROMPT + readline.get_line_buffer())

    def _complete(self, word: str, number: int) -> str | None:
        """Return a possible completion of the word before the cursor; readline's interface."""
        if number == 0:
            line = readline.get_line_buffer()
            if line.startswith(PATH_COMMANDS):
                self._matches = matching_paths(word)
            elif line.startswith("/") and " " not in line:
                self._matches = [f"{command} " for command in self._commands if command.startswith(word)]
            else:
                self._matches = []
        return self._matches[number] if number < len(self._matches) else None


Console = Pipe | Terminal


def open_console(prog: str, commands: Sequence[str], *, echo: bool, records: RecordKind | None) -> Console:
    """Return the terminal, or the pipe if standard input or output is not a terminal."""
    if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        return Terminal(commands, echo=echo)
    return Pipe(prog, echo=echo, records=records)


def expand_home(path: str) -> Path:
    """Return a typed path, with the home folder in place of ``~``."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        # There is no such user.
        return Path(path)


def matching_paths(beginning: str) -> list[str]:
    """Return the paths of files and folders that begin so. Folders end in a slash."""
    folder, slash, name = beginning.rpartition("/")
    try:
        found = sorted(expand_home(folder + slash).iterdir())
    except OSError:
        return []
    return [
        f"{folder}{slash}{path.name}{'/' * path.is_dir()}" for path in found if path.name.startswith(name)
    ]


def history_path() -> Path | None:
    """Return the path of the typed lines, or None if the platform has no place for them.

    The place is the state folder of the XDG Base Directory Specification: ``$XDG_STATE_HOME``, by default
    ``~/.local/state``. macOS and Windows have no such default.
    """
    folder = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The specification says to ignore relative paths.
    if not folder.is_absolute():
        folder = expand_home("~/.local/state")
        if sys.platform in ("darwin", "win32") or not folder.is_absolute():
            return None
    return folder / "textgen-onnx" / "interactive-history"


def load_history(path: Path | None) -> list[str]:
    """Return the latest lines of earlier sessions, oldest first. A session works without them."""
    if path is None or not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        if len(lines) > MAX_LINES:
            lines = lines[-MAX_LINES:]
            replace_file(path, "".join([f"{line}\n" for line in lines]).encode())
    except (OSError, OutputError):
        return []
    return lines


def append_history(path: Path | None, line: str) -> None:
    """Add a line to the file, which only its owner can read. A session works without it."""
    if path is None or "\n" in line:
        return
    # libedit, which replaces readline on macOS, writes another format than readline.
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # O_NONBLOCK: a named pipe without a reader would block.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            # A device, such as /dev/null, keeps its mode.
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o600)
            os.write(descriptor, f"{line}\n".encode(errors="replace"))
        finally:
            os.close(descriptor)
