"""Comparison, hashing, copies, pickles and forks of models and generations."""

import copy
import multiprocessing
import pickle
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Generation, Model
from textgen_runtime.engines.base import Measurements
from textgen_runtime.engines.opening import EngineName

from tests.helpers.changed_models import with_metadata
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY


def pickle_round_trip(generation: Generation) -> Generation:
    loaded = pickle.loads(pickle.dumps(generation))  # noqa: S301 (just pickled)
    assert isinstance(loaded, Generation)
    return loaded


def test_models_are_equal_if_they_generate_the_same_text() -> None:
    native, onnx = textgen.load(TINY, engine="native"), textgen.load(TINY, engine="onnxruntime")
    equal = textgen.load(TINY.read_bytes(), engine="native", threads=2)
    assert native == equal
    assert hash(native) == hash(equal)
    assert {native: "cached"}[equal] == "cached"
    assert native != onnx
    assert native != textgen.load(make_model(scale=0.5).SerializeToString())
    assert native != "native"
    metadata = native.metadata._replace(prompts=())
    assert native != with_metadata(native, metadata)


def test_a_model_supports_weak_references(tiny: Model) -> None:
    """Weak caches can hold models."""
    assert weakref.ref(tiny)() is tiny


def test_a_copy_of_a_model_is_the_same_object(tiny: Model) -> None:
    assert copy.copy(tiny) is tiny
    assert copy.deepcopy({"model": tiny})["model"] is tiny


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_a_pickled_model_needs_no_file(engine: EngineName) -> None:
    model = textgen.load(TINY.read_bytes(), engine=engine)
    loaded = pickle.loads(pickle.dumps(model))  # noqa: S301 (just pickled)
    assert loaded is not model
    assert loaded == model
    assert loaded.generate("abc", length=50, seed=1) == model.generate("abc", length=50, seed=1)


def test_a_model_that_was_not_loaded_cannot_be_pickled(tiny: Model) -> None:
    changed = with_metadata(tiny, tiny.metadata._replace(prompts=()))
    with pytest.raises(TypeError, match=r"^cannot pickle a model from Model\(\): pickle"):
        pickle.dumps(changed)


@pytest.mark.parametrize("make_copy", [Generation.copy, copy.copy, copy.deepcopy, pickle_round_trip])
def test_a_copied_generation_is_independent(
    tiny: Model, make_copy: Callable[[Generation], Generation]
) -> None:
    original = tiny.start("abc", temperature=1.0, seed=8, substream=3)
    original.measurements = Measurements(latencies=True)
    original.take(10)
    first, second = make_copy(original), make_copy(original)
    assert first.prompt == "abc"
    first.sampling = first.sampling.replace(temperature=0.9)
    first.take(25)
    first.logits[:] = -np.inf
    first.logits[3] = 0.0
    assert first.take(1) == tiny.tokenizer.symbols[3]
    assert vars(second.measurements) == vars(original.measurements)
    assert original.measurements.draws == 10
    third = make_copy(original)
    third.logits[:] = np.nan
    with pytest.raises(ValueError, match="read-only"):
        third.state["hidden"][:] = 1.0
    assert original.sampling.temperature == 1.0
    assert second.take(40) == original.take(40)


def test_a_pickled_generation_joins_a_batch_of_the_original_model_with_its_attributes(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1)
    generation.keep_logprobs = True
    loaded = pickle_round_trip(generation)
    batch = textgen.Batch(tiny)
    for each in (generation, loaded):
        batch.add(each, 9)
    chunks = batch.advance(9)
    assert chunks[0].text == chunks[1].text
    assert None not in [chunk.logprobs for chunk in chunks]


def test_another_process_can_generate_with_a_pickled_model() -> None:
    model = textgen.load(TINY)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        texts = pool.map(model.generate, ["abc", "dad"])
    assert [len(text) for text in texts] == [400, 400]


def test_forks_differ_and_are_reproducible(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1, temperature=1.5)
    generation.take(10)
    texts = [fork.take(50) for fork in generation.fork(4)]
    assert texts == [fork.take(50) for fork in generation.fork(4)]
    original = generation.take(50)
    assert len({*texts, original}) == 5
    assert texts != [fork.take(50) for fork in generation.fork(4)]


def test_forks_at_another_position_have_other_random_numbers(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1, substream=3, temperature=1.5)
    before = generation.fork(2)
    generation.take(1)
    other = tiny.start("abc", seed=1, substream=4, temperature=1.5)
    seeds = {fork.seed for fork in (*before, *generation.fork(2), *other.fork(2))}
    assert len(seeds) == 6


def test_forks_of_forks_are_independent(tiny: Model) -> None:
    first, second = tiny.start("abc", seed=1, temperature=1.5).fork(2)
    texts = [fork.take(50) for generation in (first, second) for fork in generation.fork(3)]
    assert len({*texts, first.take(50), second.take(50)}) == 8


def test_a_fork_keeps_the_text_the_filters_and_the_constraint(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1, temperature=1.5, match="ab(c|d)+", repetition_penalty=1.5)
    generation.take(2)
    for fork in generation.fork(5):
        assert set(fork.take(20)) <= {"c", "d"}
        assert fork.sampling == generation.sampling
    assert [token.draw_probability for token in generation.fork(1)[0].top(9)] == [
        token.draw_probability for token in generation.top(9)
    ]
    stopping = tiny.start("abc", seed=1, temperature=0, stop=tiny.generate("abc", length=3, temperature=0))
    stopping.take(2)
    assert stopping.fork(1)[0].take(1) == ""


def test_the_number_of_forks_is_checked(tiny: Model) -> None:
    assert tiny.start("abc").fork(0) == []
    with pytest.raises(ValueError, match="count must be 0 or more, not -1"):
        tiny.start("abc").fork(-1)
