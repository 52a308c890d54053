"""Where the text of an interactive session stands, now and before each line."""

from typing import NamedTuple

from textgen_runtime.model import Generation
from textgen_runtime.model_file import Metadata
from textgen_runtime.text import SEPARATORS

from ._interactive_lines import Addition

# How many of the latest characters are kept at least, to show where the text ends.
TAIL_LENGTH = 200


class Position(NamedTuple):
    """Where the text stands.

    Attributes:
        generation: The generation; None if there is no text.
        tail: The end of the text, as the model has it; empty if it is not known. It has the record or line
            that is not complete, and at least ``TAIL_LENGTH`` characters of a longer text.
        is_cut: Whether the text has more before the tail, which is not known. A program can save such a text.
    """

    generation: Generation | None = None
    tail: str = ""
    is_cut: bool = False

    def extended(self, text: str, metadata: Metadata) -> "Position":
        """Return the position after a text that the generation has read or written."""
        tail = self.tail + text
        kept = max(TAIL_LENGTH, len(unfinished(tail, metadata)))
        return self._replace(tail=tail[-kept:])


def separator_of(metadata: Metadata) -> str:
    """Return what stands between two records, or between two lines of a model without records."""
    return "\n" if metadata.records is None else SEPARATORS[metadata.records]


def unfinished(tail: str, metadata: Metadata) -> str:
    """Return the record, or the line of a model without records, that the end of a text has begun.

    If the model has neither records nor line ends, the result is empty.
    """
    has_parts = metadata.records is not None or metadata.tokenizer.can_encode("\n")
    return tail.rpartition(separator_of(metadata))[2] if has_parts else ""


class Step(NamedTuple):
    """A line that was carried out.

    Attributes:
        before: The position before the line, to return to.
        addition: What the line added. None for a line that replaced the text.
    """

    before: Position
    addition: Addition | None


class RandomStream(NamedTuple):
    """A position in random numbers: how many were drawn of a substream of the seed."""

    seed: int
    substream: int = 0
    drawn: int = 0
