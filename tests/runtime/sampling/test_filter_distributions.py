"""Distributions agree with their formulas, and each parameter of the filters reaches that of the next draw.

``tests/core/sampler.c`` compares the filters with their definitions.
"""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from textgen_runtime import Sampler, SamplingError, entropy, reweight, softmax

FINITE_LOGITS = arrays(
    np.float64, st.integers(1, 40), elements=st.floats(-1e300, 1e300, allow_nan=False, allow_infinity=False)
)
TEMPERATURES = st.just(0.0) | st.floats(1e-300, 1e300) | st.floats(0.05, 5.0)
LOGITS = np.array([2.0, -1.0, 0.5, 0.5, -3.0, 1.9], np.float32)

LN2 = math.log(2)
# Of the probabilities 1/4, 1/8, 1/2 and 1/8. The surprisals are 2, 3, 1 and 3 bits; the entropy is 1.75 bits.
KNOWN = [-2 * LN2, -3 * LN2, -LN2, -3 * LN2]

CHAIN: dict[str, Any] = {
    "repetition_penalty": 1.2,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "logit_bias": {2: 1.0, 7: -math.inf},
}
TRUNCATIONS: dict[str, Any] = {"top_k": 20, "typical_p": 0.97, "top_p": 0.95, "min_p": 0.01}


@pytest.mark.parametrize(
    ("options", "recent", "weights"),
    [
        ({}, (), [2, 1, 4, 1]),
        ({"top_k": 1}, (), [0, 0, 1, 0]),
        ({"top_k": 3}, (), [2, 1, 4, 0]),
        ({"typical_p": 0.24}, (), [1, 0, 0, 0]),
        ({"top_p": 0.51}, (), [2, 0, 4, 0]),
        ({"min_p": 0.51}, (), [0, 0, 1, 0]),
        ({"mirostat_tau": 1.1}, (), [2, 0, 4, 0]),
        ({"logit_bias": {1: LN2, 2: -math.inf}}, (), [2, 2, 0, 1]),
        ({"repetition_penalty": 2.0}, (2,), [2, 1, 2, 1]),
        ({"frequency_penalty": LN2}, (2, 2), [2, 1, 1, 1]),
        ({"presence_penalty": LN2}, (2, 2), [2, 1, 2, 1]),
        ({"presence_penalty": LN2, "penalty_window": 1}, (2, 0), [1, 1, 4, 1]),
        # The penalty comes before the truncation.
        ({"presence_penalty": 2 * LN2, "top_k": 1}, (2,), [1, 0, 0, 0]),
    ],
)
def test_each_parameter_changes_the_distribution(
    options: dict[str, Any], recent: tuple[int, ...], weights: list[float]
) -> None:
    sampler = Sampler(1.0, **options)
    for token in recent:
        assert sampler.draw(np.where(np.arange(4) == token, 1e6, 0.0)) == token
    for logits in (KNOWN, np.array(KNOWN, np.float32)):
        expected = np.array(weights) / sum(weights)
        np.testing.assert_allclose(sampler.probabilities(logits), expected, rtol=1e-6)
    assert weights[sampler.draw(KNOWN)] > 0


@pytest.mark.parametrize(
    "options", [CHAIN | TRUNCATIONS, CHAIN | {"mirostat_tau": 3.0}], ids=["all", "mirostat"]
)
def test_a_batch_draws_the_tokens_of_single_draws(options: dict[str, Any]) -> None:
    rows = np.random.default_rng(8).normal(0, 2, (25, 200)).T
    rows.flags.writeable = False
    batch, single = Sampler(0.9, 6, **options), Sampler(0.9, 6, **options)
    assert batch.draw_batch(rows).tolist() == [single.draw(row) for row in rows]
    assert batch.draw(rows[0]) == single.draw(rows[0])


def test_a_contradiction_that_leaves_no_token_is_an_error() -> None:
    ban = {0: -math.inf, 1: -math.inf}
    with pytest.raises(SamplingError, match="logit_bias forbids every token"):
        Sampler(logit_bias=ban).draw([1.0, 2.0])
    for call in (Sampler(logit_bias=ban).draw, Sampler(logit_bias=ban).probabilities):
        with pytest.raises(SamplingError, match="no token is allowed"):
            call([1.0, 2.0, -math.inf])
    with pytest.raises(SamplingError, match="logit_bias has token 2, but the vocabulary has 2 tokens"):
        Sampler(logit_bias={2: 1.0}).draw([1.0, 2.0])


def test_a_distribution_changes_no_state() -> None:
    sampler = Sampler(1.0, seed=1, repetition_penalty=1.5, mirostat_tau=2.0)
    logits = np.random.default_rng(4).normal(size=20)
    sampler.draw(logits)
    before = sampler.probabilities(logits)
    assert sampler.probabilities(logits).tolist() == before.tolist()
    assert sampler.position == 1


@pytest.mark.parametrize("temperature", [0.1, 0.2, 0.5, 1.0, 1.2, 5.0])
def test_reweight_equals_the_textbook_function(temperature: float) -> None:
    distribution = np.random.default_rng(1).dirichlet(np.ones(59))
    weights = np.exp(np.log(distribution) / temperature)
    expected = weights / np.sum(weights)
    np.testing.assert_allclose(reweight(distribution, temperature), expected, rtol=1e-12, atol=1e-300)


def test_reweight_keeps_zeros_and_normalizes() -> None:
    np.testing.assert_allclose(reweight([0.0, 2.0, 0.0, 6.0], 0.5), [0.0, 0.1, 0.0, 0.9])


def test_reweight_at_temperature_zero_is_one_hot_and_the_lowest_index_wins_a_tie() -> None:
    assert reweight([0.2, 0.4, 0.4], 0).tolist() == [0.0, 1.0, 0.0]


@given(FINITE_LOGITS, TEMPERATURES)
def test_softmax_equals_the_formula_in_numpy(logits: NDArray[np.float64], temperature: float) -> None:
    with np.errstate(over="ignore"):
        scaled = logits - np.max(logits)
        expected = (
            np.exp(scaled / temperature) if temperature else (np.arange(len(logits)) == np.argmax(logits))
        )
    np.testing.assert_allclose(softmax(logits, temperature), expected / expected.sum(), rtol=1e-12)


def test_entropy_equals_the_formula_in_bits() -> None:
    assert entropy(np.full(8, 0.125)) == pytest.approx(3.0)
    assert entropy([1.0, 0.0]) == 0.0
    assert entropy([3.0, 1.0]) == pytest.approx(entropy([0.75, 0.25]))
    assert entropy([1e308, 1e308, 1e-320]) == pytest.approx(1.0)
    assert entropy([0.1] * 3) <= math.log2(3) + 1e-15
    for temperature in (0.0, 0.2, 0.7, 1.2):
        probabilities = softmax(LOGITS, temperature)
        expected = -sum(p * math.log2(p) for p in probabilities if p > 0)
        assert entropy(probabilities) == pytest.approx(expected, abs=1e-12)
        assert entropy(reweight(softmax(LOGITS), temperature)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "bad", [LOGITS, [0.5, math.nan], [0.0, 0.0], [0.5, math.inf], [0.5, -0.1], [], [[0.5, 0.5]]]
)
def test_entropy_and_reweight_reject_the_same_arguments(bad: Any) -> None:
    for function in (entropy, reweight):
        with pytest.raises(SamplingError, match="probabilities"):
            function(bad)
    with pytest.raises(SamplingError, match=r"softmax\(logits\)"):
        entropy(LOGITS)
