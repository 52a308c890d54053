"""A lane ends after a stop text. Both engines agree."""

import pytest
from textgen_runtime.engines.base import Guide

from tests.helpers.guides import (
    ENGINES,
    FILTERS,
    Table,
    engine_of,
    following,
    lane_of,
    stops_of,
    walk,
)

SEEDS = range(30)
TEXTS = ([1, 2], [2, 2, 3], [3], [7, 2, 2, 3], [5, 5])


def first_stop(tokens: list[int], texts: tuple[list[int], ...]) -> tuple[int, int] | None:
    """Return how many tokens the first stop text ends, and the length of the longest that ends there."""
    for end in range(1, len(tokens) + 1):
        lengths = [len(text) for text in texts if tokens[max(0, end - len(text)) : end] == text]
        if lengths:
            return end, max(lengths)
    return None


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [None, 1, 3])
def test_a_lane_ends_after_the_first_stop_text(engine: str, steps: int | None) -> None:
    """Its tokens are those of a lane without stop texts, also if the stop text begins in an earlier call."""
    loaded = engine_of(engine)
    found = []
    for seed in SEEDS:
        free = walk(loaded, lane_of(loaded, seed=seed, length=25)).tokens
        walked = walk(loaded, lane_of(loaded, Guide(stops_of(*TEXTS)), seed=seed, length=25), steps)
        stop = first_stop(free, TEXTS)
        if stop is None:
            assert (walked.tokens, walked.ending, walked.stop_length) == (free, "length", 0)
        else:
            end, length = stop
            assert (walked.tokens, walked.ending, walked.stop_length) == (free[:end], "stop", length)
            assert walked.position == end
            assert walked.stop_state == 0
            found.append(length)
    assert set(found) >= {1, 2}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_stop_text_is_part_of_the_state(engine: str) -> None:
    """A lane that continues after a stop text gives the text of a lane without one."""
    loaded = engine_of(engine)
    lane = lane_of(loaded, Guide(stops_of([3])), seed=4, length=60, **FILTERS["frequency_penalty"])
    free = lane_of(loaded, seed=4, length=60, **FILTERS["frequency_penalty"])
    expected = walk(loaded, free)
    tokens: list[int] = []
    stopped = 0
    while len(tokens) < 60:
        (result,) = loaded.generate([lane], 60)
        tokens += result.tokens
        if result.ending == "stop":
            assert tokens[-1] == 3
            stopped += 1
        lane = following(lane, result)
    assert tokens == expected.tokens
    assert stopped == expected.tokens.count(3) > 1
    assert lane.sampler.filter_state == expected.filter_state


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("stops", "length", "ending"),
    [([[4]], 2, "stop"), ([[3, 4]], 2, "stop"), ([[5]], 2, "constraint"), ([[5]], 9, "constraint")],
)
def test_a_stop_text_comes_before_the_constraint_and_that_before_the_length(
    engine: str, stops: list[list[int]], length: int, ending: str
) -> None:
    """The second token gives all of these reasons."""
    table = Table([{3: 1}, {4: 2}, {}], {2})
    guide = Guide(stops_of(*stops), constraint=table.constraint(), must_end=True)
    walked = walk(engine_of(engine), lane_of(engine_of(engine), guide, length=length))
    assert (walked.tokens, walked.ending) == ([3, 4], ending)
    assert walked.stop_length == (len(stops[0]) if ending == "stop" else 0)
    assert walked.constraint_state == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stop_text_comes_before_the_length(engine: str) -> None:
    free = walk(engine_of(engine), lane_of(engine_of(engine), length=6)).tokens
    guide = Guide(stops_of(free[4:]))
    for length, ending in ((6, "stop"), (5, "length")):
        walked = walk(engine_of(engine), lane_of(engine_of(engine), guide, length=length))
        assert (walked.tokens, walked.ending) == (free[:length], ending)
