"""Forks continue one text in different, reproducible ways."""

import pytest
from textgen_runtime import Model


def test_forks_differ_and_are_reproducible(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1, temperature=1.5)
    generation.take(10)
    texts = [fork.take(50) for fork in generation.fork(4)]
    assert texts == [fork.take(50) for fork in generation.fork(4)]
    original = generation.take(50)
    assert len({*texts, original}) == 5
    assert texts != [fork.take(50) for fork in generation.fork(4)]


def test_forks_at_another_position_have_other_random_numbers(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1, substream=3, temperature=1.5)
    before = generation.fork(2)
    generation.take(1)
    other = tiny.start("abc", seed=1, substream=4, temperature=1.5)
    seeds = {fork.seed for fork in (*before, *generation.fork(2), *other.fork(2))}
    assert len(seeds) == 6


def test_forks_of_forks_are_independent(tiny: Model) -> None:
    first, second = tiny.start("abc", seed=1, temperature=1.5).fork(2)
    texts = [fork.take(50) for generation in (first, second) for fork in generation.fork(3)]
    assert len({*texts, first.take(50), second.take(50)}) == 8


def test_a_fork_keeps_the_text_the_filters_and_the_constraint(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1, temperature=1.5, match="ab(c|d)+", repetition_penalty=1.5)
    generation.take(2)
    for fork in generation.fork(5):
        assert set(fork.take(20)) <= {"c", "d"}
        assert fork.sampling == generation.sampling
    assert [token.draw_probability for token in generation.fork(1)[0].top(9)] == [
        token.draw_probability for token in generation.top(9)
    ]
    stopping = tiny.start("abc", seed=1, temperature=0, stop=tiny.generate("abc", length=3, temperature=0))
    stopping.take(2)
    assert stopping.fork(1)[0].take(1) == ""


def test_the_number_of_forks_is_checked(tiny: Model) -> None:
    assert tiny.start("abc").fork(0) == []
    with pytest.raises(ValueError, match="count must be 0 or more, not -1"):
        tiny.start("abc").fork(-1)
