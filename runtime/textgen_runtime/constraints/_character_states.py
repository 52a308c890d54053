"""The deterministic automaton of an expression over the characters of a vocabulary (subset construction).

A state is a set of positions, so the number of states can grow exponentially with the length of the
expression. Therefore states are computed when they are needed, and their number and the work are limited.
"""

from typing import Final

from ._positions import Positions, TooComplexError

# A limit on the positions and transitions that are visited. A visit takes about a microsecond.
MAX_WORK: Final = 300_000


class CharacterStates:
    """The deterministic automaton of an expression.

    State 0 is the start. Characters that match the same atoms belong to the same class.

    Args:
        positions: The position automaton of the expression.
        alphabet: The characters that texts consist of, each once.

    Attributes:
        classes: The class of each character. Characters that match no atom are missing.
        accepting: Whether a text may end, for each state.
        unmatched: The atoms that match no character of the alphabet, as they are written.

    Raises:
        TooComplexError: If the automaton exceeds the limits of this module; also raised by ``row``.
    """

    def __init__(self, positions: Positions, alphabet: str) -> None:
        self.accepting: list[bool] = []
        self._positions = positions
        self._work = 0
        self._find_classes(alphabet)
        self._following: list[int] = []
        self._states: dict[tuple[int, bool], int] = {}
        self._state_of: dict[int, int] = {}
        self._rows: dict[int, dict[int, int]] = {}
        self._add_start()

    def row(self, state: int) -> dict[int, int]:
        """Return the state after each class that is possible."""
        row = self._rows.get(state)
        if row is None:
            row = self._rows[state] = self._new_row(self._following[state])
        return row

    def _new_row(self, following: int) -> dict[int, int]:
        # An entry takes about a quarter of the time of a position.
        self._count_work(len(self._members) // 4)
        row = {}
        previous = state = 0
        for character_class, members in enumerate(self._members):
            entered = following & members
            if entered:
                # Most classes lead to the same positions. A comparison is faster than a hash.
                if entered != previous:
                    previous, state = entered, self._enter(entered)
                row[character_class] = state
        return row

    def _find_classes(self, alphabet: str) -> None:
        self.unmatched = []
        # The positions that each character can be read at.
        readable: dict[str, int] = {}
        for atom, positions in self._positions.occurrences.values():
            matched = atom.matched(alphabet)
            self._count_work(len(matched))
            if not matched:
                self.unmatched.append(atom)
            for character in matched:
                readable[character] = readable.get(character, 0) | positions
        self._members = list(dict.fromkeys(readable.values()))
        numbers = {members: number for number, members in enumerate(self._members)}
        self.classes = {character: numbers[members] for character, members in readable.items()}

    def _count_work(self, amount: int) -> None:
        self._work += amount
        if self._work > MAX_WORK:
            raise TooComplexError("needs a table of states that is too large")

    def _add_start(self) -> None:
        positions = self._positions
        whole = positions.whole
        following, passed = positions.pass_anchors(whole.first, positions.starts)
        _, ended = positions.pass_anchors(following, positions.starts | positions.ends)
        self._add(following, whole.nullable or bool((passed | ended) & whole.last))

    def _add(self, following: int, accepting: bool) -> int:
        # States with the same continuations are one state.
        state = self._states.setdefault((following, accepting), len(self._following))
        if state == len(self._following):
            self._following.append(following)
            self.accepting.append(accepting)
        return state

    def _enter(self, entered: int) -> int:
        state = self._state_of.get(entered)
        if state is None:
            self._count_work(entered.bit_count())
            positions = self._positions
            following = positions.after(entered)
            _, ended = positions.pass_anchors(following, positions.ends)
            accepting = bool((entered | ended) & positions.whole.last)
            state = self._state_of[entered] = self._add(following, accepting)
        return state
