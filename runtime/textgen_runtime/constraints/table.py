"""A compiled constraint as JSON values, for programs in other languages."""

from collections.abc import Sequence
from typing import Any

from textgen_runtime.sampling.automata import Constraint


def describe_table(constraint: Constraint, symbols: Sequence[str]) -> dict[str, Any]:
    """Return the table of a constraint as values that JSON can store.

    Args:
        constraint: The constraint.
        symbols: The symbol of each token, from the vocabulary for which the constraint was compiled.

    Returns:
        ``"states"``: for each state, whether a text may end there (``"accepting"``), and the state after each
        allowed symbol (``"next"``). A text starts in state 0.
    """
    return {
        "states": [
            {
                "accepting": constraint.is_accepting(state),
                "next": {
                    symbol: following
                    for token, symbol in enumerate(symbols)
                    if (following := constraint.step(state, token)) >= 0
                },
            }
            for state in range(constraint.states)
        ]
    }
