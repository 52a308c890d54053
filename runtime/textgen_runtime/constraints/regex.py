"""Compile regular expressions to constraints."""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Final

from textgen_runtime.errors import ConstraintError, quote
from textgen_runtime.sampling.automata import Constraint

from ._character_states import CharacterStates
from ._nodes import Atom
from ._parser import parse
from ._positions import Positions, TooComplexError
from ._schema_patterns import NOT_ESCAPED, as_written
from ._token_table import build_table, drawable_symbols

# One table has at most 16 MiB.
MAX_CACHED: Final = 16
MAX_LISTED: Final = 5


def compile_regex(
    expression: str, symbols: Sequence[str], excluded: Collection[int] = (), *, of_schema: bool = False
) -> Constraint:
    """Return the constraint that a whole text matches an expression. The latest 16 results are cached.

    The syntax is that of Python's ``re``; docs/constraints.md lists what is not supported.

    Args:
        expression: The expression.
        symbols: The texts of all tokens. A token reads all characters of its text.
        excluded: Tokens that the constraint never allows. Tokens without a text are never allowed, either.
        of_schema: Whether the expression is that of a JSON schema, which errors then name instead.

    Raises:
        ConstraintError: If the expression is malformed or too complex, or if no text of the vocabulary
            matches it.
    """
    if not isinstance(expression, str):
        raise ConstraintError(f"the expression must be a text, not {quote(expression)}")
    return _compile(expression, tuple(symbols), frozenset(excluded), of_schema)


@lru_cache(maxsize=MAX_CACHED)
def _compile(
    expression: str, symbols: tuple[str, ...], excluded: frozenset[int], of_schema: bool
) -> Constraint:
    title = "the JSON schema" if of_schema else f"the expression {quote(expression)}"
    try:
        tree = parse(expression)
    except ConstraintError:
        if of_schema:
            # It is well-formed and short enough.
            raise ConstraintError(f"{title} is nested too deeply") from None
        raise
    drawable = drawable_symbols(symbols, excluded)
    alphabet = "".join(dict.fromkeys("".join(drawable.values())))
    try:
        states = CharacterStates(Positions(tree), alphabet)
        table = build_table(states, symbols, drawable)
    except TooComplexError as error:
        raise ConstraintError(f"{title} {error}; repeat less") from None
    if table is None:
        excludes = len(drawable) < sum(map(bool, symbols))
        reason = _why_nothing_matches(expression, states.unmatched, alphabet, excludes, of_schema)
        raise ConstraintError(f"no text of the vocabulary matches {title}{reason}")
    return Constraint(table.transitions, table.accepting)


def _why_nothing_matches(
    expression: str, unmatched: Sequence[Atom], alphabet: str, excludes: bool, of_schema: bool
) -> str:
    """Return the end of a message: the atoms that match no symbol, and a hint where one helps."""
    if not unmatched:
        return ""
    sources = {expression[slice(*atom.span)]: atom for atom in sorted(unmatched, key=lambda atom: atom.span)}
    written = [*dict.fromkeys(map(as_written, sources) if of_schema else sources)]
    listed = ", ".join(map(quote, written[:MAX_LISTED])) + (" and more" if len(written) > MAX_LISTED else "")
    hint = _hint(sources, alphabet, of_schema)
    return f": it has no symbol {'that may be drawn ' if excludes else ''}for {listed}{hint}"


def _hint(sources: Mapping[str, Atom], alphabet: str, of_schema: bool) -> str:
    def any_matches(source: str, flags: int) -> bool:
        return bool(re.compile(source, flags).search(alphabet))

    if of_schema:
        # The rest of a schema has no other spelling.
        if not all(source.startswith(NOT_ESCAPED) for source in sources):
            return ""
        if any(any_matches(source.removeprefix(NOT_ESCAPED), atom.flags) for source, atom in sources.items()):
            return "; a pattern matches no character that JSON has to escape"
    if not all(any_matches(atom.text, atom.flags | re.IGNORECASE) for atom in sources.values()):
        return ""
    advice = "write (?i:...) in the pattern" if of_schema else "put (?i) at the start"
    return f"; it has the other case: {advice}"
