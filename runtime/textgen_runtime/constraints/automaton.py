"""From the tree of an expression, or a list of texts, to the table of a constraint.

``Positions`` is the automaton of a tree whose states are occurrences of characters. ``ExpressionStates``
makes it deterministic, and ``Choices`` is the deterministic automaton of some texts. ``build_table`` turns
both into the minimal automaton over tokens, which depends only on the texts that match and on the vocabulary.
"""

from array import array
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from operator import itemgetter
from os.path import commonprefix
from typing import Any, Final, NamedTuple, TypeAlias

from textgen_runtime._core import MAX_STATES
from textgen_runtime.errors import ConstraintError

from .expression import Alternatives, Anchor, Atom, Chain, Node, Repeat

MAX_POSITIONS: Final = 10_000
# In microseconds, about.
MAX_WORK: Final = 1_000_000
MAX_BYTES: Final = 16 << 20
# In a row of ``Choices``: a text may end here.
END: Final = -1


class Work:
    """The work of a compilation, which is limited."""

    def __init__(self) -> None:
        self._left = MAX_WORK

    def spend(self, amount: int) -> None:
        """Raise ConstraintError if there is too much work."""
        self._left -= amount
        if self._left < 0:
            raise ConstraintError("it is too complex")


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
    """The position automaton of an expression (Glushkov, "The abstract theory of automata", 1961).

    A position is one occurrence of an atom or an anchor after counted repetitions are written out. Sets of
    positions are integers: bit p stands for position p.

    Attributes:
        whole: The positions of the whole expression.
        occurrences: The positions of each atom.
        starts: The positions of anchors at the start of the text.
        ends: The positions of anchors at the end of the text.
    """

    def __init__(self, node: Node, work: Work) -> None:
        self.occurrences: dict[Any, int] = {}
        # For each position, the positions that can follow it.
        self._follow: list[int] = []
        self._work = work
        self.whole = self._build(node)
        self.starts = self.occurrences.pop(Anchor(at_start=True), 0)
        self.ends = self.occurrences.pop(Anchor(at_start=False), 0)

    def after(self, positions: int) -> int:
        """Return the positions that can follow any of these."""
        following = 0
        for position in bits(positions):
            following |= self._follow[position]
        return following

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

    def _build(self, node: Node) -> Fragment:
        self._work.spend(5)
        match node:
            case Atom() | Anchor():
                if len(self._follow) == MAX_POSITIONS:
                    raise ConstraintError(
                        f"it has more than {MAX_POSITIONS:,} characters with its repetitions written out"
                    )
                position = 1 << len(self._follow)
                self._follow.append(0)
                self.occurrences[node] = self.occurrences.get(node, 0) | position
                return Fragment(nullable=False, first=position, last=position)
            case Chain(parts):
                # Joined from the end, the work grows with the length. Joined from the beginning, it would
                # grow with the square of the length if the parts are optional.
                tail = EMPTY
                for part in reversed([self._build(part) for part in parts]):
                    tail = self._join(part, tail)
                return tail
            case Alternatives(options):
                nullable, first, last = False, 0, 0
                for option in map(self._build, options):
                    nullable, first, last = (nullable or option[0], first | option[1], last | option[2])
                return Fragment(nullable, first, last)
            case Repeat():
                return self._repeat(node)

    def _connect(self, sources: int, targets: int) -> None:
        self._work.spend(5 * sources.bit_count())
        for position in bits(sources):
            self._follow[position] |= targets

    def _join(self, left: Fragment, right: Fragment) -> Fragment:
        self._connect(left.last, right.first)
        return Fragment(
            left.nullable and right.nullable,
            left.first | (right.first if left.nullable else 0),
            right.last | (left.last if right.nullable else 0),
        )

    def _repeat(self, node: Repeat) -> Fragment:
        before = len(self._follow)
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
            if copy and len(self._follow) == before:
                # The body reads no character, so more copies change nothing.
                break
            tail = self._join(self._build(node.body), tail)
            if copy < optional:
                tail = tail._replace(nullable=True)
        return tail


