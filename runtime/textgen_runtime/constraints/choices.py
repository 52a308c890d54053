"""Compile lists of choices to constraints."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from textgen_runtime._core import Constraint
from textgen_runtime.errors import ConstraintError, quote
from textgen_runtime.text.token_names import format_symbols

from ._positions import TooComplexError
from ._token_table import build_table, common_length, drawable_symbols

# One table has at most 16 MiB.
MAX_CACHED: Final = 16
MAX_CHARACTERS: Final = 1_000_000
FEWER: Final = "use fewer or shorter choices"
# More than a table can have, because a token can read several characters.
MAX_CHARACTER_STATES: Final = 100_000


def compile_choices(
    choices: Sequence[str], symbols: Sequence[str], excluded: Collection[int] = ()
) -> Constraint:
    """Return the constraint that a whole text is one of some choices. The latest 16 results are cached.

    A choice may be empty, and it may be the beginning of another choice.

    Args:
        choices: The texts.
        symbols: The texts of all tokens. A token reads all characters of its text.
        excluded: Tokens that the constraint never allows. Tokens without a text are never allowed, either.

    Raises:
        ConstraintError: If there is no choice, if the vocabulary cannot make one, or if they are too long.
    """
    is_sequence = isinstance(choices, Sequence) and not isinstance(choices, str)
    if not is_sequence or not all(isinstance(choice, str) for choice in choices):
        raise ConstraintError(f"the choices must be a list of texts, not {quote(choices)}")
    if not choices:
        raise ConstraintError("the list of choices is empty: pass at least one text")
    return _compile(tuple(choices), tuple(symbols), frozenset(excluded))


@lru_cache(maxsize=MAX_CACHED)
def _compile(choices: tuple[str, ...], symbols: tuple[str, ...], excluded: frozenset[int]) -> Constraint:
    length = sum(map(len, choices))
    if length > MAX_CHARACTERS:
        raise ConstraintError(
            f"the choices have {length:,} characters together, and at most {MAX_CHARACTERS:,} are possible: "
            f"{FEWER}"
        )
    drawable = drawable_symbols(symbols, excluded)
    _check_choices(choices, set(drawable.values()))
    try:
        table = build_table(_Words(choices), symbols, drawable)
    except TooComplexError as error:
        raise ConstraintError(f"the list of choices {error}; {FEWER}") from None
    if table is None:
        raise AssertionError("the vocabulary can make every choice")
    return Constraint(table.transitions, table.accepting)


def _check_choices(choices: Iterable[str], symbols: set[str]) -> None:
    characters = set("".join(symbols))
    longest = max(map(len, symbols), default=0)
    for choice in choices:
        missing = sorted(set(choice) - characters)
        if missing:
            raise ConstraintError(
                f"the vocabulary cannot make the choice {quote(choice)}: it has no symbol for "
                f"{format_symbols(missing)}; change or omit the choice"
            )
        if not _can_make(choice, symbols, longest):
            raise ConstraintError(
                f"the vocabulary cannot make the choice {quote(choice)} of its symbols; change or omit it"
            )


def _can_make(text: str, symbols: set[str], longest: int) -> bool:
    """Return whether a text is a sequence of symbols."""
    if symbols.issuperset(text):
        return True
    reached = {0}
    for end in range(1, len(text) + 1):
        if any(
            start in reached and text[start:end] in symbols for start in range(max(0, end - longest), end)
        ):
            reached.add(end)
    return len(text) in reached


class _Words:
    """The minimal automaton of some texts.

    The texts are added in sorted order, and those with the same end share its states at once. So the memory
    depends on the result: Daciuk et al., "Incremental construction of minimal acyclic finite-state automata"
    (2000). The class of a character is its index in the alphabet of the texts. State 0 is the start.
    """

    def __init__(self, texts: Collection[str]) -> None:
        alphabet = sorted(set().union(*texts))
        self.classes: Mapping[str, int] = {character: index for index, character in enumerate(alphabet)}
        self.accepting = [False]
        self._children: list[dict[int, int]] = [{}]
        self._unused: list[int] = []
        self._same: dict[tuple[bool, tuple[tuple[int, int], ...]], int] = {}
        # The states of the latest text. The ends of earlier texts are shared already.
        path, latest = [0], ""
        for text in sorted(set(texts)):
            common = common_length(latest, text)
            self._share_end(path, latest, common)
            for character in text[common:]:
                path.append(self._add(path[-1], character))
            self.accepting[path[-1]] = True
            latest = text
        self._share_end(path, latest, 0)

    def row(self, state: int) -> Mapping[int, int]:
        """Return the state after each class that is possible."""
        return self._children[state]

    def _add(self, state: int, character: str) -> int:
        if self._unused:
            child = self._unused.pop()
            self.accepting[child], self._children[child] = False, {}
        else:
            child = len(self._children)
            if child == MAX_CHARACTER_STATES:
                raise TooComplexError(f"needs more than {MAX_CHARACTER_STATES:,} states")
            self.accepting.append(False)
            self._children.append({})
        self._children[state][self.classes[character]] = child
        return child

    def _share_end(self, path: list[int], text: str, kept: int) -> None:
        """Replace the states after ``kept`` characters of the latest text by equal ones."""
        while len(path) > kept + 1:
            state = path.pop()
            key = self.accepting[state], tuple(self._children[state].items())
            same = self._same.setdefault(key, state)
            if same != state:
                self._children[path[-1]][self.classes[text[len(path) - 1]]] = same
                self._unused.append(state)
