"""The likeliest next tokens, completions of words, and the log-probabilities of drawn tokens."""

import itertools

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, CharacterTokenizer, Model, PromptError
from textgen_runtime.generation.completion import length_penalty, word_tokens

from tests.helpers.make_tiny_model import make_model


def test_the_next_tokens_have_the_probabilities_of_the_model_and_of_the_draw(tiny: Model) -> None:
    generation = tiny.start("abc", temperature=0.5)
    tokens = generation.top(100)
    probabilities = textgen.softmax(generation.logits)
    assert sorted(each.token for each in tokens) == list(range(len(tiny.tokenizer)))
    for each in tokens:
        assert each.text == tiny.tokenizer.symbols[each.token]
        assert each.probability == probabilities[each.token]
        assert each.draw_probability == textgen.softmax(generation.logits, 0.5)[each.token]
    assert generation.top(3) == sorted(tokens, key=lambda each: -each.draw_probability)[:3]
    with pytest.raises(ValueError, match="count must be 1 or more, not 0"):
        generation.top(0)


def test_the_next_tokens_show_filters_and_constraints(tiny: Model) -> None:
    filtered = tiny.start("abc", temperature=1.0, top_k=3).top(5)
    assert [each.draw_probability > 0 for each in filtered] == [True, True, True, False, False]
    assert sum(each.draw_probability for each in filtered) == pytest.approx(1)
    assert filtered[3].probability >= filtered[4].probability > 0
    constrained = tiny.start("abc", temperature=1.0, match="[ad]x?|[ad]b").top(3)
    assert {each.text for each in constrained[:2]} == {"a", "d"}
    assert constrained[2].draw_probability == 0


def test_no_token_follows_a_complete_text(tiny: Model) -> None:
    generation = tiny.start("abc", match="ad")
    assert len(generation.top(3)) == 3
    assert generation.take(9) == "ad"
    assert generation.top(3) == []
    generation.feed("a")
    assert len(generation.top(3)) == 3


def word_probabilities(model: Model, prefix: str, length: int) -> dict[str, float]:
    """The probability of each word of at most ``length`` letters after a prefix, by enumeration."""
    letters = [symbol for symbol in model.tokenizer.symbols if symbol.isalnum()]
    probabilities = {}
    for size in range(1, length + 1):
        for word in itertools.product(letters, repeat=size):
            generation = model.start(prefix)
            probability = 1.0
            for letter in word:
                probability *= {each.text: each.probability for each in generation.top(100)}[letter]
                generation.feed(letter)
            end = sum(each.probability for each in generation.top(100) if not each.text.isalnum())
            probabilities["".join(word)] = probability * end
    return probabilities


def test_completions_are_the_likeliest_words(tiny: Model) -> None:
    completions = tiny.complete("dad h", 40)
    assert len(completions) == 40
    expected = word_probabilities(tiny, "dad h", 2)
    for completion in completions:
        if len(completion.text) <= 2:
            assert completion.probability == pytest.approx(expected.pop(completion.text), rel=1e-4)
    assert max(expected.values()) <= completions[-1].probability * (1 + 1e-4)
    assert completions == sorted(completions, key=lambda each: -each.probability)
    assert tiny.complete("dad h", 3) == completions[:3]


def test_length_normalization_favors_longer_words(tiny: Model) -> None:
    assert length_penalty(1, 0.6) == 1.0
    short = np.mean([len(each.text) for each in tiny.complete("dad h", 8)])
    long = np.mean([len(each.text) for each in tiny.complete("dad h", 8, length_normalization=1.0)])
    assert long > short


def test_a_long_word_can_be_better_than_shorter_ones_that_were_found_first() -> None:
    """All tokens are about equally likely, and one of eight continues a word."""
    model = textgen.load(make_model(" .,!?;:a", scale=1e-3).SerializeToString())
    best = [model.complete("a", 1, length_normalization=factor)[0].text for factor in (0.0, 2.0)]
    assert best == ["a", "a" * 40]


def test_a_word_has_letters_digits_and_marks() -> None:
    tokenizer = CharacterTokenizer("aé7\u0301'-\u2019 .\n")
    assert word_tokens(tokenizer).tolist() == [True] * 7 + [False] * 3


def test_completions_normalize_and_check_the_prefix(tiny: Model) -> None:
    assert tiny.complete("DAD H") == tiny.complete("dad h")
    with pytest.raises(PromptError, match="vocabulary"):
        tiny.complete("xyz")
    with pytest.raises(PromptError, match="empty"):
        tiny.complete("")
    with pytest.raises(ValueError, match="count must be 1 or more, not 0"):
        tiny.complete("a", 0)
    with pytest.raises(ValueError, match="length_normalization must be"):
        tiny.complete("a", length_normalization=float("nan"))


def test_log_probabilities_are_those_of_the_model(tiny: Model) -> None:
    generation = tiny.start("abc", seed=3, temperature=0.7, top_k=4)
    generation.keep_logprobs = True
    follower = tiny.start("abc")
    batch = Batch(tiny)
    batch.add(generation, 20)
    text, logprobs = "", list[float]()
    while batch:
        (chunk,) = batch.advance(7)
        assert chunk.logprobs is not None
        text += chunk.text
        logprobs += chunk.logprobs
    assert len(logprobs) == len(text) == 20
    for character, logprob in zip(text, logprobs, strict=True):
        probability = {each.text: each.probability for each in follower.top(100)}[character]
        assert logprob == pytest.approx(np.log(probability), abs=1e-5)
        follower.feed(character)
