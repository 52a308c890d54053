"""The table of a constraint over the tokens of a vocabulary."""

from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, Protocol, TypeAlias

from textgen_runtime._core import MAX_STATES

from ._minimal import equal_states
from ._positions import TooComplexError

MAX_BYTES: Final = 16 << 20
# A limit on the characters that are read to build the table. One takes about a third of a microsecond.
MAX_WORK: Final = 2_000_000

# The state after each kind of token that is possible.
Row: TypeAlias = Mapping[int, int]


class CharacterAutomaton(Protocol):
    """A deterministic automaton that reads characters. State 0 is the start."""

    @property
    def classes(self) -> Mapping[str, int]:
        """The class of each character that some state can read."""
        ...

    @property
    def accepting(self) -> Sequence[bool]:
        """Whether a text may end, for each state that a row has returned, and for the start."""
        ...

    def row(self, state: int) -> Mapping[int, int]:
        """Return the state after each class that is possible."""
        ...


class TokenTable(NamedTuple):
    """A deterministic automaton that reads tokens. State 0 is the start. Every state can reach acceptance.

    Attributes:
        transitions: int16 [states x vocabulary]: the state after each token, or -1.
        accepting: [states]: whether a text may end.
        vocabulary_size: Number of tokens.
    """

    transitions: "array[int]"
    accepting: list[bool]
    vocabulary_size: int


def drawable_symbols(symbols: Sequence[str], excluded: Collection[int]) -> dict[int, str]:
    """Return the symbols that a text can consist of, by token: those that are not empty or excluded."""
    left_out = frozenset(excluded)
    return {token: symbol for token, symbol in enumerate(symbols) if symbol and token not in left_out}


def build_table(
    automaton: CharacterAutomaton, symbols: Sequence[str], drawable: Mapping[int, str]
) -> TokenTable | None:
    """Convert an automaton of characters to one of tokens.

    A token reads all characters of its symbol. The table is minimal. Its states are numbered in the order in
    which a breadth-first search finds them, with tokens in ascending order.

    Args:
        automaton: The automaton of characters.
        symbols: The texts of all tokens.
        drawable: The symbols that a text can consist of, by token.

    Returns:
        The table, or None if no text reaches acceptance.

    Raises:
        TooComplexError: If the table has more than ``MAX_STATES`` states or 16 MiB.
    """
    paths = _paths(automaton.classes, drawable)
    kinds = {path: kind for kind, path in enumerate(dict.fromkeys(paths.values()))}
    edges = _explore(automaton, kinds)
    useful = _useful_states(edges, [state for state in edges if automaton.accepting[state]])
    if 0 not in useful:
        return None
    targets, accepting = _minimize(edges, useful, automaton.accepting)
    size = len(symbols)
    if 2 * len(targets) * size > MAX_BYTES:
        raise TooComplexError(
            f"needs a table of {len(targets):,} states for {size:,} symbols, which would exceed "
            f"{MAX_BYTES >> 20} MiB"
        )
    # Tokens that are never allowed are of the kind after the last one.
    kind_of = [kinds[paths[token]] if token in paths else len(kinds) for token in range(size)]
    transitions = array("h")
    # With one index, itemgetter would return a number.
    expand = itemgetter(*kind_of, 0)
    for row in targets:
        dense = [-1] * (len(kinds) + 1)
        for kind, target in row.items():
            dense[kind] = target
        transitions.extend(expand(dense)[:size])
    return TokenTable(transitions, accepting, size)


def _paths(classes: Mapping[str, int], drawable: Mapping[int, str]) -> dict[int, tuple[int, ...]]:
    """Return the classes of the characters of each token. Tokens with other characters are missing."""
    return {
        token: tuple([classes[character] for character in symbol])
        for token, symbol in drawable.items()
        if all(character in classes for character in symbol)
    }


def common_length(left: Sequence[object], right: Sequence[object]) -> int:
    """Return how many entries two sequences have in common at their beginning."""
    for index, pair in enumerate(zip(left, right, strict=False)):
        if pair[0] != pair[1]:
            return index
    return min(len(left), len(right))


