"""Editing of typed lines with Python's readline module, if the platform has it; history and completion."""

import contextlib
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textgen_runtime.errors import OutputError
from textgen_runtime.system.files import replace_file

from ._interactive_lines import LineError, expand_home

try:
    import readline
    import termios
except ImportError:
    # Windows, and interpreters that were built without it. The terminal's own editing remains.
    readline = None  # type: ignore[assignment]

# How the commands begin that a path follows.
PATH_COMMANDS = ("/save ", "/load ", "/novel ", "/json-schema ")

MAX_LINES = 1000

FOLDER, HISTORY = "textgen-onnx", "interactive-history"


class History:
    """The typed lines of this session and earlier ones: a text file that only its owner can read.

    The file is read and written here, and not by readline: libedit, which replaces readline on macOS, writes
    another format. All failures are ignored, because a session must work without a history.

    Args:
        path: The file, or None for a history that is not kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self) -> list[str]:
        """Return the lines of earlier sessions, oldest first. Only ``MAX_LINES`` are kept."""
        if self._path is None or not self._path.is_file():
            return []
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
            if len(lines) > MAX_LINES:
                lines = lines[-MAX_LINES:]
                replace_file(self._path, "".join([f"{line}\n" for line in lines]).encode())
        except (OSError, OutputError):
            return []
        return lines

    def append(self, line: str) -> None:
        """Add a line to the file. Nothing that ends the session later can lose it."""
        if self._path is None or not line or "\n" in line:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # O_NONBLOCK: a named pipe without a reader would block.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
            descriptor = os.open(self._path, flags, 0o600)
            try:
                # A device, such as /dev/null, keeps its mode.
                if stat.S_ISREG(os.fstat(descriptor).st_mode) and hasattr(os, "fchmod"):
                    os.fchmod(descriptor, 0o600)
                os.write(descriptor, f"{line}\n".encode(errors="replace"))
            finally:
                os.close(descriptor)


class Editor:
    """Reads lines from a terminal, with editing, history and completion.

    Args:
        history: The lines of earlier sessions.
        commands: The commands, which the Tab key completes.
    """

    def __init__(self, history: History, commands: Sequence[str]) -> None:
        self._history = history
        self._commands = sorted(commands)
        self._matches: list[str] = []
        # The attributes of the terminal while readline reads.
        self._mode: list[Any] | None = None
        if readline is None:
            return
        readline.set_auto_history(False)
        for line in history.load():
            readline.add_history(line)
        readline.set_startup_hook(self._start_line)
        readline.set_completer(self._complete)
        # Paths and commands are completed as a whole.
        readline.set_completer_delims(" ")
        if "libedit" in (readline.__doc__ or ""):
            readline.parse_and_bind("bind ^I rl_complete")
        else:
            readline.parse_and_bind("tab: complete")
            # These settings of a user would change how many rows a line takes.
            readline.parse_and_bind("set horizontal-scroll-mode off")
            readline.parse_and_bind("set show-mode-in-prompt off")

    def read(self, prompt: str) -> str | None:
        """Return the next line, or None at the end of the input.

        Args:
            prompt: What stands before the line.

        Raises:
            LineError: If the line cannot be decoded.
        """
        try:
            line = input(prompt)
        except EOFError:
            return None
        except UnicodeDecodeError:
            raise LineError("the line is not in the encoding of the terminal: type it again") from None
        finally:
            # readline does not read any longer, and the terminal has its own mode again.
            self._mode = None
        if readline is not None and line:
            readline.add_history(line)
        self._history.append(line)
        return line

    def resume(self) -> str:
        """Continue to read after the process was suspended. Return what is typed so far.

        The shell has changed the terminal's mode, and readline does not notice it.
        """
        if readline is None or self._mode is None:
            return ""
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._mode)
        return readline.get_line_buffer()

    def _start_line(self) -> None:
        """Begin a line; readline calls this when it has set the terminal's mode."""
        self._mode = termios.tcgetattr(sys.stdin)

    def _complete(self, text: str, number: int) -> str | None:
        """Return a possible completion of the word before the cursor; readline's interface."""
        if number == 0:
            self._matches = self._find_matches(readline.get_line_buffer(), text)
        return self._matches[number] if number < len(self._matches) else None

    def _find_matches(self, line: str, word: str) -> list[str]:
        if line.startswith(PATH_COMMANDS):
            return matching_paths(word)
        if line.startswith("/") and " " not in line:
            return [f"{command} " for command in self._commands if command.startswith(word)]
        return []


def matching_paths(beginning: str) -> list[str]:
    """Return the paths of files and folders that begin so. Folders end in a slash."""
    folder, slash, name = beginning.rpartition("/")
    try:
        with os.scandir(expand_home(folder + slash)) as entries:
            found = [entry.name + "/" * entry.is_dir() for entry in entries if entry.name.startswith(name)]
    except OSError:
        return []
    return sorted([f"{folder}{slash}{entry}" for entry in found])


def history_path() -> Path | None:
    """Return the path of the history, or None if the platform has no place for it.

    The place is the state folder of the XDG Base Directory Specification: ``$XDG_STATE_HOME``, by default
    ``~/.local/state``. macOS and Windows have no such default.
    """
    folder = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The specification says to ignore relative paths.
    if not folder.is_absolute():
        folder = expand_home("~/.local/state")
        if sys.platform in ("darwin", "win32") or not folder.is_absolute():
            return None
    return folder / FOLDER / HISTORY
