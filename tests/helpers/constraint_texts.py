"""Texts that a constraint allows, and whether it allows a text."""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence

from textgen_runtime._core import Constraint


def table_of(constraint: Constraint) -> list[list[int]]:
    """Return the state after each token, for each state."""
    size = constraint.vocabulary_size
    values = memoryview(constraint.transitions).cast("h").tolist()
    return [values[start : start + size] for start in range(0, len(values), size)]


def distances(constraint: Constraint) -> list[float]:
    """Return the number of tokens from each state to the nearest accepting one; infinite if there is none."""
    table = table_of(constraint)
    found = [0.0 if accepting else float("inf") for accepting in constraint.accepting]
    while True:
        closer = [
            min([known, *(1 + found[after] for after in {*row} if after >= 0)])
            for known, row in zip(found, table, strict=True)
        ]
        if closer == found:
            return found
        found = closer


def random_tokens(constraint: Constraint, rng: random.Random, length: int = 60) -> list[int]:
    """Return the tokens of a random text that matches, of at most ``length`` tokens.

    In an accepting state, the text ends with a probability of one third.
    """
    table, distance = table_of(constraint), distances(constraint)
    state, tokens = 0, list[int]()
    while True:
        remaining = length - len(tokens)
        row = table[state]
        allowed = [token for token, after in enumerate(row) if after >= 0 and distance[after] < remaining]
        if constraint.accepting[state] and (not allowed or rng.random() < 1 / 3):
            return tokens
        # A state that is not accepting always has a way to end in time.
        tokens.append(rng.choice(allowed))
        state = row[tokens[-1]]


def matches(constraint: Constraint, tokens: Iterable[int]) -> bool:
    """Return whether a constraint allows a text that consists of these tokens."""
    table, state = table_of(constraint), 0
    for token in tokens:
        state = table[state][token]
        if state < 0:
            return False
    return bool(constraint.accepting[state])


def decode(symbols: Sequence[str], tokens: Iterable[int]) -> str:
    """Return the text of some tokens."""
    return "".join([symbols[token] for token in tokens])


def all_texts(vocabulary_size: int, length: int) -> Iterator[tuple[int, ...]]:
    """Yield all sequences of at most ``length`` tokens."""
    for count in range(length + 1):
        yield from itertools.product(range(vocabulary_size), repeat=count)