class ExpressionStates:
    """The deterministic automaton of an expression over the characters of an alphabet (subset construction).

    A state is a set of positions, so the number of states can grow exponentially with the length of the
    expression. Therefore states are computed when they are needed. Characters that match the same atoms
    belong to the same class.

    Attributes:
        classes: The class of each character that some atom matches.
        accepting: Whether a text may end, for each state.
        start: The first state.
        unmatched: The atoms that match no character of the alphabet, as they are written.
    """

    def __init__(self, positions: Positions, alphabet: str, work: Work) -> None:
        self._positions, self._work = positions, work
        self.unmatched: list[str] = []
        # The positions that each character can be read at.
        readable: dict[str, int] = {}
        for atom, occurrences in positions.occurrences.items():
            matched = atom.matched(alphabet)
            work.spend(len(matched))
            if not matched:
                self.unmatched.append(atom.text)
            for character in matched:
                readable[character] = readable.get(character, 0) | occurrences
        self._members = list(dict.fromkeys(readable.values()))
        numbers = {members: number for number, members in enumerate(self._members)}
        self.classes = {character: numbers[members] for character, members in readable.items()}
        self.accepting: list[bool] = []
        self._states: dict[tuple[int, bool], int] = {}
        self._state_of: dict[int, int] = {}
        self._rows: dict[int, dict[int, int]] = {}
        # For each state, the positions that can follow.
        self._following: list[int] = []
        whole = positions.whole
        following, passed = positions.pass_anchors(whole.first, positions.starts)
        _, ended = positions.pass_anchors(following, positions.starts | positions.ends)
        self.start = self._add(following, whole.nullable or bool((passed | ended) & whole.last))

    def row(self, state: int) -> dict[int, int]:
        """Return the state after each class that is possible."""
        row = self._rows.get(state)
        if row is None:
            # An entry takes about a quarter of a microsecond.
            self._work.spend(len(self._members))
            row = self._rows[state] = {}
            previous = target = 0
            for character_class, members in enumerate(self._members):
                entered = self._following[state] & members
                if entered:
                    # Most classes lead to the same positions. A comparison is faster than a hash.
                    if entered != previous:
                        previous, target = entered, self._enter(entered)
                    row[character_class] = target
        return row

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
            self._work.spend(3 * entered.bit_count())
            positions = self._positions
            following = positions.after(entered)
            _, ended = positions.pass_anchors(following, positions.ends)
            accepting = bool((entered | ended) & positions.whole.last)
            state = self._state_of[entered] = self._add(following, accepting)
        return state


class Choices:
    """The minimal automaton of some texts. Its attributes are those of ``ExpressionStates``.

    The texts are added in sorted order, and those with the same end share its states at once. So the memory
    depends on the result: Daciuk et al., "Incremental construction of minimal acyclic finite-state automata"
    (2000).
    """

    def __init__(self, texts: Collection[str], work: Work) -> None:
        self.classes = {character: ord(character) for character in set().union(*texts)}
        states: dict[tuple[tuple[int, int], ...], int] = {}
        # The states of the latest text, of which the next one may have the first ones.
        path: list[dict[int, int]] = [{}]
        ordered = sorted(set(texts))
        for text, next_text in zip(ordered, [*ordered[1:], ""], strict=True):
            path += [{} for _ in text[len(path) - 1 :]]
            path[-1][END] = END
            kept = len(commonprefix([text, next_text])) + 1  # noqa: RUF071 (of characters)
            while len(path) > kept:
                # A new state takes about a microsecond, and much memory.
                work.spend(10)
                row = tuple(path.pop().items())
                path[-1][ord(text[len(path) - 1])] = states.setdefault(row, len(states))
        self.start = states.setdefault(tuple(path[0].items()), len(states))
        self._rows = [dict(row) for row in states]
        self.accepting = [END in row for row in self._rows]

    def row(self, state: int) -> dict[int, int]:
        """Return the state after each class that is possible."""
        return self._rows[state]


# The state after each kind of token that is possible, or after each letter.
Row: TypeAlias = dict[int, int]


def build_table(
    automaton: ExpressionStates | Choices, symbols: Sequence[str], excluded: Collection[int], work: Work
) -> "tuple[array[int], list[bool]] | None":
    """Convert an automaton of characters to the minimal one of tokens.

    A token reads all characters of its symbol. The states are numbered in the order in which a breadth-first
    search finds them, with tokens in ascending order. Every state can reach acceptance.

    Args:
        automaton: The automaton of characters.
        symbols: The texts of all tokens.
        excluded: Tokens that are never allowed. Tokens without a text are never allowed, either.
        work: The limit of the work.

    Returns:
        The state after each token or -1, as int16 [states x vocabulary], and whether a text may end in each
        state. None if no text reaches acceptance.
    """
    classes = automaton.classes
    # Tokens whose characters belong to the same classes are of one kind.
    paths = {
        token: tuple([classes[character] for character in symbol])
        for token, symbol in enumerate(symbols)
        if symbol and token not in excluded and classes.keys() >= set(symbol)
    }
    kinds = {path: kind for kind, path in enumerate(dict.fromkeys(paths.values()))}
    rows = _useful_rows(_rows_of_kinds(automaton, kinds, work), automaton.accepting)
    if automaton.start not in rows:
        return None
    order, merged = _minimized(rows, automaton.accepting, automaton.start)
    size = len(symbols)
    if 2 * len(order) * size > MAX_BYTES:
        raise ConstraintError(f"its table of {len(order):,} states is larger than {MAX_BYTES >> 20} MiB")
    # Tokens that are never allowed are of the kind after the last one. With one index, itemgetter would
    # return a number.
    expand = itemgetter(*[kinds[paths[token]] if token in paths else len(kinds) for token in range(size)], 0)
    transitions = array("h")
    for row in merged:
        dense = [-1] * (len(kinds) + 1)
        for kind, target in row.items():
            dense[kind] = target
        transitions.extend(expand(dense)[:size])
    return transitions, [automaton.accepting[state] for state in order]


