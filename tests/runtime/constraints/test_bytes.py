"""Constraints of models of bytes: a character is its bytes in UTF-8, and equal states are merged."""

import random
import re

import pytest
from textgen_runtime.constraints import compile_constraint
from textgen_runtime.constraints.automaton import equal_states
from textgen_runtime.errors import ConstraintError
from textgen_runtime.tokenizer import BYTE_SYMBOLS

from tests.helpers.constraint_texts import matches, random_tokens

SYMBOLS = tuple(BYTE_SYMBOLS)
# Around the limits of each length, of surrogates and of Latin-1.
EDGES = [
    0x7F,
    0x80,
    0xFF,
    0x7FF,
    0x800,
    0xD7FF,
    0xE000,
    0xFFFF,
    0x10000,
    0x40000,
    0xFFFFF,
    0x100000,
    0x10FFFF,
]
LETTERS = [*map(chr, EDGES), *"aZé \n٣жK\u212a\u017f中\u2028😀"]
# Bytes that are valid only in some places of a character.
BYTES = b"a\x80\x8f\x90\x9f\xa0\xbf\xc0\xc2\xe0\xed\xef\xf0\xf4\xf5\xff"


@pytest.mark.parametrize(
    "expression",
    [
        ".",
        "(?s:.)",
        "é",
        r"[^a]",
        r"\w",
        r"(?a)\W",
        r"\s",
        r"(?i)[ks]",
        r"(?!é)[^a-z]",
        "[ж-\U0010ffff]",
        "a*",
    ],
)
def test_a_character_is_its_bytes(expression: str) -> None:
    constraint = compile_constraint("match", expression, SYMBOLS, frozenset(), of_bytes=True)
    rng, verdicts = random.Random(1), set()
    texts = [letter.encode() for letter in LETTERS]
    texts += [bytes(rng.choices(BYTES, k=rng.randint(1, 4))) for _ in range(300)]
    for text in texts:
        try:
            expected = bool(re.fullmatch(expression, text.decode()))
        except UnicodeDecodeError:
            expected = False
        assert matches(constraint, text) == expected, text
        verdicts.add(expected)
    assert verdicts == {True, False}
    for _ in range(50):
        assert re.fullmatch(expression, bytes(random_tokens(constraint, rng)).decode())


def test_choices_are_written_in_bytes() -> None:
    constraint = compile_constraint("choices", ("é", "語a"), SYMBOLS, frozenset(), of_bytes=True)
    drawn = {bytes(random_tokens(constraint, random.Random(seed))).decode() for seed in range(50)}
    assert drawn == {"é", "語a"}


def test_many_classes_of_bytes_are_refused() -> None:
    classes = "".join(f"[a{chr(code)}]" for code in range(0x4E00, 0x4E00 + 1000))
    with pytest.raises(ConstraintError, match="it is too complex"):
        compile_constraint("match", classes, SYMBOLS, frozenset(), of_bytes=True)


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
