"""The definition of each filter in numpy, from its source: see the docstring of ``Filters``."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from textgen_runtime import Filters, FilterState

Floats = NDArray[np.float64]
Tokens = NDArray[np.int64]


def likeliest_first(logits: Floats) -> Tokens:
    """Return the possible tokens by descending logit. The lowest id comes first of equal ones."""
    return np.array(sorted(np.flatnonzero(logits > -np.inf), key=lambda token: (-logits[token], token)))


def keep(logits: Floats, tokens: Tokens) -> Floats:
    kept = np.full_like(logits, -np.inf)
    kept[tokens] = logits[tokens]
    return kept


def weights_of(logits: Floats) -> Floats:
    """Return the probabilities at temperature 1, relative to the largest one."""
    weights: Floats = np.exp(logits - logits.max())
    return weights


def fewest_with(order: Tokens, logits: Floats, p: float) -> Tokens:
    """Return the first tokens of an order that have at least the probability p together."""
    weights = weights_of(logits)
    enough = np.cumsum(weights[order]) >= p * weights.sum()
    return order[: int(np.argmax(enough)) + 1] if enough.any() else order


def bias(logits: Floats, logit_bias: Sequence[tuple[int, float]]) -> Floats:
    biased = logits.copy()
    for token, value in logit_bias:
        biased[token] += value
    return biased


def penalize(logits: Floats, filters: Filters, drawn: Sequence[int]) -> Floats:
    penalized = logits.copy()
    for token, count in Counter(drawn[-filters.penalty_window :]).items():
        if penalized[token] > 0:
            penalized[token] /= filters.repetition_penalty
        else:
            penalized[token] *= filters.repetition_penalty
        penalized[token] -= count * filters.frequency_penalty + filters.presence_penalty
    return penalized


def top_k(logits: Floats, k: int) -> Floats:
    return keep(logits, likeliest_first(logits)[:k])


def typical_p(logits: Floats, p: float) -> Floats:
    order = likeliest_first(logits)
    weights = weights_of(logits)
    with np.errstate(divide="ignore"):
        surprisals = -np.log(weights / weights.sum())
    possible = weights > 0
    entropy = (weights[possible] * surprisals[possible]).sum() / weights.sum()
    distances = np.abs(surprisals - entropy)
    # Sorting is stable, so that of equal distances the more likely token comes first.
    return keep(logits, fewest_with(order[np.argsort(distances[order], kind="stable")], logits, p))


def top_p(logits: Floats, p: float) -> Floats:
    return keep(logits, fewest_with(likeliest_first(logits), logits, p))


def min_p(logits: Floats, p: float) -> Floats:
    return keep(logits, np.flatnonzero((weights_of(logits) >= p) & (logits > -np.inf)))


def surprisal_bits(logits: Floats) -> Floats:
    """Return -log2 of the probability of each token at temperature 1."""
    surprisals: Floats = -(logits - logits.max() - np.log(weights_of(logits).sum())) / np.log(2)
    return surprisals


def mirostat(logits: Floats, mu: float) -> Floats:
    kept = set(np.flatnonzero(surprisal_bits(logits) <= mu)) | {int(np.argmax(logits))}
    return keep(logits, np.array(sorted(kept)))


def filtered(logits: Floats, filters: Filters, drawn: Sequence[int] = (), mu: float = 0.0) -> Floats:
    """Apply all filters: removed tokens become -inf.

    Args:
        logits: Array of shape [n].
        filters: The parameters.
        drawn: All tokens drawn so far.
        mu: The largest surprisal that mirostat allows, in bits.
    """
    result = penalize(bias(np.asarray(logits, np.float64), filters.logit_bias), filters, drawn)
    if filters.mirostat_tau:
        return mirostat(result, mu)
    if filters.top_k:
        result = top_k(result, filters.top_k)
    if filters.typical_p < 1:
        result = typical_p(result, filters.typical_p)
    if filters.top_p < 1:
        result = top_p(result, filters.top_p)
    if filters.min_p:
        result = min_p(result, filters.min_p)
    return result


def softmax_at(logits: Floats, temperature: float) -> Floats:
    weights = np.exp((logits - logits.max()) / temperature)
    probabilities: Floats = weights / weights.sum()
    return probabilities


def state_with(drawn: Sequence[int], filters: Filters) -> FilterState:
    """Return the state of filters after some tokens were drawn."""
    return FilterState(tuple(drawn[-filters.penalty_window :]), 0.0)
