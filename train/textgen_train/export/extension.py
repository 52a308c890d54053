"""New symbols for a trained network: additional rows of its embedding and its output layer."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .graph_builder import LayerWeights

# The rows of a symbol that does not occur in the training text, but in the held-out text, need a frequency.
PSEUDOCOUNT = 0.5


def add_symbols(weights: Sequence[LayerWeights], counts: NDArray[np.int64]) -> list[LayerWeights]:
    """Return the weights of a network with a larger vocabulary. The new symbols are the last ones.

    The new rows of the embedding and of the output weights are the means of the existing rows. The output
    bias of a new symbol gives it the ratio of its frequency to that of all other symbols, as far as the
    biases alone determine the probabilities.

    Args:
        weights: The arrays of each layer, from the embedding to the output.
        counts: How often each symbol of the larger vocabulary occurs in the training text; shape
            [vocabulary], int64.
    """
    embedding, *layers, output = weights
    known = len(output["bias"])
    new = len(counts) - known
    bias = output["bias"].astype(np.float64)
    total = np.logaddexp.reduce(bias)
    new_bias = total + np.log((counts[known:] + PSEUDOCOUNT) / max(counts[:known].sum(), 1))
    return [
        {"weight": _add_mean_rows(embedding["weight"], new)},
        *layers,
        {
            "weight": _add_mean_rows(output["weight"], new),
            "bias": np.concatenate([bias, new_bias]).astype(np.float32),
        },
    ]


def _add_mean_rows(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    mean = rows.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    return np.concatenate([rows, np.repeat(mean, count, axis=0)])
