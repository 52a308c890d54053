"""Constraints: every complete text meets its constraint and ends within its length."""

import re

import numpy as np
import pytest
from textgen_runtime import Batch, Model, Sampling, SamplingError

CHOICES = ["abc", "ab", "dad", "hé€", "cab cab"]


@pytest.mark.parametrize(
    "expression", ["[a-d]+", "a|bb|ccc", "(ab|c d){2,5}h", "[^h]{3}", "d.{0,4}é?", "(a|b)*c"]
)
@pytest.mark.parametrize("length", [6, 13, 40])
def test_a_text_matches_its_expression_and_ends_in_time(tiny: Model, expression: str, length: int) -> None:
    prompts = ["abc"] * 60
    if expression == "(ab|c d){2,5}h" and length == 6:
        assert re.fullmatch(expression, "ababh")
    texts = tiny.generate(prompts, length=length, seed=1, temperature=1.5, match=expression)
    for text in texts:
        assert len(text) <= length
        assert re.fullmatch(expression, text), text
    assert len(set(texts)) > 1


def test_a_text_is_one_of_its_choices(tiny: Model) -> None:
    texts = tiny.generate(["abc"] * 200, length=10, seed=2, temperature=3.0, choices=CHOICES)
    assert set(texts) == set(CHOICES)


def test_the_model_decides_where_a_text_ends(tiny: Model) -> None:
    """In an accepting state, the text ends with the probability of all characters that may not follow."""
    count = 2000
    texts = tiny.generate(["abc"] * count, length=1, seed=5, temperature=1.0, match="a*")
    probability = {token.text: token.probability for token in tiny.start("abc").top(100)}["a"]
    # A two-sided binomial test at a significance of about 1e-5, by the normal approximation.
    deviation = abs(texts.count("a") - count * probability) / np.sqrt(count * probability * (1 - probability))
    assert deviation < 4.4
    assert set(texts) == {"", "a"}


def test_the_end_of_the_expression_ends_the_text_for_good(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1, match="ab{3}")
    texts = [(generation.take(length), generation.ending) for length in (2, 100, 100)]
    assert texts == [("ab", "length"), ("bb", "constraint"), ("", "constraint")]
    generation.feed("c")
    assert generation.take(100) == "abbb"


def test_several_calls_give_the_text_of_one(tiny: Model) -> None:
    for seed in range(20):
        whole = tiny.start("abc", seed=seed, temperature=2.0, match="[a-h ]+é")
        parts = whole.copy()
        text = whole.take(50)
        assert "".join(parts.take(1) for _ in range(50)) == text


def test_a_text_that_the_model_has_ended_does_not_go_on(tiny: Model) -> None:
    endings = set()
    for seed in range(30):
        generation = tiny.start("abc", seed=seed, temperature=1.0, match="[a-h]*")
        generation.take(20)
        endings.add(generation.ending)
        if generation.ending == "constraint":
            assert generation.take(20) == ""
            assert generation.ending == "constraint"
    assert "constraint" in endings


def test_a_text_that_is_not_complete_is_not_resampled(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1, match="a{5}", resample=3)
    assert generation.take(2) == "aa"
    assert generation.take(3, finish=True) == "aaa"


def test_a_constraint_that_changes_starts_a_new_text(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1, match="ab")
    assert generation.take(1) == "a"
    generation.sampling = generation.sampling.replace(temperature=1.0)
    assert generation.take(10) == "b"
    generation.sampling = Sampling(match="dd")
    assert generation.take(10) == "dd"


def test_a_length_that_is_too_short_for_the_constraint_is_an_error(tiny: Model) -> None:
    with pytest.raises(SamplingError, match="at least 5 tokens, but the length is 4: use a greater length"):
        tiny.generate("abc", length=4, match="a{5}")
    # take() without finish continues later.
    generation = tiny.start("abc", match="a{5}")
    assert generation.take(4) + generation.take(4) == "aaaaa"


def test_resample_takes_the_first_unmasked_text_that_matches(tiny: Model) -> None:
    sampling = Sampling(temperature=1.0, match="[ah ]{3}", resample=5)
    numbers = []
    for seed in range(60):
        # The tokens that one stream draws without a mask, text after text.
        attempts = tiny.start("abc", seed=seed, temperature=1.0)
        expected, ending = None, "constraint"
        for number in range(5):
            text, start = "", attempts.copy()
            while len(text) < 3:
                text += attempts.take(1)
                if not re.fullmatch("[ah ]*", text):
                    break
            start.reseed(attempts.seed, attempts.substream, attempts.drawn)
            attempts = start
            if re.fullmatch("[ah ]{3}", text):
                expected = text
                numbers.append(number)
                break
        else:
            ending = "masked"
        generation = tiny.start("abc", seed=seed, sampling=sampling)
        text = generation.take(3, finish=True)
        assert generation.ending == ending
        if expected is None:
            assert re.fullmatch("[ah ]{3}", text)
        else:
            assert text == expected
        assert tiny.generate("abc", length=3, seed=seed, sampling=sampling) == text
    # Some texts were found only after others, and some not at all.
    assert max(numbers) > 0
    assert len(numbers) < 60


def test_unmasked_texts_are_not_returned_before_they_have_ended(tiny: Model) -> None:
    batch = Batch(tiny)
    for i in range(8):
        batch.add(tiny.start("abc", seed=4, substream=i, temperature=1.0, match="[a-h ]{20}", resample=3), 20)
    texts: dict[int, str] = {}
    while batch:
        for chunk in batch.advance(3):
            # A text of several chunks without the mask is returned as one, with all its tokens.
            assert chunk.tokens == len(chunk.text)
            if chunk.text:
                texts[id(chunk.generation)] = texts.get(id(chunk.generation), "") + chunk.text
    assert all(re.fullmatch("[a-h ]{20}", text) for text in texts.values())
    assert len(texts) == 8


def test_a_masked_text_says_so_after_any_number_of_chunks(tiny: Model) -> None:
    batch = Batch(tiny)
    batch.add(tiny.start("abc", seed=0, temperature=1.0, match="h{6}", resample=1), 6)
    chunks = []
    while batch:
        chunks += batch.advance(2)
    assert [(chunk.text, chunk.ending) for chunk in chunks[-3:]] == [
        ("hh", None),
        ("hh", None),
        ("hh", "masked"),
    ]