class _Tree:
    """The characters of all kinds of tokens, with common beginnings shared, in depth-first order.

    Attributes:
        roots: The first characters: their nodes by class.
        classes: [nodes]: the class of the character.
        depths: [nodes]: the number of characters before it.
        kinds: [nodes]: the kind of the token that ends here, or -1.
        ends: [nodes]: the next node that does not begin like this one.
    """

    def __init__(self, kinds: Mapping[tuple[int, ...], int]) -> None:
        self.roots: dict[int, int] = {}
        self.classes, self.depths, self.kinds = list[int](), list[int](), list[int]()
        self.ends: list[int] = []
        opened: list[int] = []
        latest: tuple[int, ...] = ()
        for path in sorted(kinds):
            common = common_length(latest, path)
            self._close(opened, common)
            for depth in range(common, len(path)):
                opened.append(len(self.ends))
                self.classes.append(path[depth])
                self.depths.append(depth)
                self.kinds.append(-1)
                self.ends.append(-1)
            self.kinds[-1] = kinds[path]
            self.roots.setdefault(path[0], opened[0])
            latest = path
        self._close(opened, 0)

    def _close(self, opened: list[int], kept: int) -> None:
        while len(opened) > kept:
            self.ends[opened.pop()] = len(self.ends)


def _explore(automaton: CharacterAutomaton, kinds: Mapping[tuple[int, ...], int]) -> dict[int, Row]:
    """Return the states that tokens can reach, in breadth-first order, with their rows."""
    tree = _Tree(kinds)
    edges: dict[int, Row] = {}
    found = {0}
    pending = [0]
    work = 0
    for state in pending:
        edges[state], steps = _row(automaton, state, tree)
        work += steps
        if work > MAX_WORK:
            raise TooComplexError("needs a table of states that is too large")
        for target in edges[state].values():
            if target not in found:
                if len(found) == MAX_STATES:
                    raise TooComplexError(f"needs more than {MAX_STATES:,} states")
                found.add(target)
                pending.append(target)
    return edges


def _row(automaton: CharacterAutomaton, state: int, tree: _Tree) -> tuple[Row, int]:
    """Return the state after each kind of token that is possible, and the number of characters read."""
    row = automaton.row(state)
    after: list[tuple[int, int]] = []
    steps = 0
    # The intersection takes the time of the smaller set.
    for root in row.keys() & tree.roots.keys():
        node = tree.roots[root]
        end = tree.ends[node]
        rows = [row]
        while node < end:
            steps += 1
            depth = tree.depths[node]
            target = rows[depth].get(tree.classes[node], -1)
            if target < 0:
                node = tree.ends[node]
                continue
            if tree.kinds[node] >= 0:
                after.append((tree.kinds[node], target))
            node += 1
            if node < end and tree.depths[node] > depth:
                rows[depth + 1 :] = [automaton.row(target)]
    after.sort()
    return dict(after), steps


def _useful_states(edges: Mapping[int, Row], accepting: Iterable[int]) -> set[int]:
    """Return the states from which acceptance can be reached."""
    sources: dict[int, list[int]] = {state: [] for state in edges}
    for state, row in edges.items():
        for target in set(row.values()):
            sources[target].append(state)
    pending = list(accepting)
    useful = set(pending)
    for state in pending:
        new = [source for source in sources[state] if source not in useful]
        useful.update(new)
        pending += new
    return useful


def _minimize(
    edges: Mapping[int, Row], useful: Collection[int], accepting: Sequence[bool]
) -> tuple[list[Row], list[bool]]:
    """Return the row of each state and whether it is accepting, with equal states merged.

    States are numbered in the order in which a breadth-first search finds them.
    """
    index = {state: index for index, state in enumerate(sorted(useful))}
    states = list(index)
    rows = [
        {kind: index[target] for kind, target in edges[state].items() if target in index} for state in states
    ]
    # States that allow other tokens are not equal.
    labels = [(accepting[state], tuple(row)) for state, row in zip(states, rows, strict=True)]
    group_of = equal_states([list(row.values()) for row in rows], labels)
    # The first state of each group, in breadth-first order.
    numbers = {group_of[0]: 0}
    order = [0]
    for state in order:
        for target in rows[state].values():
            if group_of[target] not in numbers:
                numbers[group_of[target]] = len(order)
                order.append(target)
    merged: list[Row] = [
        {kind: numbers[group_of[target]] for kind, target in rows[state].items()} for state in order
    ]
    return merged, [accepting[states[state]] for state in order]