def _rows_of_kinds(
    automaton: ExpressionStates | Choices, kinds: Mapping[tuple[int, ...], int], work: Work
) -> dict[int, Row]:
    """Return the rows of all states that tokens can reach."""
    # The classes of all kinds, with common beginnings shared: the kind that ends there or -1, and the rest.
    tree: dict[int, Any] = {}
    for path, kind in kinds.items():
        branch = tree
        for character_class in path[:-1]:
            branch = branch.setdefault(character_class, [-1, {}])[1]
        branch.setdefault(path[-1], [-1, {}])[0] = kind

    def read(state: int, branch: dict[int, Any]) -> Iterator[tuple[int, int]]:
        row = automaton.row(state)
        # The intersection takes the time of the smaller set.
        for character_class in row.keys() & branch.keys():
            work.spend(1)
            kind, rest = branch[character_class]
            if kind >= 0:
                yield kind, row[character_class]
            if rest:
                yield from read(row[character_class], rest)

    rows: dict[int, Row] = {}
    found = {automaton.start}
    pending = [automaton.start]
    for state in pending:
        rows[state] = dict(sorted(read(state, tree)))
        new = set(rows[state].values()) - found
        found |= new
        pending += new
        if len(found) > MAX_STATES:
            raise ConstraintError(f"it needs more than {MAX_STATES:,} states")
    return rows


def _sources(rows: Mapping[int, Row]) -> dict[int, list[int]]:
    """Return the states that lead to each state."""
    sources: dict[int, list[int]] = {state: [] for state in rows}
    for state, row in rows.items():
        for target in set(row.values()):
            sources[target].append(state)
    return sources


def _useful_rows(rows: Mapping[int, Row], accepting: Sequence[bool]) -> dict[int, Row]:
    """Return the rows of the states from which acceptance can be reached."""
    sources = _sources(rows)
    pending = [state for state in rows if accepting[state]]
    useful = set(pending)
    for state in pending:
        new = [source for source in sources[state] if source not in useful]
        useful.update(new)
        pending += new
    return {
        state: {kind: target for kind, target in rows[state].items() if target in useful} for state in useful
    }


def _minimized(rows: Mapping[int, Row], accepting: Sequence[bool], start: int) -> tuple[list[int], list[Row]]:
    """Merge equal states. Return a state of each group, in breadth-first order, and their rows."""
    group_of = equal_states(rows, {state: (accepting[state], tuple(row)) for state, row in rows.items()})
    numbers = {group_of[start]: 0}
    order = [start]
    for state in order:
        for target in rows[state].values():
            if group_of[target] not in numbers:
                numbers[group_of[target]] = len(order)
                order.append(target)
    merged = [{kind: numbers[group_of[target]] for kind, target in rows[state].items()} for state in order]
    return order, merged


def equal_states(rows: Mapping[int, Row], labels: Mapping[int, Hashable]) -> dict[int, int]:
    """Return a number for each state. States from which the same texts match have the same number.

    States are split into groups until the states of each group lead to the same groups. Only states with a
    target that moved to another group are compared again, and the largest part of a group does not move.
    Therefore a state moves at most log2(states) times, as in Hopcroft, "An n log n algorithm for minimizing
    states in a finite automaton" (1971).

    Args:
        rows: For each state, the state after each letter. States with the same label have the same letters.
        labels: States with different labels are not equal.
    """
    sources = _sources(rows)
    by_label: dict[Hashable, set[int]] = {}
    for state, label in labels.items():
        by_label.setdefault(label, set()).add(state)
    members = list(by_label.values())
    group_of = {state: group for group, states in enumerate(members) for state in states}
    # The groups that the states of a group lead to. It is correct for all that need no new comparison.
    signatures: list[tuple[int, ...]] = [()] * len(members)
    pending: Collection[int] = rows.keys()
    while pending:
        compared: dict[int, dict[tuple[int, ...], set[int]]] = {}
        for state in pending:
            signature = tuple([group_of[target] for target in rows[state].values()])
            compared.setdefault(group_of[state], {}).setdefault(signature, set()).add(state)
        pending = set()
        for group, parts in compared.items():
            latest = signatures[group]
            unchanged = len(members[group]) - sum(map(len, parts.values()))
            if unchanged + len(parts.get(latest, ())) < max(map(len, parts.values())):
                if unchanged:
                    rest = members[group].difference(*parts.values())
                    parts[latest] = parts.get(latest, set()) | rest
                latest = max(parts, key=lambda signature: len(parts[signature]))
                signatures[group], members[group] = latest, parts.pop(latest)
            else:
                parts.pop(latest, None)
                members[group].difference_update(*parts.values())
            for signature, states in parts.items():
                group_of.update(dict.fromkeys(states, len(members)))
                members.append(states)
                signatures.append(signature)
                for state in states:
                    pending.update(sources[state])
    return group_of
