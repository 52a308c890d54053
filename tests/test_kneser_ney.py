"""The n-gram that the models are measured against."""

import math

import pytest

from benchmarks.quality.kneser_ney import KneserNey

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


def test_the_score_of_a_text_is_the_mean_over_its_characters() -> None:
    model = KneserNey(TEXT, 4, len(ALPHABET))
    before, text = "the c", "at zat"
    whole = before + text
    expected = [-math.log(model.probability(whole[i - 3 : i], whole[i])) for i in range(5, len(whole))]
    assert model.nats_per_character(before, text) == pytest.approx(sum(expected) / len(text))


def test_a_higher_order_knows_its_own_text_better() -> None:
    scores = [KneserNey(TEXT, order, len(ALPHABET)).nats_per_character("", TEXT) for order in (1, 2, 4)]
    assert scores == sorted(scores, reverse=True)
