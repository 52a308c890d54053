"""Compiled lists of choices."""

import random
import tracemalloc

import pytest
from textgen_runtime._core import MAX_STATES, Constraint
from textgen_runtime.constraints import compile_constraint
from textgen_runtime.errors import ConstraintError

from tests.helpers.constraint_texts import all_texts, decode, matches, table_of

SYMBOLS = ("a", "b", "ab", "é", "", "aé", ".", "*")


def compile_choices(choices: list[str], symbols: str | tuple[str, ...]) -> Constraint:
    return compile_constraint("choices", tuple(choices), tuple(symbols), frozenset())


def test_random_choices_are_exactly_the_texts_that_match() -> None:
    rng, shared = random.Random(1), 0
    texts = [*all_texts(len(SYMBOLS), 4)]
    for _ in range(30):
        choices = ["".join(rng.choices("abé.*", k=rng.randint(0, 3))) for _ in range(rng.randint(1, 12))]
        constraint = compile_choices(choices, SYMBOLS)
        for tokens in texts:
            expected = 4 not in tokens and decode(SYMBOLS, tokens) in choices
            assert matches(constraint, tokens) == expected, (choices, tokens)
        expression = "|".join(choices).replace(".", r"\.").replace("*", r"\*")
        same = compile_constraint("match", expression, SYMBOLS, frozenset())
        assert (constraint.transitions, constraint.accepting) == (same.transitions, same.accepting)
        shared += len(constraint.accepting) < len("".join(choices))
    assert shared > 10


def test_ten_thousand_names_are_compiled() -> None:
    rng = random.Random(1)
    names = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(4, 9))) for _ in range(10_000)]
    constraint = compile_choices(names, "abcdefghijklmnop")
    table = table_of(constraint)
    for name in names:
        state = 0
        for letter in name:
            state = table[state][ord(letter) - ord("a")]
        assert constraint.accepting[state]


def test_common_ends_share_their_states() -> None:
    # Without sharing, there would be 40,000 states.
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 400)]
    constraint = compile_choices([letter + "e" * 100 for letter in letters], (*letters, "e"))
    assert len(constraint.accepting) == 102


def test_a_table_has_as_many_states_as_a_constraint_may_have() -> None:
    """A text of n symbols needs n + 1 states."""
    assert len(compile_choices(["a" * (MAX_STATES - 1)], "ab").accepting) == MAX_STATES


def test_choices_of_a_large_alphabet_are_refused_before_they_fill_the_memory() -> None:
    rng = random.Random(1)
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
    choices = ["".join(rng.choices(letters, k=200)) for _ in range(30)]
    tracemalloc.start()
    try:
        with pytest.raises(ConstraintError, match="states is larger than 16 MiB"):
            compile_choices(choices, tuple(letters))
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("choices", "culprit"),
    [
        (["a", "aÄö"], "'aÄö'"),
        # No symbols make the last letter.
        (["a", "éab", "éb"], "'éb'"),
        (["a" * MAX_STATES], f"{MAX_STATES:,} states"),
        (["a" * 500_000], "complex"),
        (["a" * 1_000_001], "1,000,000 characters"),
    ],
)
def test_choices_that_the_vocabulary_cannot_write_or_that_are_too_long_are_refused(
    choices: list[str], culprit: str
) -> None:
    with pytest.raises(ConstraintError, match=f"^the choices: .*{culprit}"):
        compile_choices(choices, ("a", "ab", "é"))
