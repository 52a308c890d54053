"""Check probability distributions, and compute their entropy, with numpy."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textgen_runtime.errors import SamplingError


def as_probabilities(values: ArrayLike) -> NDArray[np.floating[Any]]:
    """Convert values to a float32 or float64 array of shape [n] and check it.

    Raises:
        SamplingError: If a value is negative, NaN or infinite, if all values are 0, or if the shape is not
            [n] with n >= 1.
    """
    array = np.asarray(values)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if array.ndim != 1 or array.size == 0:
        raise SamplingError(
            f"probabilities must be a non-empty array of 1 dimension, not of shape {array.shape}"
        )
    if not np.all(np.isfinite(array)) or np.any(array < 0):
        raise SamplingError(
            "probabilities must be finite and 0 or more; softmax(logits) computes them from logits"
        )
    if not np.any(array > 0):
        raise SamplingError("probabilities must not all be 0")
    return array


def entropy(probabilities: ArrayLike) -> float:
    """Compute the entropy of a distribution, in bits.

    The entropy is 0 if one token has probability 1, and log2(n) if n tokens are equally likely.
    ``entropy(reweight(probabilities, temperature))`` is the entropy of probabilities at a temperature.
    ``entropy(softmax(logits, temperature))`` is the entropy of logits at a temperature.

    Args:
        probabilities: Array-like of shape [n]. Each value is finite and 0 or more, and at least one is not 0.
            The sum need not be 1.

    Returns:
        A float from 0 to log2(n).

    Raises:
        SamplingError: If ``probabilities`` is invalid.
    """
    array = as_probabilities(probabilities).astype(np.float64)
    # Division by the maximum prevents overflow of the sum.
    with np.errstate(under="ignore"):
        weights = array / array.max()
    # The limit of p log p at 0 is 0.
    weights = weights[weights > 0.0]
    total = weights.sum()
    nats = np.log(total) - np.dot(weights, np.log(weights)) / total
    # Rounding can give a value slightly below 0.
    return max(0.0, float(nats / np.log(2.0)))
