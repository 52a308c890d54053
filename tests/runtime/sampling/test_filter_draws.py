"""With filters, the sampler draws each token with the probability that ``probabilities`` gives."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime import Sampler

from tests.helpers.filter_definitions import filtered, softmax_at, surprisal_bits
from tests.helpers.sampler_cases import GOLDEN, numpy_uniforms

LOGITS = np.random.default_rng(20).normal(0, 2, 25)
DRAWN = [3, 3, 9, 20, 3, 11, 9]

OPTIONS: dict[str, dict[str, Any]] = {
    "chain": {
        "top_k": 20,
        "typical_p": 0.97,
        "top_p": 0.95,
        "min_p": 0.01,
        "repetition_penalty": 1.2,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.1,
        "penalty_window": 5,
        "logit_bias": {2: 1.0, 7: -np.inf},
    },
    "mirostat chain": {
        "mirostat_tau": 3.0,
        "repetition_penalty": 1.2,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.1,
        "logit_bias": {2: 1.0, 7: -np.inf},
    },
}


def sampler_with(name: str, temperature: float, seed: int) -> Sampler:
    """Return a sampler that has drawn the tokens ``DRAWN``."""
    sampler = Sampler(temperature, seed, **OPTIONS[name])
    if sampler.filter_state is not None:
        sampler.filter_state = sampler.filter_state._replace(recent=tuple(DRAWN))
    return sampler


@pytest.mark.parametrize("name", OPTIONS)
def test_draws_invert_the_cumulative_probabilities_while_the_state_changes(name: str) -> None:
    sampler = sampler_with(name, 0.9, seed=6)
    rng = np.random.default_rng(5)
    for uniform in numpy_uniforms(6, 300):
        logits = rng.normal(0, 2, 25)
        cumulative = np.cumsum(sampler.probabilities(logits))
        assert sampler.draw(logits) == np.searchsorted(cumulative, uniform, side="right")


@pytest.mark.parametrize("name", OPTIONS)
def test_a_batch_draws_the_tokens_of_single_draws(name: str) -> None:
    rows = np.random.default_rng(8).normal(0, 2, (200, 25))
    batch, single = sampler_with(name, 0.9, seed=6), sampler_with(name, 0.9, seed=6)
    assert batch.draw_batch(rows).tolist() == [single.draw(row) for row in rows]
    assert batch.filter_state == single.filter_state


def test_filters_that_are_off_leave_the_golden_draws() -> None:
    logits = np.linspace(-2, 2, 20)
    off: dict[str, Any] = {
        "top_k": 0,
        "top_p": 1.0,
        "typical_p": 1.0,
        "min_p": 0.0,
        "penalty_window": 5,
        "mirostat_eta": 0.5,
    }
    assert [Sampler(0.8, 2024, **off).draw(logits)] == GOLDEN[:1]
    sampler = Sampler(0.8, 2024)
    drawn = [sampler.draw(logits) for _ in range(10)]
    # Filters that are turned off again leave no trace.
    sampler.filters = sampler.filters.replace(top_k=20, repetition_penalty=1.01, mirostat_tau=0.0)
    sampler.filters = sampler.filters.replace(top_k=0, repetition_penalty=1.0)
    assert drawn + [sampler.draw(logits) for _ in range(10)] == GOLDEN


def test_a_filter_that_keeps_every_token_leaves_the_golden_draws() -> None:
    logits = np.linspace(-2, 2, 20)
    options: dict[str, Any]
    for options in ({"top_k": 20}, {"min_p": 1e-9}, {"mirostat_tau": 100.0}, {"logit_bias": {3: 1e-300}}):
        sampler = Sampler(0.8, 2024, **options)
        assert [sampler.draw(logits) for _ in range(20)] == GOLDEN


def surprisals(sampler: Sampler) -> NDArray[np.float64]:
    """Draw from a fixed random process, and return the surprisal of each token at temperature 1, in bits."""
    rows = np.random.default_rng(12).normal(0, 3, (10_000, 59))
    return np.array([surprisal_bits(row)[sampler.draw(row)] for row in rows])


@pytest.mark.parametrize(("tau", "temperature"), [(1.3, 1.0), (1.9, 0.8)])
def test_the_mean_surprisal_of_mirostat_approaches_tau(tau: float, temperature: float) -> None:
    assert surprisals(Sampler(temperature, seed=1)).mean() > tau + 0.1
    eta = 0.05
    sampler = Sampler(temperature, seed=1, mirostat_tau=tau, mirostat_eta=eta)
    bits = surprisals(sampler)
    assert bits.mean() == pytest.approx(tau, abs=0.02)
    # The sum of all corrections is the change of mu from its start at twice tau.
    state = sampler.filter_state
    assert state is not None
    assert state.mirostat_mu == pytest.approx(2 * tau - eta * (bits - tau).sum(), abs=1e-6)


@pytest.mark.parametrize("window", [1, 7, 1024])
def test_penalties_count_the_latest_tokens_exactly(window: int) -> None:
    sampler = Sampler(1.0, seed=3, frequency_penalty=0.2, presence_penalty=0.1, penalty_window=window)
    rng = np.random.default_rng(9)
    drawn: list[int] = []
    for step in range(1300):
        logits = rng.normal(size=12)
        if step % 50 < 3 or step > 1290:
            expected = softmax_at(filtered(logits, sampler.filters, drawn), 1.0)
            np.testing.assert_allclose(sampler.probabilities(logits), expected, rtol=1e-9)
            assert sampler.filter_state == (tuple(drawn[-window:]), 0.0)
        drawn.append(sampler.draw(logits))
