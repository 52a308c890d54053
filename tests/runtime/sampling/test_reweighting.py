"""``reweight``, ``softmax`` and ``entropy`` agree with their formulas."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from textgen_runtime import SamplingError, entropy, reweight, softmax

from tests.helpers.sampler_cases import LOGITS, finite_logits, temperatures, textbook_reweight


@pytest.mark.parametrize("temperature", [0.1, 0.2, 0.5, 1.0, 1.2, 5.0])
def test_reweight_equals_the_textbook_function(temperature: float) -> None:
    distribution = np.random.default_rng(1).dirichlet(np.ones(59))
    expected = textbook_reweight(distribution, temperature)
    np.testing.assert_allclose(reweight(distribution, temperature), expected, rtol=1e-12, atol=1e-300)


def test_reweight_keeps_zeros_and_normalizes() -> None:
    np.testing.assert_allclose(reweight([0.0, 2.0, 0.0, 6.0], 0.5), [0.0, 0.1, 0.0, 0.9])


def test_reweight_at_temperature_zero_is_one_hot_and_the_lowest_index_wins_a_tie() -> None:
    assert reweight([0.2, 0.4, 0.4], 0).tolist() == [0.0, 1.0, 0.0]


@given(finite_logits, temperatures)
def test_softmax_equals_the_formula_in_numpy(logits: NDArray[np.float64], temperature: float) -> None:
    with np.errstate(over="ignore"):
        scaled = logits - logits.max()
        expected = (
            np.exp(scaled / temperature) if temperature else (np.arange(len(logits)) == logits.argmax())
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
