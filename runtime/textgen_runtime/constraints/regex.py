"""Compile regular expressions to constraints."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from textgen_runtime._core import Constraint
from textgen_runtime.errors import ConstraintError, quote

from ._character_states import CharacterStates
from ._parser import Atom, parse
from ._positions import Positions, TooComplexError
from ._token_table import build_table, drawable_symbols

# One table has at most 16 MiB.
MAX_CACHED: Final = 16
MAX_LISTED: Final = 5
SIMPLIFY: Final = "use fewer or smaller repetitions"
OTHER: Final = "use other characters, or a model that knows these"


class NoTextError(Exception):
    """No text of the vocabulary matches an expression.

    Attributes:
        sources: The atoms that match no symbol, by their text in the expression and in its order.
        alphabet: The characters of the symbols that may be drawn.
        excludes: Whether there are symbols that must not be drawn.
    """

    def __init__(self, sources: Mapping[str, Atom], alphabet: str, *, excludes: bool) -> None:
        super().__init__()
        self.sources = sources
        self.alphabet = alphabet
        self.excludes = excludes

    def has_other_case(self) -> bool:
        """Whether each atom would match a symbol if it ignored case."""
        return all(
            re.search(atom.text, self.alphabet, atom.flags | re.IGNORECASE) for atom in self.sources.values()
        )

    def described(self, title: str, sources: Iterable[str], hint: str) -> ConstraintError:
        """Return the error for the user.

        Args:
            title: What no text matches.
            sources: The atoms that match no symbol, as the user wrote them.
            hint: What helps besides other characters, or an empty text.
        """
        written = [*dict.fromkeys(sources)]
        reason = "; change it"
        if written:
            listed = ", ".join(map(quote, written[:MAX_LISTED]))
            more = " and more" if len(written) > MAX_LISTED else ""
            drawn = "that may be drawn " if self.excludes else ""
            reason = f": the vocabulary has no symbol {drawn}for {listed}{more}; {hint or OTHER}"
        return ConstraintError(f"no text of the vocabulary matches {title}{reason}")


def compile_regex(expression: str, symbols: Sequence[str], excluded: Collection[int] = ()) -> Constraint:
    """Return the constraint that a whole text matches an expression.

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
    title = f"the expression {quote(expression)}"
    try:
        return compile_expression(expression, tuple(symbols), frozenset(excluded))
    except TooComplexError as error:
        raise ConstraintError(f"{title} {error}; {SIMPLIFY}") from None
    except NoTextError as error:
        hint = "to match the other case, put (?i) at the start" if error.has_other_case() else ""
        raise error.described(title, error.sources, hint) from None


@lru_cache(maxsize=MAX_CACHED)
def compile_expression(expression: str, symbols: tuple[str, ...], excluded: frozenset[int]) -> Constraint:
    """Return the constraint of an expression, for a caller that tells the user what fails.

    The arguments are those of ``compile_regex``. The latest 16 results are cached.

    Raises:
        ConstraintError: If the expression is malformed.
        TooComplexError: If its automaton exceeds a limit.
        NoTextError: If no text of the vocabulary matches it.
    """
    tree = parse(expression)
    drawable = drawable_symbols(symbols, excluded)
    alphabet = "".join(dict.fromkeys("".join(drawable.values())))
    states = CharacterStates(Positions(tree), alphabet)
    table = build_table(states, symbols, drawable)
    if table is None:
        unmatched = sorted(states.unmatched, key=lambda atom: atom.span)
        sources = {expression[slice(*atom.span)]: atom for atom in unmatched}
        raise NoTextError(sources, alphabet, excludes=len(drawable) < sum(map(bool, symbols)))
    return Constraint(table.transitions, table.accepting)
