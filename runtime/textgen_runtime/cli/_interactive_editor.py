"""Editing of typed lines with Python's readline module, if the platform has it."""

import sys
from collections.abc import Sequence
from typing import Any

from ._interactive_commands import LineError
from ._interactive_history import History
from ._interactive_paths import matching_paths

try:
    import readline
    import termios
except ImportError:
    # Windows, and interpreters that were built without it. The terminal's own editing remains.
    readline = None  # type: ignore[assignment]

# How /save and /load begin: a path follows.
PATH_COMMANDS = ("/save ", "/load ")


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
        self._prefill = ""
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

    def read(self, prompt: str, prefill: str = "") -> str | None:
        """Return the next line, or None at the end of the input.

        Args:
            prompt: What stands before the line.
            prefill: What the line contains at first.

        Raises:
            LineError: If the line cannot be decoded.
        """
        self._prefill = prefill
        try:
            line = input(prompt)
        except EOFError:
            return None
        except UnicodeDecodeError:
            raise LineError("the line is not in the encoding of the terminal: type it again") from None
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
        if self._prefill:
            readline.insert_text(self._prefill)

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
