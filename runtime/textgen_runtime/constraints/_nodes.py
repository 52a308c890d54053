"""The syntax tree of an expression."""

import re
from typing import NamedTuple, TypeAlias


class Atom(NamedTuple):
    """One character: a literal, an escape, a class or a dot.

    Attributes:
        text: An expression of ``re`` that matches one character.
        flags: The flags of ``re`` that apply to it.
        span: Where it begins and ends in the whole expression.
    """

    text: str
    flags: int
    span: tuple[int, int]

    def pattern(self) -> re.Pattern[str]:
        """Compile the atom. Raises ``re.error`` if it is not valid."""
        return re.compile(self.text, self.flags)

    def matched(self, alphabet: str) -> list[str]:
        """Return the characters of an alphabet that the atom matches."""
        if len(self.text) == 1 and self.text != "." and not self.flags & re.IGNORECASE:
            return [self.text] if self.text in alphabet else []
        return self.pattern().findall(alphabet)


class Anchor(NamedTuple):
    """The start or the end of the text, and where the anchor begins and ends in the whole expression."""

    at_start: bool
    span: tuple[int, int]


class Chain(NamedTuple):
    """Parts that follow one another; without parts, the empty text."""

    parts: "tuple[Node, ...]"


class Alternatives(NamedTuple):
    """Options, of which one must match."""

    options: "tuple[Node, ...]"


class Repeat(NamedTuple):
    """A part that occurs from ``least`` to ``most`` times; ``most`` is None if there is no limit."""

    body: "Node"
    least: int
    most: int | None


Node: TypeAlias = Atom | Anchor | Chain | Alternatives | Repeat
