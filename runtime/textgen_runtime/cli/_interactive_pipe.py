"""An interactive session whose lines come from a pipe or a file, for scripts."""

import sys

from textgen_runtime.engines.base import TextEnding
from textgen_runtime.errors import TextFileError
from textgen_runtime.system.console import print_diagnostic, terminal_safe, write_stderr
from textgen_runtime.system.text_files import decode_utf8
from textgen_runtime.text.records import RecordKind

from ._interactive_commands import LineError


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
        self._has_empty_lines = records == "blank"
        self._is_after_record = False
        self._line_number = 0

    def read_line(self, prefill: str = "") -> str | None:  # noqa: ARG002 (a pipe cannot be edited)
        """Return the next line, or None at the end of the file. The encoding is UTF-8."""
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
        return line.removeprefix("\ufeff") if self._line_number == 1 else line

    def begin_text(self, opening: str, *, joined: bool, replaces_line: bool, before: str = "") -> None:  # noqa: ARG002 (for terminals)
        """Write the typed line, if it is echoed. After a record, an empty line may precede it."""
        separator = "\n" * (self._has_empty_lines and self._is_after_record)
        self.write(separator + (opening if self._echo else ""))

    def write(self, text: str) -> None:
        """Write a part of the generated text."""
        sys.stdout.write(terminal_safe(sys.stdout, text))

    def end_text(self, ending: TextEnding | None) -> None:
        """End the text with a line end. It is then visible to the reader of the pipe."""
        self._is_after_record = ending == "end"
        sys.stdout.write("\n")
        sys.stdout.flush()

    def answer(self, text: str) -> None:
        """Write to standard error."""
        write_stderr(terminal_safe(sys.stderr, text))

    def confirm(self, text: str) -> None:
        """Do nothing, because a script expects success."""

    def report(self, message: str, kind: str = "error") -> None:
        """Write a message with the number of its line to standard error."""
        print_diagnostic(self._prog, f"line {self._line_number}: {message}", kind)
