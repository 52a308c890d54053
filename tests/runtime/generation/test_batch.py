"""Lanes that are continued together: each text is what it is alone."""

import random
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, Generation, Model, Sampling
from textgen_runtime.engines.base import Measurements

from tests.helpers.paths import TINY


def start(model: Model, number: int, temperature: float = 1.0) -> Generation:
    prompts = ("abc", "dad had", "é", "h")
    return model.start(prompts[number % 4], temperature=temperature, seed=3, substream=number)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_lanes_come_and_go_and_each_text_is_what_it_is_alone(engine: Any, threads: int) -> None:
    model = textgen.load(TINY, engine=engine, threads=threads)
    chance = random.Random(5)
    batch, texts = Batch(model), dict[Generation, list[str]]()
    wanted: dict[Generation, tuple[int, float, int]] = {}
    ended = set()
    for _ in range(60):
        if chance.random() < 0.5 and len(wanted) < 24:
            number, temperature, length = len(wanted), chance.choice((0.0, 0.5, 1.3)), chance.randrange(90)
            generation = start(model, number, temperature)
            batch.add(generation, length)
            wanted[generation], texts[generation] = (number, temperature, length), []
        if len(batch) > 1 and chance.random() < 0.2:
            batch.remove(chance.choice(list(batch)))
        lanes = list(batch)
        made = batch.advance(chance.choice((1, 3, 7, None)))
        assert [each.generation for each in made] == lanes
        for each in made:
            texts[each.generation].append(each.text)
            assert each.tokens == len(each.text)
            if each.ending == "length":
                ended.add(each.generation)
        assert list(batch) == [lane for lane in lanes if lane not in ended]
    assert 0 < len(ended) < len(wanted) == 24
    for generation, (number, temperature, length) in wanted.items():
        text = "".join(texts[generation])
        alone = start(model, number, temperature)
        assert text == alone.take(len(text))
        assert (len(text) == length) == (generation in ended)
        # It stands behind its text.
        assert generation.take(20) == alone.take(20)


def test_a_lane_may_want_nothing(tiny: Model) -> None:
    batch = Batch(tiny)
    one, other = start(tiny, 0), start(tiny, 1)
    batch.add(one, 0)
    batch.add(other, 3)
    nothing, something = batch.advance()
    assert (nothing.text, nothing.tokens, nothing.ending) == ("", 0, "length")
    assert something.ending == "length"
    assert not batch
    assert batch.advance() == []
    assert one.take(9) == start(tiny, 0).take(9)


def test_complete_gives_the_texts_in_the_order_of_the_lanes(tiny: Model) -> None:
    batch = Batch(tiny)
    for number, length in enumerate((30, 5, 17)):
        batch.add(start(tiny, number), length)
    assert batch.complete() == [start(tiny, i).take(length) for i, length in enumerate((30, 5, 17))]


def test_sampling_changes_between_chunks(tiny: Model) -> None:
    batch, generation, alone = Batch(tiny), start(tiny, 0), start(tiny, 0)
    batch.add(generation, 40)
    batch.add(start(tiny, 1), 40)
    first = batch.advance(10)[0].text
    generation.sampling = Sampling(temperature=0.3)
    second = batch.complete()[0]
    assert first == alone.take(10)
    alone.sampler.temperature = 0.3
    assert second == alone.take(30)


def test_what_cannot_be_a_lane(tiny: Model) -> None:
    batch, generation = Batch(tiny), start(tiny, 0)
    batch.add(generation, 5)
    with pytest.raises(ValueError, match="a lane of this batch already"):
        batch.add(generation, 5)
    with pytest.raises(ValueError, match="length must be 0 or more, not -1"):
        batch.add(start(tiny, 1), -1)
    with pytest.raises(TypeError):
        batch.add(start(tiny, 1), 1.5)  # type: ignore[arg-type]
    other = tiny.with_metadata(tiny.metadata._replace(prompts=()))
    with pytest.raises(ValueError, match="another model"):
        batch.add(start(other, 1), 5)
    with pytest.raises(KeyError):
        batch.remove(start(tiny, 0))
    assert len(batch) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, textgen.SamplingError])
def test_after_an_error_every_lane_stands_where_it_stood(
    tiny: Model, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    batch = Batch(tiny)
    lanes = [start(tiny, number) for number in range(3)]
    for lane, length in zip(lanes, (50, 8, 50), strict=True):
        batch.add(lane, length)
    before = [each.text for each in batch.advance(5)]
    positions = [lane.sampler.position for lane in lanes]
    generate = tiny.engine.generate

    def failing(_: object, *arguments: Any) -> Any:
        generate(*arguments)
        raise error("stop")

    with monkeypatch.context() as patched:
        patched.setattr(type(tiny.engine), "generate", failing)
        with pytest.raises(error):
            batch.advance(5)
    assert [lane.sampler.position for lane in lanes] == positions
    assert list(batch) == lanes
    after = batch.complete()
    assert [a + b for a, b in zip(before, after, strict=True)] == [
        start(tiny, i).take(length) for i, length in enumerate((50, 8, 50))
    ]


def test_an_interrupt_while_what_was_made_is_taken_over(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first lane stands behind the chunk already, the second does not."""
    batch = Batch(tiny)
    lanes = [start(tiny, number) for number in range(2)]
    for lane in lanes:
        batch.add(lane, 20)
    accept = Generation.accept

    def interrupted(generation: Generation, generated: Any) -> str:
        if generation is lanes[1]:
            raise KeyboardInterrupt
        return accept(generation, generated)

    with monkeypatch.context() as patched:
        patched.setattr(Generation, "accept", interrupted)
        with pytest.raises(KeyboardInterrupt):
            batch.advance(5)
    assert batch.complete() == [start(tiny, number).take(20) for number in range(2)]


def test_one_measurement_for_all_lanes(tiny: Model) -> None:
    batch = Batch(tiny, Measurements(latencies=True))
    for number in range(3):
        batch.add(start(tiny, number), 10 + number)
    batch.complete()
    assert batch.measurements is not None
    assert batch.measurements.tokens == 33
    assert batch.measurements.latencies
    assert min(batch.measurements.latencies) > 0
