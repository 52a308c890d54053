"""Lanes are independent of each other, and an error of one lane leaves no sampler locked."""

import math

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Sampler
from textgen_runtime.engines.base import Lane, Measurements
from textgen_runtime.engines.core import CoreNetwork
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.native_engines import (
    KERNELS,
    content_of,
    engines,
    generate,
    lanes,
    samplers,
    zeros,
)


def test_measurements_are_summed_over_threads() -> None:
    for threads in (1, 2):
        native = NativeEngine(content_of(59, 16), threads=threads)
        measured = Measurements()
        native.generate(lanes(native, samplers(4), 1), 1, measured)
        assert measured.draws == 4
        assert measured.entropy_bits == pytest.approx(4 * math.log2(59))
        assert measured.model_seconds > 0
        assert measured.sampler_seconds > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_latencies_are_kept_only_for_calls_that_succeed(threads: int) -> None:
    native = NativeEngine(content_of(59, 16), threads=threads)
    measured = Measurements(latencies=True)
    native.generate(lanes(native, samplers(4), 7), 9, measured)
    assert measured.latencies is not None
    assert len(measured.latencies) == 7 * threads
    assert all(latency > 0 for latency in measured.latencies)
    with pytest.raises(textgen.SamplingError):
        native.generate(lanes(native, samplers(4), 7, np.full(59, np.nan, np.float32)), 7, measured)
    assert (len(measured.latencies), measured.draws) == (7 * threads, 28)


def test_no_lane_draws_if_a_random_stream_has_too_few_numbers() -> None:
    native, _ = engines(59, 16, 1, KERNELS[0])
    two_samplers = samplers(2)
    two_samplers[1].position = 2**63 - 1 - 5
    with pytest.raises(textgen.SamplingError, match="exhausted"):
        generate(native, two_samplers, 6)
    assert [sampler.position for sampler in two_samplers] == [0, 2**63 - 1 - 5]
    generate(native, two_samplers, 5)
    assert [sampler.position for sampler in two_samplers] == [5, 2**63 - 1]


def test_lanes_and_samplers_of_the_wrong_type_are_an_error() -> None:
    core = CoreNetwork(content_of(59, 16))
    sampler = Sampler(1.0)
    lane = Lane(sampler, zeros(59), core.initial_state(), 1)
    wrong = lane._replace(sampler=object())  # type: ignore[arg-type]
    for mixed in ([lane, wrong], [wrong, lane]):
        with pytest.raises(TypeError):
            core.generate(mixed, 1)
    with pytest.raises(TypeError, match="a lane must be a Lane, not object"):
        core.generate([object()], 1)  # type: ignore[list-item]
    # The valid sampler is not locked.
    assert len(core.generate([lane], 1)[0].tokens) == 1


def test_nan_logits_are_an_error_and_release_the_samplers() -> None:
    native, _ = engines(59, 16, 1, KERNELS[0])
    sampler = Sampler(1.0)
    with pytest.raises(textgen.SamplingError, match="NaN"):
        generate(native, [sampler], 5, np.full(59, np.nan, np.float32))
    assert sampler.draw([0.0]) == 0
