"""Compiled lists of choices."""

import itertools
import random
import tracemalloc

import pytest
from textgen_runtime._core import MAX_STATES
from textgen_runtime.constraints.choices import compile_choices
from textgen_runtime.constraints.regex import compile_regex
from textgen_runtime.errors import ConstraintError

from tests.helpers.constraint_texts import decode, matches, random_tokens, table_of

SYMBOLS = [*"abcdeé😀 .*", ""]


def accepted(choices: list[str], symbols: list[str]) -> set[str]:
    """Return the texts of at most 5 symbols that a constraint allows."""
    constraint = compile_choices(choices, symbols)
    return {
        decode(symbols, tokens)
        for length in range(6)
        for tokens in itertools.product(range(len(symbols)), repeat=length)
        if matches(constraint, tokens)
    }


@pytest.mark.parametrize(
    "choices",
    [
        ["a"],
        [""],
        ["", "a"],
        ["ab", "abc", "a", "bc"],
        ["abc", "dbc", "dab"],
        ["a", "a", "é", "😀"],
        [".*", "a "],
        ["", "", "aaaaa"],
    ],
)
def test_exactly_the_choices_match(choices: list[str]) -> None:
    assert accepted(choices, [symbol for symbol in SYMBOLS if symbol in "abcdé😀 .*"]) == set(choices)


def test_every_text_of_many_choices_is_a_choice_and_every_choice_matches() -> None:
    rng = random.Random(1)
    choices = ["".join(rng.choices("abcde", k=rng.randint(0, 8))) for _ in range(500)]
    constraint = compile_choices(choices, SYMBOLS)
    assert all(matches(constraint, map(SYMBOLS.index, choice)) for choice in choices)
    drawn = {decode(SYMBOLS, random_tokens(constraint, rng)) for _ in range(500)}
    assert len(drawn) > 50
    assert drawn <= set(choices)


def test_choices_and_an_expression_for_them_have_the_same_table() -> None:
    tables = compile_choices(["dab", "ab", "abc"], SYMBOLS), compile_regex("d?ab|abc", SYMBOLS)
    assert len({(table.transitions, table.accepting) for table in tables}) == 1


def test_common_ends_share_their_states() -> None:
    # Without sharing, each choice would need 21 states.
    choices = [f"{first}{second}{'e' * 20}" for first in "abcd" for second in "abcd"]
    assert len(compile_choices(choices, SYMBOLS).accepting) == 23
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 400)]
    assert len(compile_choices([letter + "e" * 100 for letter in letters], [*letters, "e"]).accepting) == 102


def test_a_table_has_as_many_states_as_a_constraint_may_have() -> None:
    """A text of n symbols needs n + 1 states."""
    assert len(compile_choices(["a" * (MAX_STATES - 1)], "ab").accepting) == MAX_STATES


def test_choices_of_a_large_alphabet_are_refused_before_they_fill_the_memory() -> None:
    rng = random.Random(1)
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
    choices = ["".join(rng.choices(letters, k=200)) for _ in range(30)]
    tracemalloc.start()
    try:
        with pytest.raises(ConstraintError, match=r"states for 3,000 symbols, which would exceed 16 MiB"):
            compile_choices(choices, letters)
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()


def test_a_choice_is_made_of_whole_symbols() -> None:
    symbols = ["ab", "a", "bc", "abc", ""]
    constraint = compile_choices(["abc", "abab"], symbols)
    texts = [
        tokens
        for length in range(4)
        for tokens in itertools.product(range(5), repeat=length)
        if matches(constraint, tokens)
    ]
    # abc; a and bc; ab and ab.
    assert texts == [(3,), (0, 0), (1, 2)]


def test_excluded_tokens_are_never_allowed() -> None:
    constraint = compile_choices(["ab"], ["a", "b", "ab"], excluded=[2])
    assert table_of(constraint)[0][2] < 0
    with pytest.raises(ConstraintError, match="cannot make the choice 'ab': it has no symbol for 'b'"):
        compile_choices(["a", "ab"], ["a", "b", "c"], excluded=[1])


def test_equal_choices_are_compiled_once() -> None:
    assert compile_choices(["a", "b"], SYMBOLS) is compile_choices(("a", "b"), tuple(SYMBOLS))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([], "the list of choices is empty: pass at least one text"),
        ("abc", "the choices must be a list of texts, not 'abc'"),
        (["a", 3], "the choices must be a list of texts, not ['a', 3]"),
        (5, "the choices must be a list of texts, not 5"),
        (
            ["a", "aÄö"],
            (
                "the vocabulary cannot make the choice 'aÄö': it has no symbol for 'Ä' (U+00C4), 'ö' (U+00F6)"
                "; change or omit the choice"
            ),
        ),
        (
            ["a" * 32_768],
            "the list of choices needs more than 32,768 states; use fewer or shorter choices",
        ),
        (
            ["a" * 500_000],
            "the list of choices needs more than 100,000 states; use fewer or shorter choices",
        ),
        (
            ["a" * 1_000_001],
            (
                "the choices have 1,000,001 characters together, and at most 1,000,000 are possible: use "
                "fewer or shorter choices"
            ),
        ),
    ],
)
def test_what_is_wrong_with_choices_is_said_in_one_line(choices: object, message: str) -> None:
    with pytest.raises(ConstraintError) as caught:
        compile_choices(choices, SYMBOLS)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_a_choice_that_no_sequence_of_symbols_makes_is_an_error() -> None:
    with pytest.raises(
        ConstraintError, match="cannot make the choice 'aab' of its symbols; change or omit it"
    ):
        compile_choices(["ab", "aab"], ["ab", "ba", "a"][:2])
