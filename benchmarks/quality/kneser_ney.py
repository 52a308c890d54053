"""A character n-gram model with interpolated modified Kneser-Ney smoothing, as a baseline.

Source: S. F. Chen and J. Goodman, An Empirical Study of Smoothing Techniques for Language Modeling, Harvard
TR-10-98, 1998. Each order has three discounts, which are estimated from its counts of counts. The highest
order uses the counts of n-grams. Lower orders use continuation counts: the number of different characters
that precede an n-gram.
"""

import math
from collections import Counter
from dataclasses import dataclass

# The discount depends on the count: one, two, or three and more.
DISCOUNTS = 3


@dataclass(frozen=True)
class Order:
    """The counts of one order.

    Attributes:
        counts: By n-gram, its count or continuation count.
        totals: By context, the sum of the counts of the n-grams that begin with it.
        followers: By context, the number of different next characters with a count of one, of two, and of
            three or more.
        discounts: The discount of a count of one, of two, and of three or more.
    """

    counts: Counter[str]
    totals: Counter[str]
    followers: dict[str, list[int]]
    discounts: tuple[float, float, float]


class KneserNey:
    """An n-gram model of characters.

    Args:
        text: Training text.
        order: Length of the longest n-grams. A character is predicted from the previous ``order - 1``.
        vocabulary_size: Number of different characters.
    """

    def __init__(self, text: str, order: int, vocabulary_size: int) -> None:
        self.order = order
        self._uniform = 1.0 / vocabulary_size
        grams = Counter(text[i : i + order] for i in range(len(text) - order + 1))
        self._orders = [_order(grams)]
        for n in range(order - 1, 0, -1):
            # Continuation counts: each different (n + 1)-gram counts once for its last n characters.
            longer = Counter(text[i : i + n + 1] for i in range(len(text) - n)) if n + 1 < order else grams
            self._orders.insert(0, _order(Counter(gram[1:] for gram in longer)))

    @property
    def parameter_count(self) -> int:
        """The number of stored counts of all orders."""
        return sum(len(order.counts) for order in self._orders)

    def probability(self, context: str, symbol: str) -> float:
        """Return the probability of a character after a context. Only the end of the context is used."""
        probability = self._uniform
        for n, order in enumerate(self._orders, 1):
            history = context[len(context) - n + 1 :]
            total = order.totals.get(history)
            if len(history) < n - 1 or not total:
                break
            count = order.counts.get(history + symbol, 0)
            discounted = count - order.discounts[min(count, DISCOUNTS) - 1] if count else 0.0
            freed = sum(
                discount * number
                for discount, number in zip(order.discounts, order.followers[history], strict=True)
            )
            probability = (discounted + freed * probability) / total
        return probability

    def nats_per_character(self, before: str, text: str) -> float:
        """Return the mean negative log-likelihood of a text that continues the text ``before``."""
        full_text = before[max(0, len(before) - self.order + 1) :] + text
        start = len(full_text) - len(text)
        return math.fsum(
            -math.log(self.probability(full_text[max(0, i - self.order + 1) : i], full_text[i]))
            for i in range(start, len(full_text))
        ) / len(text)


def _order(counts: Counter[str]) -> Order:
    totals: Counter[str] = Counter()
    followers: dict[str, list[int]] = {}
    for gram, count in counts.items():
        context = gram[:-1]
        totals[context] += count
        followers.setdefault(context, [0] * DISCOUNTS)[min(count, DISCOUNTS) - 1] += 1
    return Order(counts, totals, followers, _discounts(Counter(counts.values())))


def _discounts(counts_of_counts: Counter[int]) -> tuple[float, float, float]:
    """Return the discounts by equation 26 of the source, or 0.5 if a count of counts in it is zero."""
    n = [counts_of_counts[i] for i in range(1, DISCOUNTS + 2)]
    if not all(n):
        return 0.5, 0.5, 0.5
    y = n[0] / (n[0] + 2 * n[1])
    first, second, third = (
        min(max(i + 1 - (i + 2) * y * n[i + 1] / n[i], 0.0), i + 1.0) for i in range(DISCOUNTS)
    )
    return first, second, third
