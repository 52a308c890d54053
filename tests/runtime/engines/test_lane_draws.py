"""The draws of one lane, for engines whose loop is Python code, check their use."""

from typing import Any

import numpy as np
import pytest
from textgen_runtime.engines.base import Lane
from textgen_runtime.engines.core import LaneDraws, Lanes
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.native_engines import content_of, text_of

LOGITS = np.zeros(12, np.float32)


def opened(length: int = 2, steps: int = 9) -> tuple[NativeEngine, Lanes]:
    engine = NativeEngine(content_of(12, 4))
    return engine, Lanes([Lane(text_of(engine), length)], steps, engine.core.shape)


def test_logits_must_be_float32_of_the_vocabulary() -> None:
    draws = LaneDraws(opened()[1], 0)
    wrong: Any
    for wrong in (np.zeros(11, np.float32), np.zeros(12), [0.0] * 12):
        for call in (draws.draw, draws.entropy):
            with pytest.raises(ValueError, match="the logits must be float32"):
                call(wrong)
    assert draws.entropy(LOGITS) == pytest.approx(np.log2(12))


@pytest.mark.parametrize(("length", "steps"), [(2, 9), (9, 2)])
def test_no_token_is_drawn_beyond_the_length_or_the_steps(length: int, steps: int) -> None:
    draws = LaneDraws(opened(length, steps)[1], 0)
    for _ in range(2):
        assert draws.is_running
        assert 0 <= draws.draw(LOGITS) < 12
        draws.advance()
    assert not draws.is_running
    for call in (draws.draw, draws.entropy):
        with pytest.raises(RuntimeError, match="the lane has ended"):
            call(LOGITS)


def test_a_lane_that_is_released_cannot_be_continued() -> None:
    engine, lanes = opened()
    draws = LaneDraws(lanes, 0)
    lanes.release()
    assert not draws.is_running
    with pytest.raises(RuntimeError, match="the lane has ended"):
        draws.draw(LOGITS)
    with pytest.raises(RuntimeError, match="the lane has ended"):
        draws.finish(LOGITS, engine.initial_state())
    with pytest.raises(IndexError):
        LaneDraws(lanes, 0)
    with pytest.raises(ValueError, match="the lanes are not open"):
        engine.core.run(lanes, 0, 1)


def test_lanes_have_the_numbers_from_0_on() -> None:
    engine, lanes = opened()
    for index in (-1, 1):
        with pytest.raises(IndexError, match="there are 1 open lanes"):
            LaneDraws(lanes, index)
    for first, count in ((-1, 1), (0, 0), (0, 2), (1, 1)):
        with pytest.raises(ValueError, match="there are 1 lanes"):
            engine.core.run(lanes, first, count)
    with pytest.raises(ValueError, match="of another model"):
        NativeEngine(content_of(11, 4)).core.run(lanes, 0, 1)


def test_lanes_that_are_forgotten_are_released() -> None:
    """An interrupt can come before the caller could release them."""
    engine = NativeEngine(content_of(12, 4))
    text = text_of(engine)
    lanes = Lanes([Lane(text, 2)], 2, engine.core.shape)
    with pytest.raises(RuntimeError):
        text.copy()
    del lanes
    assert text.copy().drawn == 0
