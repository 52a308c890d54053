"""Constraints: regular expressions, choices and JSON schemas become tables over a vocabulary.

``expression`` reads an expression, and ``schema`` a JSON schema, to a tree. ``automaton`` makes the table of
a tree, or of a list of texts. Its work is limited, so that everything compiles or fails in about a second.
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from textgen_runtime._core import Constraint
from textgen_runtime.errors import ConstraintError, quote

from .automaton import Choices, ExpressionStates, Positions, Work, build_table
from .expression import in_bytes, parse
from .schema import schema_tree

# One table has at most 16 MiB.
MAX_CACHED: Final = 16
MAX_CHARACTERS: Final = 1_000_000
MAX_LISTED: Final = 5


@lru_cache(maxsize=MAX_CACHED)
def compile_constraint(
    name: str, value: Any, symbols: tuple[str, ...], excluded: frozenset[int], *, of_bytes: bool = False
) -> Constraint:
    """Return the constraint that a whole text matches an expression, is a choice, or is JSON of a schema.

    Args:
        name: ``match``, ``choices`` or ``json_schema``.
        value: The expression, the texts, or the schema as JSON.
        symbols: The texts of all tokens. A token reads all characters of its text.
        excluded: Tokens that are never allowed. Tokens without a text are never allowed, either.
        of_bytes: Whether the symbols U+0000 to U+00FF are the bytes of UTF-8.

    Raises:
        ConstraintError: If the value is malformed, too complex, or has no text of the vocabulary.
    """
    try:
        return _compile(name, value, symbols, excluded, of_bytes)
    except RecursionError:
        reason = "it is nested too deeply"
    except ConstraintError as error:
        reason = str(error)
    title = {"match": f"the expression {quote(value)}", "choices": "the choices"}.get(name, "the JSON schema")
    raise ConstraintError(f"{title}: {reason}")


def _compile(
    name: str, value: Any, symbols: tuple[str, ...], excluded: frozenset[int], of_bytes: bool
) -> Constraint:
    work = Work()
    drawn = {symbol for token, symbol in enumerate(symbols) if symbol and token not in excluded}
    unmatched: Iterable[str] = ()
    automaton: Choices | ExpressionStates
    if name == "choices":
        if sum(map(len, value)) > MAX_CHARACTERS:
            raise ConstraintError(f"they have more than {MAX_CHARACTERS:,} characters")
        texts = [_in_symbols(text, drawn, of_bytes) for text in value]
        automaton = Choices(texts, work)
    else:
        tree = parse(value) if name == "match" else schema_tree(value)
        if of_bytes:
            tree = in_bytes(tree, work.spend)
        automaton = ExpressionStates(Positions(tree, work), "".join(sorted({*"".join(drawn)})), work)
        unmatched = automaton.unmatched
    table = build_table(automaton, symbols, excluded, work)
    if table is None:
        listed = ", ".join(map(quote, islice(unmatched, MAX_LISTED)))
        reason = f"; no symbol that may be drawn stands for {listed}" if listed else ""
        raise ConstraintError(f"no text of the vocabulary matches{reason}")
    return Constraint(*table)


def _in_symbols(text: str, symbols: set[str], of_bytes: bool) -> str:
    """Return a choice as it is written with symbols, if it can be."""
    written = text.encode("utf-8", "surrogatepass").decode("latin-1") if of_bytes else text
    if symbols.issuperset(written):
        return written
    longest = max(map(len, symbols), default=0)
    # Whether symbols make the first characters.
    made = [True]
    for end in range(1, len(written) + 1):
        made.append(
            any(made[start] and written[start:end] in symbols for start in range(max(0, end - longest), end))
        )
    if not made[-1]:
        raise ConstraintError(f"no symbols of the vocabulary make {quote(text)}")
    return written
