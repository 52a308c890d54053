"""An interpolated modified Kneser-Ney character n-gram: the model to beat that needs no training.

After S. F. Chen and J. Goodman, An Empirical Study of Smoothing Techniques for Language Modeling, Harvard
TR-10-98, 1998: three discounts for each order, estimated from its counts of counts; below the highest order,
a character counts once for each different one that it was seen behind.
"""

import math
from collections import Counter
from dataclasses import dataclass

# n-grams seen once, twice, and three times or more are discounted differently.
CLASSES = 3


@dataclass(frozen=True)
class Order:
    """One order's counts.

    Attributes:
        counts: Of each n-gram: how often it was seen, or behind how many different characters.
        totals: Of each context, the sum over the characters that followed it.
        kinds: Of each context, how many characters followed it once, twice, and more often.
        discounts: What is taken off a count of one, two, and more.
    """

    counts: Counter[str]
    totals: Counter[str]
    kinds: dict[str, list[int]]
    discounts: tuple[float, float, float]


class KneserNey:
    """The model.

    Args:
        text: What to count.
        order: The longest n-grams; a character is predicted from the ``order - 1`` before it.
        vocabulary_size: How many different characters there may be.
    """

    def __init__(self, text: str, order: int, vocabulary_size: int) -> None:
        self.order = order
        self._uniform = 1.0 / vocabulary_size
        grams = Counter(text[i : i + order] for i in range(len(text) - order + 1))
        self._orders = [_order(grams)]
        for n in range(order - 1, 0, -1):
            # How many different characters a shorter n-gram was seen behind: its longer ones, once each.
            longer = Counter(text[i : i + n + 1] for i in range(len(text) - n)) if n + 1 < order else grams
            self._orders.insert(0, _order(Counter(gram[1:] for gram in longer)))

    @property
    def parameter_count(self) -> int:
        """How many counts it keeps, of n-grams of all orders."""
        return sum(len(order.counts) for order in self._orders)

    def probability(self, context: str, symbol: str) -> float:
        """Of a character behind a context; longer contexts than it looks at are cut."""
        probability = self._uniform
        for n, order in enumerate(self._orders, 1):
            before = context[len(context) - n + 1 :]
            total = order.totals.get(before)
            if len(before) < n - 1 or not total:
                break
            count = order.counts.get(before + symbol, 0)
            kept = count - order.discounts[min(count, CLASSES) - 1] if count else 0.0
            freed = sum(
                discount * kinds for discount, kinds in zip(order.discounts, order.kinds[before], strict=True)
            )
            probability = (kept + freed * probability) / total
        return probability

    def nats_per_character(self, before: str, text: str) -> float:
        """Mean negative log-probability of a text that stands behind another."""
        whole = before[max(0, len(before) - self.order + 1) :] + text
        start = len(whole) - len(text)
        return math.fsum(
            -math.log(self.probability(whole[max(0, i - self.order + 1) : i], whole[i]))
            for i in range(start, len(whole))
        ) / len(text)


def _order(counts: Counter[str]) -> Order:
    totals: Counter[str] = Counter()
    kinds: dict[str, list[int]] = {}
    for gram, count in counts.items():
        context = gram[:-1]
        totals[context] += count
        kinds.setdefault(context, [0] * CLASSES)[min(count, CLASSES) - 1] += 1
    return Order(counts, totals, kinds, _discounts(Counter(counts.values())))


def _discounts(of_counts: Counter[int]) -> tuple[float, float, float]:
    """Equation 26 of the report; half a count where a short text leaves too few n-grams to estimate from."""
    seen = [of_counts[i] for i in range(1, CLASSES + 2)]
    if not all(seen):
        return 0.5, 0.5, 0.5
    share = seen[0] / (seen[0] + 2 * seen[1])
    first, second, third = (
        min(max(i + 1 - (i + 2) * share * seen[i + 1] / seen[i], 0.0), i + 1.0) for i in range(CLASSES)
    )
    return first, second, third
