"""Baselines for the loss of a model: compressors, and an n-gram model that trains in seconds.

The n-gram model has interpolated modified Kneser-Ney smoothing. Source: S. F. Chen and J. Goodman, An
Empirical Study of Smoothing Techniques for Language Modeling, Harvard TR-10-98, 1998. Each order has three
discounts, which are estimated from its counts of counts. The highest order uses the counts of n-grams. Lower
orders use continuation counts: the number of different tokens that precede an n-gram.
"""

import bz2
import gzip
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BITS_PER_BYTE = 8

# Bytes. The maximum is the dictionary size of xz's highest preset. A short text needs a dictionary no larger
# than the text, and xz allocates ten times the dictionary size before it reads a byte.
MAX_DICTIONARY_SIZE = 64 << 20
MIN_DICTIONARY_SIZE = 1 << 12

# The discount depends on the count: one, two, or three and more.
DISCOUNTS = 3

# A smaller discount would leave no probability for tokens that the training text does not have in a context.
MIN_DISCOUNT = 0.01


def _xz(content: bytes) -> bytes:
    dictionary_size = min(max(len(content), MIN_DICTIONARY_SIZE), MAX_DICTIONARY_SIZE)
    lzma2 = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary_size}
    return lzma.compress(content, filters=[lzma2])


# Each compressor uses its highest level.
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: gzip.compress(content, compresslevel=9),
    "bz2": lambda content: bz2.compress(content, compresslevel=9),
    "xz": _xz,
}


def compressed_bits(text: str) -> dict[str, int]:
    """Return the size in bits of a text in UTF-8, compressed by each compressor, with its headers.

    U+DC80 to U+DCFF stand for bytes that are not UTF-8.

    A compressor, unlike a trained model, has no knowledge of other texts. It therefore compresses short texts
    poorly.
    """
    content = text.encode("utf-8", "surrogateescape")
    return {name: BITS_PER_BYTE * len(compress(content)) for name, compress in COMPRESSORS.items()}


@dataclass(frozen=True)
class _Order:
    """The n-grams of one length. The id of an n-gram is its index in ``keys``.

    Attributes:
        keys: The different n-grams in order, each as the id of its first n - 1 tokens times the vocabulary
            size, plus its last token; int64.
        counts: The count or continuation count of each n-gram; int64. A continuation count is 0 if the n-gram
            occurs only at the start of the text.
        discounts: The discount of a count of 0, one, two, and three or more; float64.
        totals: By the id of the first n - 1 tokens, the sum of the counts; float64.
        freed: By the same id, the sum of the discounts; float64.
    """

    keys: NDArray[np.int64]
    counts: NDArray[np.int64]
    discounts: NDArray[np.float64]
    totals: NDArray[np.float64]
    freed: NDArray[np.float64]


class KneserNey:
    """An n-gram model of tokens, such as characters.

    Args:
        tokens: Training text, shape [tokens], of any integer type; at least one token.
        order: Length of the longest n-grams. A token is predicted from the previous ``order - 1``.
        vocabulary_size: Number of different tokens.
    """

    def __init__(self, tokens: NDArray[np.integer], order: int, vocabulary_size: int) -> None:
        self.order = min(order, len(tokens))
        self._vocabulary_size = vocabulary_size
        self._orders: list[_Order] = []
        text = tokens.astype(np.int64)
        # The id of the n-gram that begins at each position. There is one n-gram of length 0.
        ids = np.zeros(len(text) + 1, np.int64)
        contexts, keys, counts = 1, np.zeros(1, np.int64), np.zeros(1, np.int64)
        for n in range(1, self.order + 1):
            longer_keys, first, longer_ids, longer_counts = np.unique(
                ids[: len(text) - n + 1] * vocabulary_size + text[n - 1 :],
                return_index=True,
                return_inverse=True,
                return_counts=True,
            )
            if n > 1:
                # Each different n-gram counts once for its last n - 1 tokens.
                continuations = np.bincount(ids[first + 1], minlength=len(keys))
                self._orders.append(_order(keys, continuations, contexts, vocabulary_size))
                contexts = len(keys)
            ids, keys, counts = longer_ids, longer_keys, longer_counts
        self._orders.append(_order(keys, counts, contexts, vocabulary_size))

    @property
    def parameter_count(self) -> int:
        """The number of stored counts of all orders."""
        return sum(int(np.count_nonzero(order.counts)) for order in self._orders)

    def surprisals(
        self, tokens: NDArray[np.integer], context: NDArray[np.integer] | Sequence[int] = ()
    ) -> NDArray[np.float64]:
        """Return the negative log-probability of each token of a text, in nats.

        Args:
            tokens: A text, shape [tokens].
            context: The tokens before the text. Only the last ``order - 1`` are used.

        Returns:
            Shape [tokens], float64.
        """
        before = np.asarray(context, np.int64)[max(0, len(context) - self.order + 1) :]
        text = np.concatenate([before, tokens]).astype(np.int64)
        probabilities = np.full(len(text), 1.0 / self._vocabulary_size)
        # The id of the n-gram that begins at each position; -1 if it is not in the training text.
        ids = np.zeros(len(text) + 1, np.int64)
        for n, order in enumerate(self._orders[: len(text)], 1):
            history = ids[: len(text) - n + 1]
            keys = history * self._vocabulary_size + text[n - 1 :]
            places = np.minimum(np.searchsorted(order.keys, keys), len(order.keys) - 1)
            is_seen = (history >= 0) & (order.keys[places] == keys)
            counts = np.where(is_seen, order.counts[places], 0)
            totals = np.where(history >= 0, order.totals[history], 0.0)
            known = totals > 0
            discounted = counts - order.discounts[np.minimum(counts, DISCOUNTS)]
            mass = discounted + order.freed[history] * probabilities[n - 1 :]
            probabilities[n - 1 :][known] = mass[known] / totals[known]
            ids = np.where(is_seen, places, -1)
        surprisals: NDArray[np.float64] = -np.log(probabilities[len(before) :])
        return surprisals


def _order(keys: NDArray[np.int64], counts: NDArray[np.int64], contexts: int, vocabulary_size: int) -> _Order:
    discounts = np.array([0.0, *discounts_from(np.bincount(counts, minlength=DISCOUNTS + 2).tolist())])
    prefixes = keys // vocabulary_size
    return _Order(
        keys,
        counts,
        discounts,
        totals=np.bincount(prefixes, counts, contexts).astype(np.float64),
        freed=np.bincount(prefixes, discounts[np.minimum(counts, DISCOUNTS)], contexts).astype(np.float64),
    )


def discounts_from(counts_of_counts: Sequence[int]) -> tuple[float, float, float]:
    """Return the discounts by equation 26 of the source, or 0.5 if a count of counts in it is zero.

    Each is at least ``MIN_DISCOUNT``. On small texts, the equation can give 0 or less.

    Args:
        counts_of_counts: At index i, the number of n-grams with a count of i, at least to i = 4.
    """
    n = counts_of_counts[1 : DISCOUNTS + 2]
    if not all(n):
        return 0.5, 0.5, 0.5
    y = n[0] / (n[0] + 2 * n[1])
    first, second, third = (
        max(i + 1 - (i + 2) * y * n[i + 1] / n[i], MIN_DISCOUNT) for i in range(DISCOUNTS)
    )
    return first, second, third
