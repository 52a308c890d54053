"""Batches: lanes advance together, and each text is independent of the others."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, Generation, Model, Sampling

from tests.helpers.paths import TINY


def start(model: Model, number: int, temperature: float = 1.0) -> Generation:
    prompts = ("abc", "dad had", "é", "h")
    return model.start(prompts[number % 4], temperature=temperature, seed=3, substream=number)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_each_text_is_independent_of_lanes_that_are_added_and_removed(engine: Any, threads: int) -> None:
    model = textgen.load(TINY, engine=engine, threads=threads)
    rng = random.Random(5)
    batch, texts = Batch(model), dict[Generation, list[str]]()
    requests: dict[Generation, tuple[int, float, int]] = {}
    ended = set()
    for _ in range(60):
        if rng.random() < 0.5 and len(requests) < 24:
            number, temperature, length = len(requests), rng.choice((0.0, 0.5, 1.3)), rng.randrange(90)
            generation = start(model, number, temperature)
            batch.add(generation, length)
            requests[generation], texts[generation] = (number, temperature, length), []
        if len(batch) > 1 and rng.random() < 0.2:
            batch.remove(rng.choice(list(batch)))
        lanes = list(batch)
        chunks = batch.advance(rng.choice((1, 3, 7, None)))
        assert [chunk.generation for chunk in chunks] == lanes
        for chunk in chunks:
            texts[chunk.generation].append(chunk.text)
            assert chunk.tokens == len(chunk.text)
            if chunk.ending == "length":
                ended.add(chunk.generation)
        assert list(batch) == [lane for lane in lanes if lane not in ended]
    assert 0 < len(ended) < len(requests) == 24
    for generation, (number, temperature, length) in requests.items():
        text = "".join(texts[generation])
        single = start(model, number, temperature)
        assert text == single.take(len(text))
        assert (len(text) == length) == (generation in ended)
        assert generation.take(20) == single.take(20)


def test_a_lane_of_length_zero_ends_at_once(tiny: Model) -> None:
    batch = Batch(tiny)
    one, other = start(tiny, 0), start(tiny, 1)
    batch.add(one, 0)
    batch.add(other, 3)
    empty, chunk = batch.advance()
    assert (empty.text, empty.tokens, empty.ending) == ("", 0, "length")
    assert chunk.ending == "length"
    assert not batch
    assert batch.advance() == []
    assert one.take(9) == start(tiny, 0).take(9)


def test_add_and_remove_reject_invalid_lanes(tiny: Model) -> None:
    batch, generation = Batch(tiny), start(tiny, 0)
    batch.add(generation, 5)
    with pytest.raises(ValueError, match="already a lane of this batch"):
        batch.add(generation, 5)
    with pytest.raises(ValueError, match="length must be 0 or more, not -1"):
        batch.add(start(tiny, 1), -1)
    with pytest.raises(TypeError):
        batch.add(start(tiny, 1), 1.5)  # type: ignore[arg-type]
    other = textgen.load(TINY)
    with pytest.raises(ValueError, match="has another model than the batch"):
        batch.add(start(other, 1), 5)
    with pytest.raises(KeyError):
        batch.remove(start(tiny, 0))
    assert len(batch) == 1


@pytest.mark.parametrize("options", [{}, {"match": "[ah ]{9}", "resample": 40}], ids=["plain", "resampled"])
def test_an_interrupt_between_two_lanes_rolls_both_back(
    tiny: Model, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """The first lane has accepted its chunk when the second is interrupted."""
    sampling = Sampling(temperature=1.0, **options)
    batch = Batch(tiny)
    for number in range(2):
        batch.add(tiny.start("abc", seed=3, substream=number, sampling=sampling), 20)
    for _ in range(5):
        batch.advance(1)
    assert len(batch) == 2
    decode, calls = Model.decode, list[bytes]()

    def interrupted(model: Model, text: bytes, held: Sequence[int]) -> str:
        calls.append(text)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return decode(model, text, held)

    with monkeypatch.context() as patched:
        patched.setattr(Model, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            batch.advance(5)
    texts = tiny.generate(["abc", "abc"], length=20, seed=3, sampling=sampling)
    assert all(map(str.endswith, texts, batch.complete()))


def broken(model: Model, number: int) -> Generation:
    """Return a generation whose logits cannot be sampled."""
    generation = start(model, number)
    generation.logits = generation.logits * np.float32("nan")
    return generation


@pytest.mark.parametrize("finish", [False, True])
def test_a_stream_yields_the_text_before_an_error(tiny: Model, finish: bool) -> None:
    """At its end stands the beginning of a stop text, which only a complete text includes."""
    generation = start(tiny, 0)
    generation.reseed(3, 0, 2**63 - 1 - 100)
    whole = generation.copy().take(100)
    generation.sampling = generation.sampling.replace(stop=(whole[-4:] + "a",))
    parts: list[str] = []
    with pytest.raises(textgen.SamplingError, match="random numbers"):
        parts += generation.stream(101, finish=finish)
    assert "".join(parts) == (whole if finish else whole[:-4])
    assert generation.finish() == ("" if finish else whole[-4:])


def test_a_constraint_that_became_too_long_fails_alone(tiny: Model) -> None:
    batch, lanes = Batch(tiny), [start(tiny, number) for number in range(2)]
    for lane in lanes:
        batch.add(lane, 10)
    batch.advance(4)
    lanes[0].sampling = Sampling(match="a{7}")
    failed, _ = batch.advance(4)
    assert "needs a text of at least 7 tokens, but the length is 6" in str(failed.error)
    assert list(batch) == lanes[1:]


def test_complete_raises_the_error_of_the_text_that_fails(tiny: Model) -> None:
    batch, lanes = Batch(tiny), [start(tiny, 0), broken(tiny, 1)]
    for lane in lanes:
        batch.add(lane, 9)
    with pytest.raises(textgen.SamplingError, match=r"^the logits contain NaN"):
        batch.complete()
    assert list(batch) == lanes
    assert lanes[0].take(9) == start(tiny, 0).take(9)
