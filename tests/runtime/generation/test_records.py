"""Generation of records: texts that start from the initial state and end by themselves."""

from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, Generation, Model
from textgen_runtime.model import DEFAULT_RECORD_LENGTH

from tests.helpers.record_models import LEVELS, record_model


@pytest.fixture(params=[*((level, "native") for level in LEVELS), ("character", "onnxruntime")], ids=str)
def model(request: pytest.FixtureRequest) -> Model:
    """A model of each level, and one of the other engine, which sees no difference between levels."""
    level, engine = request.param
    return record_model(level, engine, end_bias=3.0)


def at_end(model: Model, **options: Any) -> Generation:
    """Return a generation after the end of a record that has text."""
    for seed in range(100):
        generation = model.start(seed=seed, temperature=1.0, **options)
        if generation.take(1000) and generation.ending == "end":
            return generation
    raise AssertionError


def test_a_record_starts_with_begin(model: Model) -> None:
    begin = model.tokenizer.special.begin
    assert begin is not None
    for prompt in (None, "", "Ab"):
        generation = model.start(prompt, seed=1)
        normalized = model.metadata.normalize(prompt or "")
        tokens = [begin, *model.tokenizer.encode(normalized)]
        logits, _ = model.engine.forward(np.array(tokens)[:, np.newaxis], model.engine.initial_state())
        position = model.engine.new_stream()
        position.feed(tokens[1:], restart=True)
        drawn = [*set(range(len(model.tokenizer))) - {*model.tokenizer.special.never_drawn}]
        np.testing.assert_allclose(generation.logits[drawn], logits[-1, 0, drawn], atol=1e-5)
        np.testing.assert_array_equal(generation.logits, np.asarray(position.logits))
        np.testing.assert_array_equal(generation.position.state, position.state)
        assert generation.prompt == normalized


def test_a_record_ends_by_itself(model: Model) -> None:
    generation = at_end(model)
    assert generation.take(10) == "".join(generation.stream(10)) == generation.finish() == ""
    assert generation.ending == "end"
    batch = Batch(model)
    batch.add(generation, 10)
    (chunk,) = batch.advance()
    assert (chunk.tokens, chunk.text, chunk.ending) == (0, "", "end")


def test_the_end_is_a_drawn_token_without_text(model: Model) -> None:
    seed = at_end(model).seed
    generation = model.start(seed=seed, temperature=1.0)
    generation.keep_logprobs = True
    batch = Batch(model)
    batch.add(generation, 1000)
    chunks = []
    while batch:
        chunks += batch.advance()
    text = "".join(chunk.text for chunk in chunks)
    assert chunks[-1].ending == "end"
    count = sum(chunk.tokens for chunk in chunks)
    assert count == sum(len(chunk.logprobs or ()) for chunk in chunks)
    if model.tokenizer.level == "character":
        assert count == len(text) + 1
    assert text == model.generate(seed=seed, temperature=1.0)


def test_feeding_after_the_end_starts_a_new_record(model: Model) -> None:
    for text in ("", "ab"):
        generation = at_end(model)
        assert generation.feed(text) == text
        new = model.start(text)
        np.testing.assert_array_equal(generation.logits, new.logits)
        np.testing.assert_array_equal(generation.state["hidden"], new.state["hidden"])
        assert generation.ending is None
    with pytest.raises(textgen.PromptError, match="it is empty"):
        model.start("a").feed("")


@pytest.mark.parametrize("level", ["character", "word"])
def test_a_prompt_of_unknown_characters_is_no_record(level: str) -> None:
    with pytest.raises(textgen.PromptError, match="none of its characters"):
        record_model(level).start("xyz", unknown="skip")


def test_another_constraint_does_not_continue_an_ended_record(model: Model) -> None:
    generation = at_end(model)
    generation.sampling = generation.sampling.replace(match="[abc]{5}")
    assert (generation.ending, generation.take(10, finish=True)) == ("end", "")
    generation.feed("")
    assert len(generation.take(10, finish=True)) == 5
    assert generation.ending == "constraint"


def test_a_text_that_was_masked_can_end_its_record() -> None:
    model = record_model(end_bias=4.0)
    options: dict[str, Any] = {"match": r"[ abcdé\n]{8}[ abcdé\n]*", "resample": 2, "temperature": 1.0}
    for seed in range(30):
        generation, batch = model.start(seed=seed, **options), Batch(model)
        batch.add(generation, 100)
        (chunk,) = batch.advance(500)
        while batch:
            (chunk,) = batch.advance(500)
        if generation.ended_record and chunk.ending == "masked":
            break
    else:
        pytest.fail("no text ended its record")
    assert len(chunk.text) >= 8
    generation.feed("")
    np.testing.assert_array_equal(generation.logits, model.start().logits)


def test_the_next_tokens_have_the_end_as_a_symbol(model: Model) -> None:
    special = model.tokenizer.special
    tokens = {each.token: each for each in model.start().top(1000)}
    assert special.end is not None
    assert tokens[special.end].text == "<end>"
    assert tokens[special.end].probability > 0
    assert all(tokens[token].probability == 0 for token in special.never_drawn)
    comparison = textgen.compare_temperatures(model, temperatures=[1.0])
    assert "<end>" in comparison.symbols
    assert len(comparison.symbols) == len(model.tokenizer) - len(special.never_drawn)
    assert comparison.prompt == ""


def test_records_have_a_large_default_length() -> None:
    model = record_model(end_bias=-50.0)
    assert model.default_length == DEFAULT_RECORD_LENGTH
    assert len(model.generate("a", seed=1, temperature=1.0)) == DEFAULT_RECORD_LENGTH
    assert record_model(end_bias=50.0).generate(["", "", "a"], temperature=1.0) == [""] * 3


def only(model: Model, token: int) -> np.ndarray[Any, Any]:
    """Return logits that permit one token."""
    logits = np.full(len(model.tokenizer), -np.inf, np.float32)
    logits[token] = 0.0
    return logits


def test_bytes_are_held_back_until_they_are_characters() -> None:
    """An incomplete character at the end of a record has no text, and does not precede the next one."""
    model = record_model("byte")
    generation = model.start(seed=1, temperature=1.0)
    generation.logits = only(model, 0xC3)
    assert generation.take(1) == ""
    following = generation.copy()
    following.logits = only(model, 0xA9)
    assert following.take(1) == "é"
    generation.logits = only(model, 257)
    assert (generation.take(1), generation.ending) == ("", "end")
    assert generation.feed("a") == "a"


def test_a_minimum_length_needs_records(tiny: Model) -> None:
    with pytest.raises(textgen.SamplingError, match="min_length needs a model of records"):
        tiny.start("abc", min_length=3)
