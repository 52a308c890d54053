"""The position automaton of an expression (Glushkov, "The abstract theory of automata", 1961).

A position is one occurrence of an atom or an anchor after counted repetitions are written out. The automaton
is in position p after it has read the character of p. Sets of positions are integers: bit p stands for
position p.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ._parser import Alternatives, Anchor, Atom, Chain, Node, Repeat

MAX_POSITIONS: Final = 10_000
# A limit on the nodes and edges that are built, which bounds the time and the memory.
MAX_WORK: Final = 200_000


class TooComplexError(Exception):
    """An automaton exceeds a limit. The message continues a sentence about an expression."""


class Fragment(NamedTuple):
    """The positions of a part of an expression.

    Attributes:
        nullable: Whether the part matches the empty text.
        first: The positions that can be the first ones.
        last: The positions that can be the last ones.
    """

    nullable: bool
    first: int
    last: int


EMPTY: Final = Fragment(nullable=True, first=0, last=0)


def bits(positions: int) -> Iterator[int]:
    """Yield the members of a set of positions."""
    while positions:
        lowest = positions & -positions
        yield lowest.bit_length() - 1
        positions ^= lowest


class Positions:
    """The position automaton of an expression.

    Args:
        node: The syntax tree of the expression.

    Attributes:
        whole: The positions of the whole expression.
        follow: For each position, the positions that can follow it.
        occurrences: The positions of each atom. Equal atoms are listed once.
        starts: The positions of anchors at the start of the text.
        ends: The positions of anchors at the end of the text.

    Raises:
        TooComplexError: If the automaton is too large.
    """

    def __init__(self, node: Node) -> None:
        self.follow: list[int] = []
        self.occurrences: dict[tuple[str, int], tuple[Atom, int]] = {}
        self.starts = self.ends = 0
        self._work = 0
        self.whole = self._build(node)

    def pass_anchors(self, reachable: int, anchors: int) -> tuple[int, int]:
        """Add what can be reached through anchors that hold, without reading a character.

        Args:
            reachable: A set of next positions.
            anchors: The anchors that hold here.

        Returns:
            The extended set, and the anchors in it that hold.
        """
        passed = 0
        while new := reachable & anchors & ~passed:
            passed |= new
            reachable |= self.after(new)
        return reachable, passed

    def after(self, positions: int) -> int:
        """Return the positions that can follow any of these."""
        following = 0
        for position in bits(positions):
            following |= self.follow[position]
        return following

    def _build(self, node: Node) -> Fragment:
        self._count_work(1)
        match node:
            case Atom():
                return self._atom(node)
            case Anchor(at_start):
                position = self._add()
                if at_start:
                    self.starts |= position
                else:
                    self.ends |= position
                return Fragment(nullable=False, first=position, last=position)
            case Chain(parts):
                return self._chain(self._build(part) for part in reversed(parts))
            case Alternatives(options):
                return self._alternatives([self._build(option) for option in options])
            case Repeat():
                return self._repeat(node)

    def _add(self) -> int:
        if len(self.follow) == MAX_POSITIONS:
            raise TooComplexError(
                f"has more than {MAX_POSITIONS:,} characters and classes after its counted repetitions are "
                "written out"
            )
        self.follow.append(0)
        return 1 << (len(self.follow) - 1)

    def _count_work(self, amount: int) -> None:
        self._work += amount
        if self._work > MAX_WORK:
            raise TooComplexError("has nested repetitions that expand to too many parts")

    def _atom(self, atom: Atom) -> Fragment:
        position = self._add()
        first, positions = self.occurrences.get((atom.text, atom.flags), (atom, 0))
        self.occurrences[atom.text, atom.flags] = first, positions | position
        return Fragment(nullable=False, first=position, last=position)

    def _connect(self, sources: int, targets: int) -> None:
        self._count_work(sources.bit_count())
        for position in bits(sources):
            self.follow[position] |= targets

    def _chain(self, reversed_parts: Iterable[Fragment]) -> Fragment:
        # Started at the end, the work grows with the length. Started at the beginning, it would grow with the
        # square of the length if the parts are optional.
        tail = EMPTY
        for part in reversed_parts:
            tail = self._join(part, tail)
        return tail

    def _join(self, left: Fragment, right: Fragment) -> Fragment:
        self._connect(left.last, right.first)
        return Fragment(
            left.nullable and right.nullable,
            left.first | (right.first if left.nullable else 0),
            right.last | (left.last if right.nullable else 0),
        )

    @staticmethod
    def _alternatives(options: list[Fragment]) -> Fragment:
        nullable, first, last = EMPTY._replace(nullable=False)
        for option in options:
            nullable, first, last = nullable or option.nullable, first | option.first, last | option.last
        return Fragment(nullable, first, last)

    def _repeat(self, node: Repeat) -> Fragment:
        before = len(self.follow)
        if node.most is None:
            # x{n,} is n - 1 times x, then x+.
            tail = self._build(node.body)
            self._connect(tail.last, tail.first)
            tail = tail._replace(nullable=tail.nullable or node.least == 0)
            optional, required = 0, max(node.least - 1, 0)
        else:
            tail, optional, required = EMPTY, node.most - node.least, node.least
        # x{2,4} is xx(x(x)?)?.
        for copy in range(optional + required):
            if copy and len(self.follow) == before:
                # The body reads no character, so more copies change nothing.
                break
            tail = self._join(self._build(node.body), tail)
            if copy < optional:
                tail = tail._replace(nullable=True)
        return tail
