"""The Kneser-Ney n-gram model."""

import math
from collections import Counter

import pytest

from benchmarks.quality.kneser_ney import KneserNey, _discounts

TEXT = "the cat sat on the mat and the rat ate the oat that the cat had " * 3
ALPHABET = sorted(set(TEXT) | {"z"})


@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize("context", ["", "t", "th", "the c", "zzz", "ez", "on the "])
def test_probabilities_sum_to_one(order: int, context: str) -> None:
    model = KneserNey(TEXT, order, len(ALPHABET))
    probabilities = [model.probability(context, symbol) for symbol in ALPHABET]
    assert all(probability > 0 for probability in probabilities)
    assert math.fsum(probabilities) == pytest.approx(1.0)


def test_bigram_probabilities_match_a_hand_calculation() -> None:
    """The text "ababac" is too short to estimate the discounts, which are therefore 0.5."""
    model = KneserNey("ababac", 2, 3)
    # Each of the three symbols is preceded by one other symbol: ab, ba, ac.
    a, b, c = (1 - 0.5) / 3, (1 - 0.5) / 3, (1 - 0.5) / 3
    spare = 3 * 0.5 / 3 / 3
    assert model.probability("", "a") == pytest.approx(a + spare)
    # "a" is followed by "b" twice and by "c" once.
    freed = (0.5 + 0.5) / 3
    assert model.probability("a", "b") == pytest.approx((2 - 0.5) / 3 + freed * (b + spare))
    assert model.probability("a", "c") == pytest.approx((1 - 0.5) / 3 + freed * (c + spare))
    assert model.probability("c", "b") == pytest.approx(b + spare)


def test_discounts_match_equation_26() -> None:
    """There are 100, 40, 20 and 10 n-grams with counts of one to four."""
    y = 100 / (100 + 2 * 40)
    expected = (1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 10 / 20)
    assert _discounts(Counter({1: 100, 2: 40, 3: 20, 4: 10, 9: 5})) == pytest.approx(expected)


def test_the_loss_is_the_mean_over_the_characters() -> None:
    model = KneserNey(TEXT, 4, len(ALPHABET))
    for before in ("the c", "th", ""):
        full_text = before + "at zat"
        expected = [
            -math.log(model.probability(full_text[max(0, i - 3) : i], full_text[i]))
            for i in range(len(before), len(full_text))
        ]
        assert model.nats_per_character(before, "at zat") == pytest.approx(sum(expected) / 6)


def test_a_higher_order_has_a_lower_training_loss() -> None:
    losses = [KneserNey(TEXT, order, len(ALPHABET)).nats_per_character("", TEXT) for order in (1, 2, 4)]
    assert losses == sorted(losses, reverse=True)
