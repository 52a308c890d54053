"""Compile regular expressions to constraints."""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final

from textgen_runtime.errors import ConstraintError, quote
from textgen_runtime.sampling.automata import Constraint

from ._character_states import CharacterStates
from ._nodes import Atom
from ._parser import parse
from ._positions import Positions, TooComplexError
from ._token_table import build_table, drawable_symbols

# One table has at most 16 MiB.
MAX_CACHED: Final = 16
MAX_LISTED: Final = 5


def compile_regex(expression: str, symbols: Sequence[str], excluded: Collection[int] = ()) -> Constraint:
    """Return the constraint that a whole text matches an expression. The latest 16 results are cached.

    The syntax is that of Python's ``re``; docs/constraints.md lists what is not supported.

    Args:
        expression: The expression.
        symbols: The texts of all tokens. A token reads all characters of its text.
        excluded: Tokens that the constraint never allows. Tokens without a text are never allowed, either.

    Raises:
        ConstraintError: If the expression is malformed or too complex, or if no text of the vocabulary
            matches it.
    """
    if not isinstance(expression, str):
        raise ConstraintError(f"the expression must be a text, not {quote(expression)}")
    return _compile(expression, tuple(symbols), frozenset(excluded))


@lru_cache(maxsize=MAX_CACHED)
def _compile(expression: str, symbols: tuple[str, ...], excluded: frozenset[int]) -> Constraint:
    tree = parse(expression)
    drawable = drawable_symbols(symbols, excluded)
    alphabet = "".join(dict.fromkeys("".join(drawable.values())))
    try:
        states = CharacterStates(Positions(tree), alphabet)
        table = build_table(states, symbols, drawable)
    except TooComplexError as error:
        raise ConstraintError(f"the expression {quote(expression)} {error}; repeat less") from None
    if table is None:
        excludes = len(drawable) < sum(map(bool, symbols))
        reason = _why_nothing_matches(expression, states.unmatched, alphabet, excludes)
        raise ConstraintError(f"no text of the vocabulary matches the expression {quote(expression)}{reason}")
    return Constraint(table.transitions, table.accepting)


def _why_nothing_matches(expression: str, unmatched: Sequence[Atom], alphabet: str, excludes: bool) -> str:
    """Return the end of a message: the atoms that match no symbol, and a hint if only their case differs."""
    if not unmatched:
        return ""
    sources = [quote(expression[start:end]) for start, end in sorted(atom.span for atom in unmatched)]
    listed = ", ".join(sources[:MAX_LISTED]) + (" and more" if len(sources) > MAX_LISTED else "")
    ignoring_case = [re.compile(atom.text, atom.flags | re.IGNORECASE).search(alphabet) for atom in unmatched]
    hint = "; it has the other case: put (?i) at the start" if all(ignoring_case) else ""
    return f": it has no symbol {'that may be drawn ' if excludes else ''}for {listed}{hint}"
