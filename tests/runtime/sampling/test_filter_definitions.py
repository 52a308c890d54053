"""Any filters together give the distribution of their definitions in numpy.

``tests/core/`` compares each filter alone with its definition in C.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from textgen_runtime import Filters, FilterState, Sampler, SamplingError

from tests.helpers.filter_definitions import filtered, softmax_at, state_with
from tests.helpers.sampler_cases import finite_logits

Floats = NDArray[np.float64]
Rng = np.random.Generator

# Random parameters of each filter.
RANDOM: dict[str, Callable[[Rng], dict[str, Any]]] = {
    "top_k": lambda rng: {"top_k": int(rng.integers(1, 20))},
    "typical_p": lambda rng: {"typical_p": rng.uniform(0.01, 0.999)},
    "top_p": lambda rng: {"top_p": rng.uniform(0.01, 0.999)},
    "min_p": lambda rng: {"min_p": rng.uniform(0.001, 1)},
    "repetition": lambda rng: {"repetition_penalty": rng.uniform(0.3, 3)},
    "frequency": lambda rng: {"frequency_penalty": rng.uniform(-2, 2)},
    "presence": lambda rng: {"presence_penalty": rng.uniform(-2, 2)},
    "mirostat": lambda rng: {"mirostat_tau": rng.uniform(0.1, 6)},
}


def random_logits(rng: Rng, size: int) -> Floats:
    """Return logits that are exact in float32: half of them have ties, and some -inf."""
    logits = rng.normal(0, rng.choice([0.5, 2, 6]), size).astype(np.float32).astype(np.float64)
    if rng.random() < 0.5:
        logits = np.round(logits)
    if rng.random() < 0.5:
        forbidden = rng.random(size) < 0.3
        forbidden[rng.integers(size)] = False
        logits[forbidden] = -np.inf
    return logits


def sizes() -> Iterator[int]:
    """One token, few, as many as a character-level model has, and many."""
    yield from [1] * 10
    yield from [2] * 20
    yield from [3, 5, 17] * 20
    yield from [59] * 60
    yield from [5000] * 2


def check(logits: Floats, filters: Filters, drawn: list[int], temperature: float = 1.0) -> None:
    """Compare the distribution of a sampler with the definition."""
    sampler = Sampler(temperature)
    sampler.filters = filters
    mu = 2 * filters.mirostat_tau
    sampler.filter_state = state_with(drawn, filters)._replace(mirostat_mu=mu)
    expected = filtered(logits, filters, drawn, mu)
    for given_logits in (logits, logits.astype(np.float32)):
        probabilities = sampler.probabilities(given_logits)
        assert (probabilities > 0).tolist() == (expected > -np.inf).tolist()
        np.testing.assert_allclose(probabilities, softmax_at(expected, temperature), rtol=1e-9)
    assert sampler.position == 0


@pytest.mark.parametrize("truncations", [["top_k", "typical_p", "top_p", "min_p"], ["mirostat"]])
def test_the_full_chain_equals_the_definitions_in_order(truncations: list[str]) -> None:
    rng = np.random.default_rng(2)
    for size in sizes():
        logits = random_logits(rng, size)
        options: dict[str, Any] = {}
        for name in [*truncations, "repetition", "frequency", "presence"]:
            if rng.random() < 0.5:
                options |= RANDOM[name](rng)
        biased = rng.choice(size, min(size // 2, 20), replace=False).tolist()
        options["logit_bias"] = {token: rng.choice([-np.inf, 1.25, -0.5, 3]) for token in biased}
        options["penalty_window"] = int(rng.integers(1, 100))
        drawn = rng.integers(size, size=rng.integers(150)).tolist()
        if not np.isfinite(filtered(logits, Filters(logit_bias=options["logit_bias"]))).any():
            continue
        check(logits, Filters(**options), drawn, temperature=rng.uniform(0.5, 2))


@pytest.mark.parametrize(
    ("options", "logits", "kept"),
    [
        ({"top_k": 2}, [0.0, 1.0, 0.0, 1.0, 1.0], [1, 3]),
        ({"top_k": 100}, [0.0, 1.0, 0.0, 1.0, 1.0], [0, 1, 2, 3, 4]),
        # Two of four equal tokens have exactly half of the probability.
        ({"top_p": 0.5}, [1.0, 1.0, 1.0, 1.0], [0, 1]),
        ({"top_p": 1e-300}, [0.0, 1.0, 0.0, 1.0, 1.0], [1]),
        ({"typical_p": 0.5}, [1.0, 1.0, 1.0, 1.0], [0, 1]),
        ({"typical_p": 1e-300}, [0.0, 1.0, 0.0, 1.0, 1.0], [1]),
        ({"min_p": 1.0}, [0.0, 1.0, 0.0, 1.0, 1.0], [1, 3, 4]),
        ({"mirostat_tau": 1e-6}, [0.0, 1.0, 0.0, 1.0, 1.0], [1]),
    ],
)
def test_the_lowest_token_is_the_likeliest_of_equals(
    options: dict[str, Any], logits: list[float], kept: list[int]
) -> None:
    assert np.flatnonzero(Sampler(1.0, **options).probabilities(logits)).tolist() == kept


@given(st.sampled_from(sorted(RANDOM)), finite_logits, st.integers(0, 2**32))
def test_a_filter_leaves_a_distribution_of_any_finite_logits(name: str, logits: Floats, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sampler = Sampler(1.0, seed, **RANDOM[name](rng))
    for _ in range(3):
        probabilities = sampler.probabilities(logits)
        assert math.isclose(probabilities.sum(), 1.0, rel_tol=1e-9)
        assert probabilities[sampler.draw(logits)] > 0


def test_a_forbidden_token_is_never_drawn() -> None:
    logits = np.zeros(10)
    sampler = Sampler(1.0, seed=3, logit_bias=dict.fromkeys((0, 1, 2, 5, 9), -math.inf))
    assert set(sampler.draw_batch(np.tile(logits, (2000, 1)))) == {3, 4, 6, 7, 8}


def test_a_bias_multiplies_the_odds() -> None:
    sampler = Sampler(1.0, logit_bias={1: math.log(3)})
    np.testing.assert_allclose(sampler.probabilities([0.0, 0.0]), [0.25, 0.75])


@pytest.mark.parametrize("logits", [[1e300, 0.0, -1e300], [-1e300, -1e308, 1e308], [-1e308, -1e308, -1e308]])
@pytest.mark.parametrize(
    "filters",
    [
        Filters(repetition_penalty=1e-300),
        Filters(repetition_penalty=100.0),
        Filters(frequency_penalty=-100.0),
    ],
    ids=repr,
)
def test_penalties_of_the_largest_logits_cause_no_overflow(filters: Filters, logits: list[float]) -> None:
    sampler = Sampler(1.0, seed=2)
    sampler.filters = filters
    for _ in range(5):
        sampler.draw(logits)
        assert math.isclose(sampler.probabilities(logits).sum(), 1.0)


@pytest.mark.parametrize("name", ["top_k", "mirostat"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([0.0, math.nan], "NaN"),
        ([math.inf, 0.0], "inf"),
        ([-math.inf, -math.inf], "no token"),
        ([], "non-empty"),
        ([[0.0, 1.0]], "dimension"),
    ],
)
def test_invalid_logits_are_an_error_with_filters(name: str, bad: Any, message: str) -> None:
    sampler = Sampler(1.0, **RANDOM[name](np.random.default_rng(0)))
    for call in (sampler.draw, sampler.propose, sampler.probabilities):
        with pytest.raises(SamplingError, match=message):
            call(bad)


def test_a_contradiction_that_leaves_no_token_is_an_error() -> None:
    ban = {0: -math.inf, 1: -math.inf}
    with pytest.raises(SamplingError, match="logit_bias forbids all 2 tokens: allow at least one"):
        Sampler(logit_bias=ban).draw([1.0, 2.0])
    for call in (Sampler(logit_bias=ban).draw, Sampler(logit_bias=ban).probabilities):
        with pytest.raises(SamplingError, match="forbids every token"):
            call([1.0, 2.0, -math.inf])
    with pytest.raises(SamplingError, match="logit_bias has token 2, but the vocabulary has 2 tokens"):
        Sampler(logit_bias={2: 1.0}).draw([1.0, 2.0])


def test_a_distribution_of_no_filters_is_the_softmax() -> None:
    logits = np.random.default_rng(3).normal(size=20)
    np.testing.assert_allclose(Sampler(0.7).probabilities(logits), softmax_at(logits, 0.7), rtol=1e-12)
    assert Sampler(0.0, top_k=3).probabilities([1.0, 3.0, 3.0]).tolist() == [0.0, 1.0, 0.0]


def test_a_distribution_changes_no_state() -> None:
    sampler = Sampler(1.0, seed=1, repetition_penalty=1.5, mirostat_tau=2.0)
    logits = np.random.default_rng(4).normal(size=20)
    sampler.draw(logits)
    before = (sampler.position, sampler.filter_state)
    sampler.probabilities(logits)
    assert (sampler.position, sampler.filter_state) == before
    assert isinstance(before[1], FilterState)
