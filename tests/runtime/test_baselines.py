"""What a score is compared with: the Kneser-Ney n-gram model, and compressed sizes."""

import bz2
import gzip
import lzma
import math
import random

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime.baselines import COMPRESSORS, KneserNey, compressed_bits, discounts_from

TEXT = "the cat sat on the mat and the rat ate the oat that the cat had " * 3
ALPHABET = sorted(set(TEXT) | {"z"})


def tokens(text: str) -> NDArray[np.uint8]:
    return np.array([ALPHABET.index(symbol) for symbol in text], np.uint8)


def probability(model: KneserNey, context: NDArray[np.integer], token: int) -> float:
    return math.exp(-model.surprisals(np.array([token]), context)[0])


@pytest.mark.parametrize("order", [1, 2, 6])
@pytest.mark.parametrize("context", ["", "th", "zzz", "ez", "on the "])
def test_probabilities_sum_to_one(order: int, context: str) -> None:
    model = KneserNey(tokens(TEXT), order, len(ALPHABET))
    probabilities = [probability(model, tokens(context), token) for token in range(len(ALPHABET))]
    assert min(probabilities) > 0
    assert math.fsum(probabilities) == pytest.approx(1.0)


def test_a_trigram_model_matches_the_definition() -> None:
    """Counts, continuation counts and the interpolation, computed from dictionaries."""
    rng = random.Random(4)
    text = [rng.choice((0, 0, 0, 1, 1, 2)) for _ in range(400)]
    model = KneserNey(np.array(text), 3, 4)

    def grams(n: int) -> list[tuple[int, ...]]:
        return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]

    counts = {gram: grams(3).count(gram) for gram in set(grams(3))}
    for history in {gram[:2] for gram in counts}:
        expected = 0.25
        for n in (1, 2, 3):
            if n == 3:
                table = counts
            else:
                longer = set(grams(n + 1))
                table = {gram: sum(g[1:] == gram for g in longer) for gram in {g[1:] for g in longer}}
            discounts = discounts_from([list(table.values()).count(i) for i in range(5)])
            followers = {g: c for g, c in table.items() if g[:-1] == history[3 - n :]}
            freed = sum(discounts[min(c, 3) - 1] for c in followers.values())
            count = table.get((*history[3 - n :], 1), 0)
            kept = count - discounts[min(count, 3) - 1] if count else 0.0
            expected = (kept + freed * expected) / sum(followers.values())
        assert probability(model, np.array(history), 1) == pytest.approx(expected)


def test_discounts_match_equation_26() -> None:
    """There are 100, 40, 20 and 10 n-grams with counts of one to four."""
    y = 100 / (100 + 2 * 40)
    expected = (1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 10 / 20)
    assert discounts_from([7, 100, 40, 20, 10, 0, 5]) == pytest.approx(expected)


def test_each_token_is_predicted_from_the_tokens_before_it() -> None:
    model = KneserNey(tokens(TEXT), 4, len(ALPHABET))
    for before in ("the c", "th", ""):
        full_text = before + "at zat"
        expected = [
            -math.log(probability(model, tokens(full_text[:i]), ALPHABET.index(full_text[i])))
            for i in range(len(before), len(full_text))
        ]
        assert model.surprisals(tokens("at zat"), tokens(before)) == pytest.approx(expected)


def test_a_text_can_be_shorter_than_the_order() -> None:
    model = KneserNey(np.array([0, 1]), 7, 3)
    assert np.isfinite(model.surprisals(np.array([0, 1, 2, 0]))).all()
    # The continuation counts of ab, ba and ac, and the counts of the same bigrams.
    assert KneserNey(np.array([0, 1, 0, 1, 0, 2]), 2, 3).parameter_count == 3 + 3


def test_tokens_that_the_training_text_lacks_have_a_finite_surprisal() -> None:
    """All counts are large here, so the estimates of the discounts are zero or negative."""
    text = np.random.default_rng(0).integers(4, size=3000)
    model = KneserNey(text, 3, 6)
    assert np.isfinite(model.surprisals(np.array([0, 1, 5, 2, 4]), text)).all()
    assert discounts_from([0, 1, 1, 1, 30])[2] > 0


def test_each_compressor_uses_its_highest_level() -> None:
    """The highest level of each compressor gives another result for these texts than the level below."""
    rng = random.Random(0)
    block = "".join(rng.choices("abcdefgh", k=30_000))
    text = f"{block}é{block}" + "".join(rng.choices("ab", k=60_000))
    content = text.encode()
    sizes = compressed_bits(text)
    assert sizes == {
        "gzip": 8 * len(gzip.compress(content, 9)),
        "bz2": 8 * len(bz2.compress(content, 9)),
        "xz": 8 * len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)),
    }
    assert sizes["gzip"] < 8 * len(gzip.compress(content, 8))
    assert sizes["xz"] != 8 * len(lzma.compress(content, preset=9))
    # Both halves are in one block of bz2 only at the highest level.
    halves = rng.randbytes(430_000) * 2
    assert len(COMPRESSORS["bz2"](halves)) < len(bz2.compress(halves, 8))


def test_empty_text_can_be_compressed() -> None:
    assert compressed_bits("")["xz"] == 8 * len(lzma.compress(b""))
