"""What an interactive session needs of the terminal or the pipe that it talks to."""

from typing import Protocol

from textgen_runtime.engines.base import TextEnding


class Console(Protocol):
    """Where lines come from and texts go to."""

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads the texts and answers them."""
        ...

    def read_line(self, prefill: str = "") -> str | None:
        """Return the next line without its line end, or None if there are no more lines.

        Args:
            prefill: What the line contains before anything is typed, if lines can be edited.

        Raises:
            KeyboardInterrupt: After Ctrl-C on a terminal.
            LineError: If the line is not a text. The next call returns the next line.
            TextFileError: If lines cannot be read.
        """
        ...

    def begin_text(self, opening: str, *, joined: bool, replaces_line: bool, before: str = "") -> None:
        """Begin to show a text.

        Args:
            opening: The text before the generated text, such as the typed line.
            joined: Whether the text continues the latest one directly.
            replaces_line: Whether the text is the answer to the latest line, and can be shown in its place.
            before: What a person sees again before the opening: the end of the text that is continued.
        """
        ...

    def write(self, text: str) -> None:
        """Show a part of the generated text."""
        ...

    def end_text(self, ending: TextEnding | None) -> None:
        """End the text.

        Args:
            ending: Why it ended, or None if it was stopped.
        """
        ...

    def answer(self, text: str) -> None:
        """Show the answer to a command, which is not a part of the text."""
        ...

    def confirm(self, text: str) -> None:
        """Tell a person, but not a program, that a command succeeded."""
        ...

    def report(self, message: str, kind: str = "error") -> None:
        """Show a message as one line.

        Args:
            message: The message.
            kind: "error" or "warning".
        """
        ...
