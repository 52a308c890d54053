"""The state of the filters can be read, set and copied, and the filters can change between draws."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from textgen_runtime import FilterState, Sampler, Sampling, SamplingError

ROWS = np.random.default_rng(14).normal(0, 2, (300, 30))
CHAIN: dict[str, Any] = {
    "repetition_penalty": 1.3,
    "frequency_penalty": 0.2,
    "penalty_window": 20,
    "top_k": 25,
    "logit_bias": {4: -math.inf},
}
MIROSTAT: dict[str, Any] = {"mirostat_tau": 2.5, "presence_penalty": 0.3}


def draws(sampler: Sampler, first: int, last: int) -> list[int]:
    return [sampler.draw(row) for row in ROWS[first:last]]


@pytest.mark.parametrize("options", [CHAIN, MIROSTAT], ids=["chain", "mirostat"])
def test_a_restored_state_continues_exactly(options: dict[str, Any]) -> None:
    sampler = Sampler(0.9, 5, substream=2, **options)
    draws(sampler, 0, 100)
    # Setting the state before or after the first draw gives the same.
    new, used = Sampler(0.9, 5, substream=2, **options), Sampler(0.9, 5, substream=2, **options)
    draws(used, 100, 150)
    for other in (new, used):
        other.position, other.filter_state = sampler.position, sampler.filter_state
        assert other.filter_state == sampler.filter_state
    expected = draws(sampler, 100, 300)
    for other in (new, used):
        assert draws(other, 100, 300) == expected
        assert other.filter_state == sampler.filter_state
    without = Sampler(0.9, 5, substream=2, **options)
    without.position = 100
    assert draws(without, 100, 300) != expected


@pytest.mark.parametrize("options", [{}, CHAIN, MIROSTAT], ids=["no filters", "chain", "mirostat"])
@pytest.mark.parametrize("before", [0, 70])
def test_copies_and_pickles_continue_the_random_stream_and_the_filters(
    options: dict[str, Any], before: int
) -> None:
    sampler = Sampler(0.9, 5, substream=2, **options)
    draws(sampler, 0, before)
    clones = [copy.copy(sampler), copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))]  # noqa: S301
    state = sampler.filter_state
    expected = draws(sampler, before, 300)
    for clone in clones:
        assert (clone.sampling, clone.logit_bias) == (sampler.sampling, sampler.logit_bias)
        assert clone.filter_state == state
        assert (clone.seed, clone.substream, clone.position) == (5, 2, before)
        assert draws(clone, before, 300) == expected


def test_filters_without_memory_have_no_state() -> None:
    sampler = Sampler(top_k=3, logit_bias={2: 1.0})
    draws(sampler, 0, 5)
    assert sampler.filter_state is None
    assert Sampler().filter_state is None
    # What the filters do not use is ignored.
    sampler.filter_state = FilterState((1, 2), 3.0)
    assert sampler.filter_state is None
    mirostat = Sampler(mirostat_tau=2.0)
    mirostat.filter_state = FilterState((1, 2), 3.0)
    assert mirostat.filter_state == FilterState((), 3.0)


def test_none_resets_the_state() -> None:
    sampler = Sampler(0.9, 5, **MIROSTAT)
    assert sampler.filter_state == FilterState((), 5.0)
    expected = draws(sampler, 0, 50)
    sampler.filter_state = None
    assert sampler.filter_state == FilterState((), 5.0)
    sampler.position = 0
    assert draws(sampler, 0, 50) == expected


def test_a_state_that_is_not_valid_is_an_error_and_changes_nothing() -> None:
    bad: Any
    for sampler in (Sampler(**MIROSTAT), Sampler(**MIROSTAT)):
        sampler.draw(ROWS[0])
        before = sampler.filter_state
        for recent in ((-1,), (2**32,), (10**400,)):
            with pytest.raises(SamplingError, match="a token must be from 0 to"):
                sampler.filter_state = FilterState(recent, 1.0)
        for mu in (math.nan, math.inf, 10**400):
            with pytest.raises(SamplingError, match="mirostat_mu must be a finite number"):
                sampler.filter_state = FilterState((1,), mu)
        with pytest.raises(SamplingError, match="not in the vocabulary of the latest draw"):
            sampler.filter_state = FilterState((1, 30), 1.0)
        for bad in (((1,), 1.0), 3, FilterState(("a",), 1.0), FilterState((1,), "a"), FilterState(3, 1.0)):  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                sampler.filter_state = bad
        assert sampler.filter_state == before
    unused = Sampler(**MIROSTAT)
    unused.filter_state = FilterState((30,), 1.0)
    with pytest.raises(
        SamplingError, match="a recent token of the filter state is not in the vocabulary of 30 tok"
    ):
        unused.draw(ROWS[0])
    unused.filter_state = None
    unused.draw(ROWS[0])


def test_only_the_latest_tokens_of_a_longer_state_are_kept() -> None:
    for sampler in (Sampler(**CHAIN), Sampler(**CHAIN)):
        sampler.filter_state = FilterState(tuple(range(25)), 0.0)
        assert sampler.filter_state == FilterState(tuple(range(5, 25)), 0.0)
        sampler.draw(ROWS[0])
    longest = Sampler(presence_penalty=1.0, penalty_window=1024)
    longest.filter_state = FilterState(tuple(range(3000)), 0.0)
    assert longest.filter_state == FilterState(tuple(range(3000 - 1024, 3000)), 0.0)


@pytest.mark.parametrize(
    "options", [{"top_k": 4}, {"logit_bias": {3: 2.0}}, {"top_k": 4, "logit_bias": {3: 2.0}}]
)
def test_new_filters_take_effect_at_the_next_draw(options: dict[str, Any]) -> None:
    sampler, expected = Sampler(0.9, 5), Sampler(0.9, 5, **options)
    draws(sampler, 0, 20)
    sampler.sampling, sampler.logit_bias = expected.sampling, expected.logit_bias
    expected.position = 20
    assert draws(sampler, 20, 100) == draws(expected, 20, 100)
    sampler.logit_bias = {}
    expected = Sampler(0.9, 5, **options | {"logit_bias": {}})
    expected.position = 100
    assert draws(sampler, 100, 200) == draws(expected, 100, 200)
    sampler.sampling = Sampling(temperature=0.9)
    plain = Sampler(0.9, 5)
    plain.position = 200
    assert draws(sampler, 200, 300) == draws(plain, 200, 300)


def test_parameters_that_are_refused_change_nothing() -> None:
    sampler = Sampler(0.9, 5, top_k=4, logit_bias={2: 1.0})
    draws(sampler, 0, 1)
    bad: Any
    for bad, message in (
        ({30: 1.0}, "logit_bias has token 30, but the vocabulary has 30 tokens"),
        (dict.fromkeys(range(30), -math.inf), "logit_bias forbids all 30 tokens"),
    ):
        with pytest.raises(SamplingError, match=message):
            sampler.logit_bias = bad
    with pytest.raises(SamplingError, match="match needs a model"):
        sampler.sampling = Sampling(match="a")
    for bad in ({"top_k": 3}, None):
        with pytest.raises(TypeError, match="sampling must be a Sampling, not "):
            sampler.sampling = bad
    assert (sampler.sampling, sampler.logit_bias) == (Sampling(temperature=0.9, top_k=4), ((2, 1.0),))


def test_the_vocabulary_may_change_between_draws() -> None:
    sampler, expected = Sampler(1.0, 5, top_k=2), Sampler(1.0, 5)
    tokens = [sampler.draw([0.0] * size) for size in (2, 7, 2, 300, 1)]
    assert tokens == [expected.draw([0.0] * min(size, 2)) for size in (2, 7, 2, 300, 1)]
    counting = Sampler(1.0, 5, presence_penalty=-100.0)
    counting.filter_state = FilterState((1,), 0.0)
    assert [counting.draw([0.0] * size) for size in (3, 9, 2)] == [1, 1, 1]
    with pytest.raises(SamplingError, match="set filter_state to None"):
        counting.draw([0.0])


def test_propose_and_accept_together_are_draw() -> None:
    for options in (CHAIN, MIROSTAT, {}):
        sampler, expected = Sampler(0.9, 5, **options), Sampler(0.9, 5, **options)
        for row in ROWS:
            token = sampler.propose(row)
            sampler.accept(token)
            assert token == expected.draw(row)
        assert sampler.filter_state == expected.filter_state
        assert sampler.position == expected.position


def test_a_proposed_token_that_is_not_accepted_uses_one_random_number_only() -> None:
    sampler = Sampler(0.9, 5, **MIROSTAT)
    draws(sampler, 0, 10)
    state = sampler.filter_state
    sampler.propose(ROWS[10])
    assert sampler.filter_state == state
    assert sampler.position == 11


def test_a_token_that_is_not_in_the_vocabulary_cannot_be_accepted() -> None:
    sampler = Sampler(**CHAIN)
    with pytest.raises(SamplingError, match="token 3 is not in the vocabulary of the latest draw"):
        sampler.accept(3)
    draws(sampler, 0, 1)
    for bad, message in ((30, "token 30 is not in the vocabulary"), (-1, "from 0"), (10**400, "from 0")):
        with pytest.raises(SamplingError, match=message):
            sampler.accept(bad)
    with pytest.raises(TypeError):
        sampler.accept(1.5)  # type: ignore[arg-type]
    state = sampler.filter_state
    assert state is not None
    sampler.accept(7)
    assert sampler.filter_state == FilterState((*state.recent, 7), 0.0)
