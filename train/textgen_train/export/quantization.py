"""The 8-bit weights of a matrix: one scale for each output.

The weights of an output are its int8 weights times its scale. The module needs numpy, but not onnx or torch.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The largest absolute value of a weight. -128 is not used, so that the weights are symmetric.
MAX_WEIGHT = 127

# The largest absolute value of the sum of two neighboring weights. The native engine multiplies weights by
# inputs from 0 to 254. On processors with AVX2, it adds the two products as 16-bit integers: 254 * 129 is
# 32,766, and the largest is 32,767. Source: the project rnnoise bounds the scales of its weights in this way.
MAX_PAIR = 129

# The share by which a scale is raised at a time. Rounding changes the sum of a pair by at most 1, so a scale
# that is larger by 1 / 128 always suffices.
RAISE = 2.0**-14

# The smallest scale. Processors compute with smaller numbers slowly, or as zero.
MIN_SCALE = float(np.finfo(np.float32).tiny)


class QuantizedRows(NamedTuple):
    """A matrix with 8-bit weights.

    Attributes:
        weights: Shape [outputs, inputs], int8, from -127 to 127.
        scales: Shape [outputs], float32, all above 0.
    """

    weights: NDArray[np.int8]
    scales: NDArray[np.float32]

    @property
    def values(self) -> NDArray[np.float32]:
        """The weights as float32, shape [outputs, inputs]."""
        return self.weights * self.scales[:, np.newaxis]


def quantize_rows(rows: NDArray[np.float32], *, bounds_pairs: bool) -> QuantizedRows:
    """Return the 8-bit weights of a matrix with the smallest scales that the bounds allow.

    Args:
        rows: Shape [outputs, inputs], float32, finite.
        bounds_pairs: Whether the sum of the weights 2k and 2k + 1 of a row is at most 129 in absolute value.
            The rows of an embedding are not multiplied, and need no such bound.
    """
    exact = rows.astype(np.float64)
    scales = np.abs(exact).max(axis=1, initial=0.0) / MAX_WEIGHT
    if bounds_pairs:
        scales = np.maximum(scales, _largest_pairs(exact) / MAX_PAIR)
    scales = np.maximum(scales, MIN_SCALE).astype(np.float32)
    while True:
        weights = np.rint(exact / scales[:, np.newaxis].astype(np.float64))
        exceeds = np.abs(weights).max(axis=1, initial=0.0) > MAX_WEIGHT
        if bounds_pairs:
            exceeds |= _largest_pairs(weights) > MAX_PAIR
        if not exceeds.any():
            return QuantizedRows(weights.astype(np.int8), scales)
        # If both weights of a pair are rounded up, their sum can exceed the bound: 65.5 and 63.5 become 66
        # and 64.
        scales[exceeds] *= np.float32(1 + RAISE)


def _largest_pairs(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest absolute sum of two neighboring weights of each row, shape [outputs]."""
    paired = rows[:, : rows.shape[1] // 2 * 2]
    largest: NDArray[np.float64] = np.abs(paired[:, ::2] + paired[:, 1::2]).max(axis=1, initial=0.0)
    return largest
