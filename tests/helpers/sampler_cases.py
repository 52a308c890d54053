"""Shared data of the sampler tests: logits, golden draws and the textbook's function."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

LOGITS = np.array([2.0, -1.0, 0.5, 0.5, -3.0, 1.9], np.float32)

finite_logits = arrays(
    np.float64, st.integers(1, 40), elements=st.floats(-1e300, 1e300, allow_nan=False, allow_infinity=False)
)
temperatures = st.one_of(st.just(0.0), st.floats(1e-300, 1e300), st.floats(0.05, 5.0))

# The first tokens that samplers with substream 0 and substream 3 draw. They must never change.
GOLDEN = [18, 14, 15, 19, 19, 12, 10, 13, 16, 13, 18, 18, 11, 17, 2, 17, 19, 19, 18, 15]
GOLDEN_SUBSTREAM_3 = [10, 11, 14, 19, 18, 18, 19, 17, 9, 14, 16, 17, 14, 17, 19, 17, 16, 13, 12, 18]


def textbook_reweight(distribution: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """The textbook's ``reweight_distribution`` in numpy."""
    weights = np.exp(np.log(distribution) / temperature)
    reweighted: NDArray[np.float64] = weights / np.sum(weights)
    return reweighted
