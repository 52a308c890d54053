"""What an interactive session remembers of each line, to return to the position before it."""

from typing import NamedTuple

from textgen_runtime.generation.generation import Generation


class Addition(NamedTuple):
    """What a line adds to the text before the model continues it.

    Attributes:
        text: The typed text. None adds nothing.
        joined: Whether the text follows the text so far directly. Otherwise it begins a new line.
        length: Maximum number of tokens of the continuation. None for the length of the session.
    """

    text: str | None = None
    joined: bool = False
    length: int | None = None

    @property
    def continues(self) -> bool:
        """Whether the text so far is continued directly, without a line end."""
        return self.joined or self.text is None


class Position(NamedTuple):
    """Where the text stands.

    Attributes:
        generation: The generation; None if there is no text.
        tail: The end of the text, as the model has it; empty if it is not known.
    """

    generation: Generation | None = None
    tail: str = ""


class Step(NamedTuple):
    """A line that was carried out.

    Attributes:
        before: The position before the line, to return to.
        addition: What the line added. None for a line that replaced the text.
    """

    before: Position
    addition: Addition | None
