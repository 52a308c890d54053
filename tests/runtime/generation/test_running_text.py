"""The state, logits and sampling of a generation, and its position after an error or an interrupt."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, Generation, Model, Sampling
from textgen_runtime import model as feeding
from textgen_runtime._core import MAX_STEPS
from textgen_runtime.model import STREAM_CHUNK

from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY

PROMPT = "abc"


@pytest.fixture(params=["native", "onnxruntime"])
def model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The tiny model, with chunks of 10 tokens."""
    loaded = textgen.load(TINY, engine=request.param)
    monkeypatch.setattr(type(loaded.engine), "chunk_length", lambda *_: 10)
    return loaded


def start(model: Model, substream: int = 0, **options: Any) -> Generation:
    return model.start(PROMPT, temperature=1.0, seed=3, substream=substream, **options)


def fail_from_call(
    number: int, function: Callable[..., Any], error: type[BaseException]
) -> Callable[..., Any]:
    """Wrap a function so that it raises at the end of the given call (counted from 1) and of later calls."""
    calls = 0

    def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        result = function(*arguments, **options)
        if calls >= number:
            raise error("stop")
        return result

    return failing


def test_complete_rolls_back_if_a_later_chunk_fails(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second lane has then been rejected, and the third one has ended."""
    batch, lengths = Batch(model), (50, 40, 8)
    options: list[dict[str, Any]] = [{}, {"match": "a{40}", "resample": 100}, {"frequency_penalty": 1.0}]
    lanes = [start(model, number, **options[number]) for number in range(3)]
    for lane, length in zip(lanes, lengths, strict=True):
        batch.add(lane, length)
    with monkeypatch.context() as patched:
        engine = type(model.engine)
        patched.setattr(engine, "generate", fail_from_call(3, engine.generate, KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            batch.complete()
    assert list(batch) == lanes
    assert [lane.drawn for lane in lanes] == [0, 0, 0]
    expected = [start(model, i, **options[i]).take(length, finish=True) for i, length in enumerate(lengths)]
    assert batch.complete() == expected


def test_each_chunk_of_a_prompt_continues_the_state(model: Model) -> None:
    generation = model.start("dad had abc")
    tokens = np.asarray(model.tokenizer.encode("dad had abc"))[:, np.newaxis]
    logits, state = model.engine.forward(tokens, model.engine.initial_state())
    np.testing.assert_allclose(generation.logits, logits[-1, 0], atol=1e-5)
    np.testing.assert_allclose(generation.state["cell"], state["cell"], atol=1e-5)


def test_feed_rolls_back_if_a_later_chunk_fails(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    text = start(model).take(5)
    generation = start(model, stop=text[2:] + "é")
    assert generation.take(5) == text[:2]
    feed_in_chunks = feeding.feed_in_chunks

    def interrupted(*arguments: Any, **options: Any) -> Iterator[bool]:
        chunks = feed_in_chunks(*arguments, **options)
        assert [next(chunks), next(chunks)] == [False, False]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(feeding, "feed_in_chunks", interrupted)
        with pytest.raises(KeyboardInterrupt):
            generation.feed("dad had " * 3)
    assert text[:2] + generation.take(15, finish=True) == start(model).take(20)


def test_a_stream_yields_no_empty_chunks(model: Model) -> None:
    assert list(start(model).stream(0)) == list(model.stream(PROMPT, length=0)) == []
    assert all(start(model).stream(STREAM_CHUNK + 1))


def test_values_that_are_set_are_copied(model: Model) -> None:
    other = start(model)
    other.take(5)
    logits, arrays = other.logits.copy(), {name: array.copy() for name, array in other.state.items()}
    generation = start(model)
    generation.take(5)
    generation.state, generation.logits = arrays, logits
    for array in (logits, *arrays.values(), *generation.state.values()):
        array[...] = 1.0
    assert generation.take(20) == other.copy().take(20)


@pytest.mark.parametrize("dtype", [np.float64, np.dtype(">f4")])
def test_a_state_is_converted_from_other_dtypes_and_orders(dtype: Any) -> None:
    # With one layer, the orders would be the same.
    model = textgen.load(make_model(layers=2).SerializeToString())
    other = start(model)
    other.take(5)
    generation = start(model)
    generation.take(5)
    arrays = {name: np.asfortranarray(array.astype(dtype)) for name, array in other.state.items()}
    generation.state, generation.logits = arrays, other.logits.astype(dtype)
    assert generation.take(20) == other.take(20)


def test_setting_an_invalid_state_is_rejected(model: Model) -> None:
    generation = start(model)
    wide = model.engine.initial_state(2)
    for wrong in (wide, {"hidden": wide["hidden"]}):
        with pytest.raises(ValueError, match="the state array"):
            generation.state = wrong
    with pytest.raises(ValueError, match="structure"):
        generation.logits = np.zeros(11)
    with pytest.raises(TypeError, match="sampling must be a Sampling, not float"):
        generation.sampling = 0.5  # type: ignore[assignment]
    assert generation.sampling == Sampling(temperature=1.0)
    assert generation.take(20) == start(model).take(20)


def test_advance_checks_the_number_of_steps(model: Model) -> None:
    batch, generation = Batch(model), start(model)
    batch.add(generation, 30)
    for steps in (0, -1):
        with pytest.raises(ValueError, match=f"steps must be 1 or more, not {steps}"):
            batch.advance(steps)
    with pytest.raises(TypeError):
        batch.advance(1.5)  # type: ignore[arg-type]
    (chunk,) = batch.advance(2**70)
    assert chunk.text == start(model).take(30)
    batch.add(generation, MAX_STEPS + 1)
    (chunk,) = batch.advance(2**70)
    assert (chunk.tokens, chunk.ending, len(batch)) == (MAX_STEPS, None, 1)


def test_a_copied_generation_is_independent(tiny: Model) -> None:
    original = tiny.start("abc", temperature=1.0, seed=8, substream=3)
    original.latencies = []
    original.take(10)
    first, second = original.copy(), original.copy()
    assert first.prompt == "abc"
    first.sampling = first.sampling.replace(temperature=0.9)
    first.take(25)
    first.logits[:] = -np.inf
    first.logits[3] = 0.0
    assert first.take(1) == tiny.tokenizer.symbols[3]
    assert len(original.latencies) == 10
    assert min(original.latencies) > 0
    original.copy().logits[:] = np.nan
    assert original.sampling.temperature == 1.0
    assert second.take(40) == original.take(40)
