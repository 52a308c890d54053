"""The likeliest next tokens, and the log-probabilities of drawn tokens."""

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, Model


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
