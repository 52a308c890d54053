"""The table of a constraint over the tokens of a vocabulary."""

from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

from ._minimal import equal_states
from ._positions import TooComplexError

# States are numbers of type int16.
MAX_STATES: Final = 32_767
MAX_BYTES: Final = 16 << 20


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

    def row(self, state: int) -> Sequence[int]:
        """Return the state after each class, or -1."""
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
        TooComplexError: If the table has more than 32,767 states or 16 MiB.
    """
    paths = _paths(automaton.classes, drawable)
    kinds = {path: kind for kind, path in enumerate(dict.fromkeys(paths.values()))}
    edges = _explore(automaton, list(kinds))
    useful = _useful_states(edges, [state for state in edges if automaton.accepting[state]])
    if 0 not in useful:
        return None
    targets, accepting = _minimize(edges, useful, automaton.accepting)
    size = len(symbols)
    if 2 * len(targets) * size > MAX_BYTES:
        too_large = f"the table would exceed {MAX_BYTES >> 20} MiB"
        raise TooComplexError(f"needs {len(targets):,} states for {size:,} symbols; {too_large}")
    # Tokens that are never allowed are of the kind after the last one.
    kind_of = [kinds[paths[token]] if token in paths else len(kinds) for token in range(size)]
    transitions = array("h")
    # With one index, itemgetter would return a number.
    expand = itemgetter(*kind_of, 0)
    for row in targets:
        transitions.extend(expand([*row, -1])[:size])
    return TokenTable(transitions, accepting, size)


def _paths(classes: Mapping[str, int], drawable: Mapping[int, str]) -> dict[int, tuple[int, ...]]:
    """Return the classes of the characters of each token. Tokens with other characters are missing."""
    return {
        token: tuple([classes[character] for character in symbol])
        for token, symbol in drawable.items()
        if all(character in classes for character in symbol)
    }


def _explore(automaton: CharacterAutomaton, paths: Sequence[tuple[int, ...]]) -> dict[int, list[int]]:
    """Return the states that tokens can reach, in breadth-first order, with the state after each path."""
    edges: dict[int, list[int]] = {}
    found = {0: None}
    pending = [0]
    for state in pending:
        row = automaton.row(state)
        targets = [row[path[0]] if len(path) == 1 else _walk(automaton, state, path) for path in paths]
        edges[state] = targets
        for target in targets:
            if target not in found and target >= 0:
                if len(found) == MAX_STATES:
                    raise TooComplexError(f"needs more than {MAX_STATES:,} states")
                found[target] = None
                pending.append(target)
    return edges


def _walk(automaton: CharacterAutomaton, state: int, path: Sequence[int]) -> int:
    for character_class in path:
        state = automaton.row(state)[character_class]
        if state < 0:
            break
    return state


def _useful_states(edges: Mapping[int, Sequence[int]], accepting: Iterable[int]) -> set[int]:
    """Return the states from which acceptance can be reached."""
    sources: dict[int, list[int]] = {state: [] for state in edges}
    for state, targets in edges.items():
        for target in set(targets):
            if target >= 0:
                sources[target].append(state)
    pending = list(accepting)
    useful = set(pending)
    for state in pending:
        new = [source for source in sources[state] if source not in useful]
        useful.update(new)
        pending += new
    return useful


def _minimize(
    edges: Mapping[int, Sequence[int]], useful: Collection[int], accepting: Sequence[bool]
) -> tuple[list[list[int]], list[bool]]:
    """Return the targets of each state and whether it is accepting, with equal states merged.

    States are numbered in the order in which a breadth-first search finds them.
    """
    index = {state: index for index, state in enumerate(sorted(useful))}
    states = list(index)
    targets = [[index.get(target, -1) for target in edges[state]] for state in states]
    group_of = equal_states(targets, [accepting[state] for state in states])
    # The first state of each group, in breadth-first order.
    numbers = {group_of[0]: 0}
    order = [0]
    for state in order:
        for target in targets[state]:
            if target >= 0 and group_of[target] not in numbers:
                numbers[group_of[target]] = len(order)
                order.append(target)
    merged = [
        [numbers[group_of[target]] if target >= 0 else -1 for target in targets[state]] for state in order
    ]
    return merged, [accepting[states[state]] for state in order]
