"""Equal states of deterministic automata, against the definition."""

import random

import pytest
from textgen_runtime.constraints.automaton import equal_states


def found_equal(targets: list[list[int]], accepting: list[bool]) -> list[int]:
    """Return the number that ``equal_states`` gives to each state. -1 stands for no state."""
    rows = {
        state: {letter: target for letter, target in enumerate(row) if target >= 0}
        for state, row in enumerate(targets)
    }
    numbers = equal_states(rows, {state: (accepting[state], tuple(row)) for state, row in rows.items()})
    return [numbers[state] for state in range(len(targets))]


def told_apart(targets: list[list[int]], accepting: list[bool]) -> list[int]:
    """Return a number for each state. In each round, one more letter tells states apart."""
    numbers = list(map(int, accepting))
    for _ in targets:
        keys = [
            (numbers[state], tuple(numbers[target] if target >= 0 else -1 for target in row))
            for state, row in enumerate(targets)
        ]
        of_key = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        numbers = [of_key[key] for key in keys]
    return numbers


@pytest.mark.parametrize("letters", [1, 2, 3])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_states_are_equal_exactly_if_no_text_tells_them_apart(letters: int, missing: float) -> None:
    rng, merged = random.Random(1), 0
    for _ in range(300):
        size = rng.randint(1, 30)
        # Few targets make many states equal.
        reachable = rng.sample(range(size), rng.randint(1, size))
        targets = [
            [-1 if rng.random() < missing else rng.choice(reachable) for _ in range(letters)]
            for _ in range(size)
        ]
        accepting = [rng.random() < 0.3 for _ in range(size)]
        found, expected = found_equal(targets, accepting), told_apart(targets, accepting)
        # The same partition: each number of one stands for one number of the other.
        assert len({*zip(found, expected, strict=True)}) == len({*found}) == len({*expected})
        merged += 1 < len({*found}) < size
    assert merged > 50


def test_a_long_chain_has_no_equal_states() -> None:
    length = 3000
    targets = [[state + 1 if state + 1 < length else -1] for state in range(length)]
    assert len(set(found_equal(targets, [True] * length))) == length
    assert len(set(found_equal([[0]] * length, [True] * length))) == 1
