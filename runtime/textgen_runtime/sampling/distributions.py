"""Distributions as numpy arrays: what they must be, and their entropy."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textgen_runtime.errors import SamplingError


def as_probabilities(values: ArrayLike) -> NDArray[np.floating[Any]]:
    """Numbers that a distribution can be made of, as a float32 or float64 array of shape [n].

    Raises:
        SamplingError: If they are not 0 or more each, finite and not all 0, or not of one dimension.
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
            "probabilities must be finite and 0 or more; softmax(logits) makes them from logits"
        )
    if not np.any(array > 0):
        raise SamplingError("probabilities are all 0: no distribution can be made of them")
    return array


def entropy(probabilities: ArrayLike) -> float:
    """Entropy of a distribution, in bits.

    0 bits: the next character is certain; log2(n) bits: all n are equally likely. It takes a distribution, as
    ``reweight`` does: the entropy at a temperature is ``entropy(reweight(probabilities, temperature))``, and
    that of logits is ``entropy(softmax(logits, temperature))``.

    Args:
        probabilities: Shape [n]: 0 or more each, finite, not all 0. They need not sum to 1.

    Returns:
        A float from 0 to log2(n).

    Raises:
        SamplingError: If the probabilities are not as stated.
    """
    array = as_probabilities(probabilities).astype(np.float64)
    # Divided by the largest first, so that no sum overflows.
    with np.errstate(under="ignore"):
        weights = array / array.max()
    # A probability of 0 adds nothing: p log p goes to 0 with p.
    weights = weights[weights > 0.0]
    total = weights.sum()
    nats = np.log(total) - np.dot(weights, np.log(weights)) / total
    # Rounding may leave less than nothing.
    return max(0.0, float(nats / np.log(2.0)))
