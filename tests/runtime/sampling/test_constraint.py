"""``Constraint`` allows the tokens that a naive walk through its table allows."""

import hashlib
import math
from array import array
from typing import Any

import numpy as np
import pytest
from textgen_runtime import SamplingError
from textgen_runtime.sampling.tables import Constraint


def test_a_chain_of_many_states_is_measured() -> None:
    states = 2**15
    table = np.full((states, 2), -1, np.int16)
    table[:-1, 1] = np.arange(1, states)
    constraint = Constraint(table, [False] * (states - 1) + [True])
    assert constraint.step(0, 1, states - 1) == 1
    assert constraint.step(0, 1, states - 2) == -1
    logits = np.zeros(2, np.float32)
    assert constraint.mask(logits, 0, states - 1).tolist() == [-math.inf, 0.0]
    assert constraint.mask(logits, 0, states - 2).tolist() == [-math.inf, -math.inf]
    assert constraint.is_complete(states - 1)


def test_the_table_may_be_any_contiguous_int16_buffer() -> None:
    rows = [[1, -1], [1, 0]]
    flat = [value for row in rows for value in row]
    expected = Constraint(np.array(rows, np.int16), [False, True])
    for table in (array("h", flat), memoryview(array("h", flat)), np.array(flat, np.int16)):
        assert Constraint(table, (0, 1)) == expected  # type: ignore[arg-type]
    source = np.array(rows, np.int16)
    constraint = Constraint(source, [False, True])
    source[:] = -1
    assert constraint == expected


@pytest.mark.parametrize(
    ("table", "accepting", "message"),
    [
        (np.zeros((2, 3), np.int32), [True, True], "transitions must be a contiguous int16 array of 2 rows"),
        (np.zeros((3, 3), np.int16), [True, True], "transitions must be"),
        (np.zeros(5, np.int16), [True, True], "transitions must be"),
        (np.zeros((0, 3), np.int16), [True], "transitions must be"),
        (np.zeros((1, 2, 2), np.int16), [True], "transitions must be"),
        (np.full((2, 3), 2, np.int16), [True, True], "state 0 of the table leads to no state"),
        (np.full((2, 3), -2, np.int16), [True, True], "state 0 of the table leads to no state"),
        (np.zeros((2, 3), np.int16), [], "accepting must have at least one state"),
        (
            np.zeros(2**15 + 1, np.int16),
            [True] * (2**15 + 1),
            "the constraint of 32769 states .* is too large",
        ),
    ],
)
def test_an_invalid_table_is_an_error(table: Any, accepting: list[bool], message: str) -> None:
    with pytest.raises(SamplingError, match=f"^{message}"):
        Constraint(table, accepting)


def test_a_table_without_a_buffer_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        Constraint([[0, 1]], [True])  # type: ignore[arg-type]
    with pytest.raises((ValueError, BufferError)):
        Constraint(np.zeros((4, 4), np.int16)[::2], [True] * 2)


def test_an_argument_out_of_range_is_an_error() -> None:
    constraint = Constraint(np.zeros((1, 3), np.int16), [True])
    logits = np.zeros(3, np.float32)
    for bad in (-1, 3, 10**400):
        with pytest.raises(SamplingError, match="a token must be from 0 to 2"):
            constraint.step(0, bad)
    for bad in (-1, 1, 10**400):
        for call in (constraint.is_accepting, constraint.is_complete):
            with pytest.raises(SamplingError, match="a state of the constraint must be from 0 to 0"):
                call(bad)
        with pytest.raises(SamplingError, match="a state of the constraint"):
            constraint.mask(logits, bad)
        with pytest.raises(SamplingError, match="a state of the constraint"):
            constraint.step(bad, 0)
    for call_with in (
        lambda remaining: constraint.step(0, 0, remaining),
        lambda remaining: constraint.mask(logits, 0, remaining),
    ):
        with pytest.raises(SamplingError, match="remaining must be 1 or more, not 0"):
            call_with(0)
    wrong: Any
    for wrong in (np.zeros(2, np.float32), np.zeros(3)):
        with pytest.raises(SamplingError, match=r"logits must be float32 of shape \(3,\)"):
            constraint.mask(wrong, 0)


def test_a_mask_changes_a_copy() -> None:
    constraint = Constraint(np.array([[1, -1], [-1, -1]], np.int16), [False, True])
    logits = np.array([0.5, 0.25], np.float32)
    assert constraint.mask(logits, 0).tolist() == [0.5, -math.inf]
    assert constraint.mask(memoryview(logits.data), 1, 5).tolist() == [0.5, 0.25]
    assert logits.tolist() == [0.5, 0.25]


def test_constraints_are_immutable_values_with_a_digest() -> None:
    table = np.array([[1, -1], [1, 0]], np.int16)
    constraint = Constraint(table, [False, True])
    others = [
        Constraint(table, [True, True]),
        Constraint(np.array([[1, 0], [1, 0]], np.int16), [False, True]),
        Constraint(np.array([1], np.int16).repeat(4).reshape(2, 2), [False, True]),
    ]
    assert len({constraint.digest, *(other.digest for other in others)}) == 4
    assert all(constraint != other for other in others)
    assert len(constraint.digest) == 64
    assert repr(constraint) == "<Constraint of 2 states and 2 tokens>"
    same = Constraint(table, [False, True])
    assert (same, hash(same), same.digest) == (constraint, hash(constraint), constraint.digest)


@pytest.mark.parametrize(("states", "vocabulary"), [(1, 1), (8, 64), (3, 700)])
def test_the_digest_is_the_hash_of_the_sizes_the_table_and_the_accepting_states(
    states: int, vocabulary: int
) -> None:
    table = (np.arange(states * vocabulary, dtype=np.int16) * 7 % states).reshape(states, vocabulary)
    parts = [np.array([states, vocabulary], "<i8"), table.astype("<i2"), np.ones(states, np.int8)]
    constraint = Constraint(table, [True] * states)
    assert constraint.digest == hashlib.sha256(b"".join([part.tobytes() for part in parts])).hexdigest()
    # A large table is hashed only once.
    assert constraint.digest is constraint.digest


def test_the_digest_does_not_depend_on_how_dead_ends_are_written() -> None:
    dead = np.array([[1, 2], [1, 0], [2, 2]], np.int16)
    pruned = np.array([[1, -1], [1, 0], [-1, -1]], np.int16)
    accepting = [False, True, False]
    assert Constraint(dead, accepting).digest == Constraint(pruned, accepting).digest
