"""The mutants of meaning fit the code."""

from tests.mutants.__main__ import read_meaning


def test_each_mutant_of_meaning_changes_one_place() -> None:
    assert list(read_meaning())
