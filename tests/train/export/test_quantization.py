"""8-bit weights: their bounds, and how near they are to the float32 weights."""

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_train.export.quantized_graph import MIN_SCALE, quantize_rows


def pairs(weights: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return the absolute sums of neighboring weights."""
    wide = weights[:, : weights.shape[1] // 2 * 2].astype(np.int64)
    sums: NDArray[np.int64] = np.abs(wide[:, ::2] + wide[:, 1::2])
    return sums


def random_rows(rows: int, columns: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 1, (rows, columns)).astype(np.float32)


@pytest.mark.parametrize("columns", [1, 2, 3, 7, 64])
def test_all_weights_and_pairs_are_within_their_bounds(columns: int) -> None:
    quantized = quantize_rows(random_rows(20_000, columns), bounds_pairs=True)
    assert np.abs(quantized.weights.astype(np.int64)).max() == 127
    assert pairs(quantized.weights).max(initial=0) <= 129
    # The products of two neighboring weights and inputs up to 254 are at most the largest 16-bit integer.
    assert np.iinfo(np.int16).max >= 254 * 129


@pytest.mark.parametrize("bounds_pairs", [False, True])
def test_a_weight_differs_by_at_most_half_of_its_scale(bounds_pairs: bool) -> None:
    rows = random_rows(1000, 9) * np.logspace(-20, 20, 1000, dtype=np.float32)[:, np.newaxis]
    quantized = quantize_rows(rows, bounds_pairs=bounds_pairs)
    errors = np.abs(quantized.values.astype(np.float64) - rows)
    assert (errors <= 0.5001 * quantized.scales[:, np.newaxis].astype(np.float64)).all()


def test_a_scale_is_the_smallest_that_the_bounds_allow() -> None:
    rows = random_rows(1000, 16)
    unbounded = quantize_rows(rows, bounds_pairs=False)
    np.testing.assert_allclose(unbounded.scales, np.abs(rows).max(axis=1) / 127, rtol=1e-6)
    bounded = quantize_rows(rows, bounds_pairs=True)
    largest_pairs = np.abs(rows[:, ::2] + rows[:, 1::2]).max(axis=1)
    expected = np.maximum(unbounded.scales, largest_pairs / 129)
    assert (bounded.scales >= expected * (1 - 1e-6)).all()
    # Rounding may require a scale that is larger by less than one part in 128.
    assert (bounded.scales <= expected * 129 / 128).all()
    assert np.mean(bounded.scales > expected * (1 + 1e-6)) < 0.1


def test_a_scale_is_raised_if_both_weights_of_a_pair_are_rounded_up() -> None:
    rows = np.array([[127, 0, 65.5, 63.5], [127, 0, -65.5, -63.5], [127, 0, 65.5, 63.4]], np.float32)
    assert np.rint(rows[0, 2]) + np.rint(rows[0, 3]) == 130
    quantized = quantize_rows(rows, bounds_pairs=True)
    assert pairs(quantized.weights)[:, 1].tolist() == [128, 128, 129]
    np.testing.assert_allclose(quantized.scales, [1, 1, 1], rtol=1e-3)
    assert (quantized.scales > 1).tolist() == [True, True, False]


def test_neighbors_are_the_weights_of_one_pair() -> None:
    """The weights 1 and 2 of a row are no pair."""
    quantized = quantize_rows(np.array([[0, 127, 127, 0]], np.float32), bounds_pairs=True)
    assert quantized.weights.tolist() == [[0, 127, 127, 0]]
    quantized = quantize_rows(np.array([[127, 127, 0, 0]], np.float32), bounds_pairs=True)
    assert quantized.weights.tolist() == [[64, 64, 0, 0]]
    quantized = quantize_rows(np.array([[127, -127, 3]], np.float32), bounds_pairs=True)
    assert quantized.weights.tolist() == [[127, -127, 3]]


@pytest.mark.parametrize("value", [0.0, 1e-45, 1e-38, 3e38])
def test_each_scale_is_a_positive_normal_number(value: float) -> None:
    """Rows of zeros and of the smallest and largest numbers."""
    quantized = quantize_rows(np.full((2, 3), value, np.float32), bounds_pairs=True)
    assert (quantized.scales >= MIN_SCALE).all()
    assert np.isfinite(quantized.scales).all()
    np.testing.assert_allclose(quantized.values, value, rtol=0.01, atol=MIN_SCALE / 2)
