"""Texts that a constraint allows, and whether it allows a text."""

import random
from collections.abc import Iterable, Sequence

from textgen_runtime.sampling.tables import Constraint


def random_tokens(constraint: Constraint, rng: random.Random, length: int = 60) -> list[int]:
    """Return the tokens of a random text that matches, of at most ``length`` tokens.

    In an accepting state, the text ends with a probability of one third.
    """
    state, tokens = 0, list[int]()
    while True:
        remaining = length - len(tokens)
        allowed = [
            token
            for token in range(constraint.vocabulary_size)
            if remaining and constraint.step(state, token, remaining) >= 0
        ]
        if constraint.is_accepting(state) and (not allowed or rng.random() < 1 / 3):
            return tokens
        # A state that is not accepting always has a way to end in time.
        tokens.append(rng.choice(allowed))
        state = constraint.step(state, tokens[-1], remaining)


def matches(constraint: Constraint, tokens: Iterable[int]) -> bool:
    """Return whether a constraint allows a text that consists of these tokens."""
    state = 0
    for token in tokens:
        state = constraint.step(state, token)
        if state < 0:
            return False
    return constraint.is_accepting(state)


def decode(symbols: Sequence[str], tokens: Iterable[int]) -> str:
    """Return the text of some tokens."""
    return "".join([symbols[token] for token in tokens])


def table_of(constraint: Constraint) -> list[list[int]]:
    """Return the state after each token, for each state."""
    return [
        [constraint.step(state, token) for token in range(constraint.vocabulary_size)]
        for state in range(constraint.states)
    ]


def distances(constraint: Constraint) -> list[float]:
    """Return the number of tokens from each state to the nearest accepting one; infinite if there is none."""
    table = table_of(constraint)
    found = [0.0 if constraint.is_accepting(state) else float("inf") for state in range(constraint.states)]
    while True:
        closer = [
            min([known, *(1 + found[after] for after in {*row} if after >= 0)])
            for known, row in zip(found, table, strict=True)
        ]
        if closer == found:
            return found
        found = closer
