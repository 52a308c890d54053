"""A lane's text depends on no other lane, and the fault of one leaves the samplers in order."""

import math
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Sampler
from textgen_runtime.engines.base import Generated, Lane, Measurements, State
from textgen_runtime.engines.core import CoreNetwork
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.native_engines import (
    KERNELS,
    assert_states_equal,
    content_of,
    engines,
    generate,
    lanes,
    samplers,
    zeros,
)


def select(state: State, lane: int) -> State:
    """The state of one lane of several."""
    return State({name: np.ascontiguousarray(array[:, lane : lane + 1]) for name, array in state.items()})


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_lanes_text_does_not_depend_on_the_others(kernels: str, threads: int) -> None:
    """To the last bit, whatever the number of lanes, of threads, and how long the others are."""
    native = NativeEngine(content_of(59, 40, 2), threads=threads, kernels=kernels)
    start, state = native.forward(np.arange(11)[np.newaxis], native.initial_state(11))

    def run(count: int, length: Any) -> list[Generated]:
        return native.generate(
            [
                Lane(sampler, start[0, i], select(state, i), length(i))
                for i, sampler in enumerate(samplers(count))
            ],
            60,
        )

    combined = run(11, lambda _: 100)
    assert len({tuple(each.tokens) for each in combined}) == 11
    assert {each.ending for each in combined} == {None}
    for count in (1, 2, 4, 5):
        for one, other in zip(run(count, lambda _: 60), combined[:count], strict=True):
            assert (one.tokens, one.ending) == (other.tokens, "length")
            np.testing.assert_array_equal(one.logits, other.logits)
            assert_states_equal(one.state, other.state)
    for i, each in enumerate(run(11, lambda i: 1 + 7 * i)):
        length = min(60, 1 + 7 * i)
        assert each.tokens == combined[i].tokens[:length]
        assert each.ending == ("length" if 1 + 7 * i <= 60 else None)


def test_measurements_are_added_up_over_threads() -> None:
    for threads in (1, 2):
        native = NativeEngine(content_of(59, 16), threads=threads)
        measured = Measurements()
        native.generate(lanes(native, samplers(4), 1), 1, measured)
        assert measured.tokens == 4
        assert measured.entropy_bits == pytest.approx(4 * math.log2(59))
        assert measured.model_seconds > 0
        assert measured.sampler_seconds > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_latencies_are_kept_for_each_chunk_that_succeeded(threads: int) -> None:
    native = NativeEngine(content_of(59, 16), threads=threads)
    measured = Measurements(latencies=True)
    native.generate(lanes(native, samplers(4), 7), 9, measured)
    assert measured.latencies is not None
    assert len(measured.latencies) == 7 * threads
    assert all(each > 0 for each in measured.latencies)
    with pytest.raises(textgen.SamplingError):
        native.generate(lanes(native, samplers(4), 7, np.full(59, np.nan, np.float32)), 7, measured)
    assert (len(measured.latencies), measured.tokens) == (7 * threads, 28)


def test_a_failure_is_told_when_every_thread_is_done() -> None:
    """Else a sampler could move on behind the back of whoever puts it back where it was."""
    native = NativeEngine(content_of(59, 64), threads=2)
    drawing = samplers(2)
    both = lanes(native, drawing, 20_000)
    both[0] = both[0]._replace(logits=np.full(59, np.nan, np.float32))
    with pytest.raises(textgen.SamplingError):
        native.generate(both, 20_000)
    assert [sampler.position for sampler in drawing] == [1, 20_000]


def test_generating_ends_before_a_random_stream_does() -> None:
    native, _ = engines(59, 16, 1, KERNELS[0])
    drawing = samplers(2)
    drawing[1].position = 2**63 - 1 - 5
    with pytest.raises(textgen.SamplingError, match="exhausted"):
        generate(native, drawing, 6)
    assert [sampler.position for sampler in drawing] == [0, 2**63 - 1 - 5]
    generate(native, drawing, 5)
    assert [sampler.position for sampler in drawing] == [5, 2**63 - 1]


def test_samplers_of_another_kind() -> None:
    core = CoreNetwork(content_of(59, 16))
    sampler = Sampler(1.0)
    lane = Lane(sampler, zeros(59), core.initial_state(), 1)
    other = lane._replace(sampler=object())  # type: ignore[arg-type]
    for mixed in ([lane, other], [other, lane]):
        with pytest.raises(TypeError):
            core.generate(mixed, 1)
    with pytest.raises(TypeError, match="a lane must be a Lane, not object"):
        core.generate([object()], 1)  # type: ignore[list-item]
    # The one that is right was not left locked.
    assert len(core.generate([lane], 1)[0].tokens) == 1


def test_logits_that_are_no_numbers_are_an_error_and_free_the_samplers() -> None:
    native, _ = engines(59, 16, 1, KERNELS[0])
    sampler = Sampler(1.0)
    with pytest.raises(textgen.SamplingError, match="NaN"):
        generate(native, [sampler], 5, np.full(59, np.nan, np.float32))
    assert sampler.draw([0.0]) == 0


def test_the_fault_of_one_lane_is_told() -> None:
    native = NativeEngine(content_of(59, 16))
    three = lanes(native, samplers(3), 5)
    three[1] = three[1]._replace(logits=np.full(59, -np.inf, np.float32))
    with pytest.raises(textgen.SamplingError, match="no token can be drawn"):
        native.generate(three, 5)
