"""Models and generations that are compared, hashed, copied and pickled."""

import copy
import multiprocessing
import pickle
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Generation, Model
from textgen_runtime.engines.opening import EngineName

from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY


def pickled(generation: Generation) -> Generation:
    copied = pickle.loads(pickle.dumps(generation))  # noqa: S301 (its own)
    assert isinstance(copied, Generation)
    return copied


def test_models_are_equal_where_they_give_the_same_text() -> None:
    native, onnx = textgen.load(TINY, engine="native"), textgen.load(TINY, engine="onnxruntime")
    again = textgen.load(TINY.read_bytes(), engine="native", threads=2)
    assert native == again
    assert hash(native) == hash(again)
    assert {native: "kept"}[again] == "kept"
    assert native != onnx
    assert native != textgen.load(make_model(scale=0.5).SerializeToString())
    assert native != "native"
    lowered = native.metadata._replace(prompts=())
    assert native != native.with_metadata(lowered)


def test_a_model_may_be_referred_to_weakly(tiny: Model) -> None:
    """A cache of models can let go of them."""
    assert weakref.ref(tiny)() is tiny


def test_a_copy_of_a_model_is_the_model(tiny: Model) -> None:
    assert copy.copy(tiny) is tiny
    assert copy.deepcopy({"model": tiny})["model"] is tiny


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_a_pickled_model_needs_no_file(engine: EngineName) -> None:
    model = textgen.load(TINY.read_bytes(), engine=engine)
    other = pickle.loads(pickle.dumps(model))  # noqa: S301 (its own)
    assert other is not model
    assert other == model
    assert other.generate("abc", length=50, seed=1) == model.generate("abc", length=50, seed=1)


def test_a_model_that_is_of_no_file_says_so(tiny: Model) -> None:
    changed = tiny.with_metadata(tiny.metadata._replace(prompts=()))
    with pytest.raises(TypeError, match=r"^cannot pickle a model that was not loaded from a file: use load"):
        pickle.dumps(changed)


@pytest.mark.parametrize("copied", [Generation.copy, copy.copy, copy.deepcopy, pickled])
def test_a_copied_generation_goes_on_apart(tiny: Model, copied: Callable[[Generation], Generation]) -> None:
    original = tiny.start("abc", temperature=1.0, seed=8, substream=3)
    original.take(10)
    first, second = copied(original), copied(original)
    assert first.prompt == "abc"
    first.sampler.temperature = 0.9
    first.take(25)
    first.logits[...] = np.nan if copied in (copy.deepcopy, pickled) else first.logits
    assert original.sampler.temperature == 1.0
    assert second.take(40) == original.take(40)


def test_other_processes_generate_from_a_model() -> None:
    """With no state of this process: a fresh interpreter gets the model as a pickle."""
    model = textgen.load(TINY)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        texts = pool.map(model.generate, ["abc", "dad"])
    assert [len(text) for text in texts] == [400, 400]
