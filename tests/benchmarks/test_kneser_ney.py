"""The n-gram that the models are measured against."""

import math
from collections import Counter

import pytest

from benchmarks.quality.kneser_ney import KneserNey, _discounts

TEXT = "the cat sat on the mat and the rat ate the oat that the cat had " * 3
ALPHABET = sorted(set(TEXT) | {"z"})


@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize("context", ["", "t", "th", "the c", "zzz", "ez", "on the "])
def test_probabilities_add_up_to_one(order: int, context: str) -> None:
    model = KneserNey(TEXT, order, len(ALPHABET))
    probabilities = [model.probability(context, symbol) for symbol in ALPHABET]
    assert all(probability > 0 for probability in probabilities)
    assert math.fsum(probabilities) == pytest.approx(1.0)


def test_a_bigram_worked_out_by_hand() -> None:
    """Text "ababac" with discounts of half a count: it is too short to estimate them."""
    model = KneserNey("ababac", 2, 3)
    # Each of the three symbols was seen behind one other: ab, ba, ac.
    a, b, c = (1 - 0.5) / 3, (1 - 0.5) / 3, (1 - 0.5) / 3
    spare = 3 * 0.5 / 3 / 3
    assert model.probability("", "a") == pytest.approx(a + spare)
    # a is followed by b twice and by c once.
    freed = (0.5 + 0.5) / 3
    assert model.probability("a", "b") == pytest.approx((2 - 0.5) / 3 + freed * (b + spare))
    assert model.probability("a", "c") == pytest.approx((1 - 0.5) / 3 + freed * (c + spare))
    assert model.probability("c", "b") == pytest.approx(b + spare)


def test_the_discounts_of_the_report() -> None:
    """Equation 26 by hand: 100, 40, 20 and 10 n-grams seen once to four times."""
    share = 100 / (100 + 2 * 40)
    expected = (1 - 2 * share * 40 / 100, 2 - 3 * share * 20 / 40, 3 - 4 * share * 10 / 20)
    assert _discounts(Counter({1: 100, 2: 40, 3: 20, 4: 10, 9: 5})) == pytest.approx(expected)


def test_the_score_of_a_text_is_the_mean_over_its_characters() -> None:
    model = KneserNey(TEXT, 4, len(ALPHABET))
    for before in ("the c", "th", ""):
        whole = before + "at zat"
        expected = [
            -math.log(model.probability(whole[max(0, i - 3) : i], whole[i]))
            for i in range(len(before), len(whole))
        ]
        assert model.nats_per_character(before, "at zat") == pytest.approx(sum(expected) / 6)


def test_a_higher_order_knows_its_own_text_better() -> None:
    scores = [KneserNey(TEXT, order, len(ALPHABET)).nats_per_character("", TEXT) for order in (1, 2, 4)]
    assert scores == sorted(scores, reverse=True)
